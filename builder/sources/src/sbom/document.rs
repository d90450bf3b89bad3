//! The JSON of an SPDX 2.3 document.
//!
//! In: an [`Sbom`]. Out: serialisable values named as the specification's JSON schema names them.

use std::collections::BTreeSet;

use mailkiln_pin::Sha256;
use serde::Serialize;

use super::{Part, Sbom, licence};

const NO_ASSERTION: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
/// Namespaces are identifiers: nothing has to be found there (SPDX 2.3, 6.5).
const NAMESPACE: &str = "https://github.com/mailkiln/mailkiln/spdx";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<ExtractedLicence>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version_info: String,
    download_location: String,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    license_concluded: &'static str,
    license_declared: String,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalReference>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalReference {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: &'static str,
    relationship_type: &'static str,
    related_spdx_element: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractedLicence {
    license_id: String,
    name: String,
    extracted_text: String,
}

impl Document {
    pub(super) fn of(sbom: &Sbom) -> Result<Self, serde_json::Error> {
        let parts: BTreeSet<&Part> = sbom.parts.iter().collect();
        let mut packages = vec![image(sbom)];
        packages.extend(parts.iter().map(|part| package(part)));
        let contains = packages.iter().skip(1).map(|package| Relationship {
            spdx_element_id: IMAGE,
            relationship_type: "CONTAINS",
            related_spdx_element: package.id.clone(),
        });
        let describes = Relationship {
            spdx_element_id: DOCUMENT,
            relationship_type: "DESCRIBES",
            related_spdx_element: IMAGE.to_owned(),
        };
        let relationships = std::iter::once(describes).chain(contains).collect();
        let content = Sha256::of(&serde_json::to_vec(&packages)?);
        Ok(Self {
            spdx_version: "SPDX-2.3",
            data_license: "CC0-1.0",
            id: DOCUMENT,
            name: sbom.name.clone(),
            document_namespace: format!("{NAMESPACE}/{content}"),
            creation_info: CreationInfo {
                created: sbom.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                creators: [format!("Tool: mailkiln-{}", sbom.builder)],
            },
            packages,
            relationships,
            has_extracted_licensing_infos: extracted(&parts),
        })
    }
}

fn image(sbom: &Sbom) -> Package {
    Package {
        id: IMAGE.to_owned(),
        name: sbom.name.clone(),
        version_info: sbom.version.clone(),
        download_location: NO_ASSERTION.to_owned(),
        files_analyzed: false,
        checksums: Vec::new(),
        license_concluded: NO_ASSERTION,
        license_declared: NO_ASSERTION.to_owned(),
        copyright_text: NO_ASSERTION,
        comment: None,
        external_refs: Vec::new(),
    }
}

fn package(part: &Part) -> Package {
    let purl = part.purl.iter().map(|purl| ExternalReference {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: purl.clone(),
    });
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| NO_ASSERTION.to_owned());
    Package {
        id: identifier(part),
        name: part.name.clone(),
        version_info: part.version.clone(),
        download_location: or_none(&part.download),
        files_analyzed: false,
        checksums: vec![Checksum { algorithm: "SHA256", checksum_value: part.sha256.to_string() }],
        license_concluded: NO_ASSERTION,
        license_declared: or_none(&part.licence),
        copyright_text: NO_ASSERTION,
        comment: part.comment.clone(),
        external_refs: purl.collect(),
    }
}

/// `SPDXRef-` and letters, digits, `.`, `-` (SPDX 2.3, 7.2). Two parts of one name differ by
/// version or digest.
fn identifier(part: &Part) -> String {
    let kind = match part.purl.as_deref().and_then(|purl| purl.split('/').next()) {
        Some("pkg:deb") => "Package",
        Some("pkg:cargo") => "Crate",
        _ => "File",
    };
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
    };
    let digest = part.sha256.to_string();
    let short: String = digest.chars().take(12).collect();
    format!("SPDXRef-{kind}-{}-{}-{short}", plain(&part.name), plain(&part.version))
}

fn extracted(parts: &BTreeSet<&Part>) -> Vec<ExtractedLicence> {
    let names: BTreeSet<&str> = parts
        .iter()
        .filter_map(|part| part.licence.as_deref())
        .flat_map(licence::references)
        .collect();
    names
        .into_iter()
        .map(|name| ExtractedLicence {
            license_id: name.to_owned(),
            name: name.trim_start_matches("LicenseRef-").to_owned(),
            extracted_text: "The text is in the image, in /usr/share/doc/PACKAGE/copyright."
                .to_owned(),
        })
        .collect()
}
