//! `Packages`: what an archive offers.
//!
//! In: the bytes of a `Packages.xz` whose digest has been checked. Out: one [`Package`] for each
//! stanza, with the fields that choosing and pinning need. Pure. Format:
//! <https://wiki.debian.org/DebianRepository/Format#A.22Packages.22_Indices>.

use std::io::{BufRead, BufReader, Read};

use deb822_fast::borrowed::iter_paragraphs_borrowed;
use debversion::Version;
use liblzma::read::XzDecoder;
use liblzma::stream::Stream;
use mailkiln_pin::{
    Arch, Archive, BadPackageField, NotASha256, PackageArch, PackageName, Pin, PoolPath,
};

use crate::relation::parse_version;

/// Largest index read, unpacked, in bytes; trixie's main has 55 MiB.
const MAX_UNPACKED: u64 = 256 << 20;

/// Memory that unpacking may take, in bytes: `xz -9` asks for 65 MiB.
const MAX_MEMORY: u64 = 128 << 20;

/// Longest stanza read, in bytes.
const MAX_STANZA: usize = 1 << 20;

/// A package that an archive offers.
#[derive(Debug, Clone)]
pub struct Package {
    /// What would be pinned.
    pub pin: Pin,
    /// The version, comparable.
    pub version: Version,
    /// How it lives beside packages for other architectures.
    pub multi_arch: MultiArch,
    /// The relation fields as they stand in the index.
    pub relations: Relations,
}

/// Relation fields, unparsed: of 70,000 packages a few hundred are ever looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relations {
    /// `Depends`.
    pub depends: String,
    /// `Pre-Depends`.
    pub pre_depends: String,
    /// `Provides`.
    pub provides: String,
    /// `Conflicts`.
    pub conflicts: String,
    /// `Breaks`.
    pub breaks: String,
}

/// The field `Multi-Arch`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MultiArch {
    /// One architecture at a time, for packages of that architecture.
    #[default]
    No,
    /// Several at a time, each for packages of its architecture.
    Same,
    /// One at a time, which serves packages of any architecture.
    Foreign,
    /// One at a time; a relation may say `:any`.
    Allowed,
}

/// An index that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// Not xz, or too large.
    #[error("the package index can't be unpacked: {0}")]
    Unpack(std::io::Error),
    /// More than any stanza has.
    #[error("the package index has a stanza of more than {MAX_STANZA} bytes")]
    TooLarge,
    /// A stanza that is not one.
    #[error("the package index, package `{package}`: {what}")]
    Stanza {
        /// The package, as far as it is known.
        package: String,
        /// What is wrong.
        what: String,
    },
}

impl Package {
    /// Reads a `Packages.xz` of `archive`. Packages for architectures that no image is made for
    /// are left out.
    pub fn read_index(archive: Archive, xz: &[u8]) -> Result<Vec<Self>, PackagesError> {
        let stream = Stream::new_stream_decoder(MAX_MEMORY, 0)
            .map_err(|error| PackagesError::Unpack(error.into()))?;
        let plain = XzDecoder::new_stream(xz, stream).take(MAX_UNPACKED + 1);
        Self::read_plain(archive, BufReader::with_capacity(1 << 16, plain))
    }

    /// Reads an unpacked index.
    pub fn read_plain(
        archive: Archive,
        mut plain: impl BufRead,
    ) -> Result<Vec<Self>, PackagesError> {
        let (mut packages, mut stanza) = (Vec::new(), String::new());
        let mut total = 0;
        loop {
            let before = stanza.len();
            let room = (MAX_STANZA - before) as u64 + 1;
            let count =
                (&mut plain).take(room).read_line(&mut stanza).map_err(PackagesError::Unpack)?;
            total += count as u64;
            if total > MAX_UNPACKED || stanza.len() > MAX_STANZA {
                return Err(PackagesError::TooLarge);
            }
            if count == 0 || stanza[before..].trim_end().is_empty() {
                packages.extend(Self::read_stanza(archive, &stanza)?);
                stanza.clear();
            }
            if count == 0 {
                return Ok(packages);
            }
        }
    }

    /// Reads one stanza; `None` when it is empty or for a foreign architecture.
    fn read_stanza(archive: Archive, text: &str) -> Result<Option<Self>, PackagesError> {
        let Some(stanza) = iter_paragraphs_borrowed(text).next() else { return Ok(None) };
        let unreadable = |error: deb822_fast::Error| PackagesError::Stanza {
            package: text.lines().next().unwrap_or_default().escape_debug().take(80).collect(),
            what: error.to_string(),
        };
        let stanza = stanza.map_err(unreadable)?;
        let get = |name| stanza.get_single(name).unwrap_or_default().trim();
        let Ok(arch) = get("Architecture").parse::<PackageArch>() else { return Ok(None) };
        let wrong = |what: String| PackagesError::Stanza {
            package: get("Package").escape_debug().take(80).collect(),
            what,
        };
        let field = |error: BadPackageField| wrong(error.to_string());
        let pin = Pin {
            name: get("Package").parse::<PackageName>().map_err(field)?,
            arch,
            version: get("Version").parse().map_err(field)?,
            size: get("Size").parse().map_err(|_| wrong("it has no size".to_owned()))?,
            sha256: get("SHA256").parse().map_err(|error: NotASha256| wrong(error.to_string()))?,
            path: PoolPath::new(archive, get("Filename")).map_err(field)?,
        };
        let version = parse_version(get("Version"))
            .ok_or_else(|| wrong("it has no version that can be compared".to_owned()))?;
        let multi_arch = match get("Multi-Arch") {
            "same" => MultiArch::Same,
            "foreign" => MultiArch::Foreign,
            "allowed" => MultiArch::Allowed,
            _ => MultiArch::No,
        };
        let relation = |name| stanza.get_field(name).map(|field| field.join()).unwrap_or_default();
        let relations = Relations {
            depends: relation("Depends"),
            pre_depends: relation("Pre-Depends"),
            provides: relation("Provides"),
            conflicts: relation("Conflicts"),
            breaks: relation("Breaks"),
        };
        Ok(Some(Self { pin, version, multi_arch, relations }))
    }

    /// The architecture whose packages an unqualified relation of this package means.
    pub(crate) fn arch_on(&self, native: Arch) -> Arch {
        match self.pin.arch {
            PackageArch::All => native,
            PackageArch::Only(arch) => arch,
        }
    }
}
