//! What an image is made of, for auditors and scanners: SPDX 2.3 as JSON.
//!
//! In: packages, crates and blobs with licences, versions and digests, and the lock's time.
//! Out: one document, the same bytes for the same image: no clock, no random number.
//! Source: the SPDX 2.3 specification, <https://spdx.github.io/spdx-spec/v2.3/>.

mod document;
mod licence;
mod purl;

use std::collections::BTreeMap;

use jiff::Timestamp;
use mailkiln_pin::Sha256;

use crate::layer::Package;
use document::Document;

/// An image and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// The image's name: host and target.
    pub name: String,
    /// The image's version.
    pub version: String,
    /// The lock's time: when the inputs were as they are.
    pub created: Timestamp,
    /// Version of the builder.
    pub builder: String,
    /// What the image contains; the order does not matter.
    pub parts: Vec<Part>,
}

/// One thing that an image contains.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// What it is called where it comes from.
    pub name: String,
    /// Its version there; empty for a file without one.
    pub version: String,
    /// Digest of the file that it came in.
    pub sha256: Sha256,
    /// SPDX licence expression; `None` where its author says nothing machine-readable.
    pub licence: Option<String>,
    /// Package URL (<https://github.com/package-url/purl-spec>).
    pub purl: Option<String>,
    /// Where it was downloaded from, if that is one address; not so for mirrored packages.
    pub download: Option<String>,
    /// What else there is to say about it.
    pub comment: Option<String>,
}

impl Part {
    /// A Debian package of the release with this number (`13`).
    pub fn debian(package: &Package, release: &str) -> Self {
        let Package { name, version, architecture, sha256, licences, .. } = package;
        Self {
            name: name.as_str().to_owned(),
            version: version.as_str().to_owned(),
            sha256: *sha256,
            licence: (!licences.is_empty()).then(|| licences.join(" AND ")),
            purl: Some(purl::debian(name.as_str(), version.as_str(), architecture, release)),
            download: None,
            comment: None,
        }
    }

    /// All packages of an image. One without a machine-readable copyright file gets the licences
    /// of another from the same source, since such files often describe the source.
    pub fn all_debian<'a>(
        packages: impl Iterator<Item = &'a Package> + Clone,
        release: &str,
    ) -> Vec<Self> {
        let mut of_source: BTreeMap<&str, &Vec<String>> = BTreeMap::new();
        for package in packages.clone().filter(|package| !package.licences.is_empty()) {
            of_source.entry(source_name(package)).or_insert(&package.licences);
        }
        packages
            .map(|package| match of_source.get(source_name(package)) {
                Some(licences) if package.licences.is_empty() => {
                    let licences = (*licences).clone();
                    Self::debian(&Package { licences, ..package.clone() }, release)
                }
                _ => Self::debian(package, release),
            })
            .collect()
    }

    /// A crate, with the licence expression of its manifest.
    pub fn krate(name: &str, version: &str, sha256: Sha256, licence: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            sha256,
            licence: licence.and_then(licence::expression),
            purl: Some(purl::krate(name, version)),
            download: None,
            comment: None,
        }
    }

    /// A package of npm, by the digest of its archive.
    pub fn npm(name: &str, version: &str, sha256: Sha256, licence: Option<&str>) -> Self {
        Self { purl: Some(purl::npm(name, version)), ..Self::blob(name, version, sha256, licence) }
    }

    /// A file that is no package: firmware, a prebuilt program, our own units.
    pub fn blob(name: &str, version: &str, sha256: Sha256, licence: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            sha256,
            licence: licence.and_then(licence::expression),
            purl: None,
            download: None,
            comment: None,
        }
    }
}

fn source_name(package: &Package) -> &str {
    let source = package.source.as_deref().unwrap_or(package.name.as_str());
    source.split_once(' ').map_or(source, |(name, _)| name)
}

impl Sbom {
    /// The document as indented JSON, ended by a newline.
    ///
    /// # Errors
    /// What the JSON writer reports.
    pub fn to_spdx(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(&Document::of(self)?)?;
        text.push('\n');
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
