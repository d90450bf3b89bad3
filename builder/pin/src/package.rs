//! A pinned Debian package: which file of which archive, and what it must hash to.
//!
//! In: fields of signed indexes or of a lock file, foreign until they are one of these types.
//! Out: names, versions and paths that are safe to join to a URL or to print. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Arch, Sha256};

/// One package file, pinned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    /// The binary package's name.
    pub name: PackageName,
    /// What it runs on; `all` for packages without machine code.
    pub arch: PackageArch,
    /// The full Debian version, epoch included.
    pub version: PackageVersion,
    /// Size of the `.deb` in bytes.
    pub size: u64,
    /// Digest of the `.deb`; the only thing that makes a downloaded file trusted.
    pub sha256: Sha256,
    /// Where archives keep it.
    pub path: PoolPath,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.arch)
    }
}

/// Wraps a string that passed a check, with the traits that such a string wants.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text as it stands in Debian's indexes.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadPackageField;

            fn try_from(text: String) -> Result<Self, BadPackageField> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(BadPackageField::new($what, &text)) }
            }
        }

        impl FromStr for $name {
            type Err = BadPackageField;

            fn from_str(text: &str) -> Result<Self, BadPackageField> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// A package name: Debian Policy §5.6.1 (lower-case letters, digits, `+`, `-`, `.`).
    PackageName,
    "package name",
    |text| {
        (2..=200).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
    }
);

checked_text!(
    /// A version: Debian Policy §5.6.12. Ordering of this type is of the text, not of versions.
    PackageVersion,
    "version",
    |text| {
        (1..=200).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-~:".contains(&b))
    }
);

/// What a package runs on, in Debian's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackageArch {
    /// No machine code: the same file everywhere.
    All,
    /// One architecture.
    Only(Arch),
}

impl fmt::Display for PackageArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Only(arch) => arch.debian(),
        })
    }
}

impl FromStr for PackageArch {
    type Err = BadPackageField;

    fn from_str(text: &str) -> Result<Self, BadPackageField> {
        if text == "all" {
            return Ok(Self::All);
        }
        Arch::ALL
            .into_iter()
            .find(|arch| arch.debian() == text)
            .map(Self::Only)
            .ok_or_else(|| BadPackageField::new("architecture", text))
    }
}

/// One of the two archives that Debian publishes packages in; mirrors may carry them at
/// unrelated addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Archive {
    /// The main archive: a suite and its `-updates`.
    #[serde(rename = "debian")]
    Debian,
    /// The security archive.
    #[serde(rename = "debian-security")]
    Security,
}

impl Archive {
    /// Every archive.
    pub const ALL: [Self; 2] = [Self::Debian, Self::Security];

    /// The folder that mirrors customarily keep it in: `debian`, `debian-security`.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Security => "debian-security",
        }
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.folder())
    }
}

/// A file of an archive, written `debian/pool/main/s/sed/sed_4.9-2_amd64.deb`: the archive, then
/// the path below its base. The path is relative, has no `.` or `..`, and only characters that
/// need no escaping in a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PoolPath {
    archive: Archive,
    path: String,
}

impl PoolPath {
    /// A file below the base of `archive`.
    pub fn new(archive: Archive, path: &str) -> Result<Self, BadPackageField> {
        let safe = path.len() <= 1000
            && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/.+-~_:%".contains(&b))
            && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if safe {
            Ok(Self { archive, path: path.to_owned() })
        } else {
            Err(BadPackageField::new("pool path", path))
        }
    }

    /// The archive that carries the file.
    pub fn archive(&self) -> Archive {
        self.archive
    }

    /// The path below the archive's base, to be joined with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for PoolPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.archive, self.path)
    }
}

impl FromStr for PoolPath {
    type Err = BadPackageField;

    fn from_str(text: &str) -> Result<Self, BadPackageField> {
        Archive::ALL
            .into_iter()
            .find_map(|archive| {
                let path = text.strip_prefix(archive.folder())?.strip_prefix('/')?;
                Some(Self::new(archive, path))
            })
            .unwrap_or_else(|| Err(BadPackageField::new("pool path", text)))
    }
}

impl TryFrom<String> for PoolPath {
    type Error = BadPackageField;

    fn try_from(text: String) -> Result<Self, BadPackageField> {
        text.parse()
    }
}

impl From<PoolPath> for String {
    fn from(path: PoolPath) -> Self {
        path.to_string()
    }
}

/// A field of an index or of a lock that breaks Debian's rules for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` can't be a Debian {what}: the index or the lock is damaged, fetch it again")]
pub struct BadPackageField {
    what: &'static str,
    text: String,
}

impl BadPackageField {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.escape_debug().take(80).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_versions_and_paths_keep_to_policy() {
        for good in ["libstdc++6", "0ad", "linux-image-6.12.1+deb13-cloud-amd64"] {
            assert!(good.parse::<PackageName>().is_ok(), "{good}");
        }
        for bad in ["", "a", "Sed", "-sed", "sed/..", "sed\n", "séd", "$(id)"] {
            assert!(bad.parse::<PackageName>().is_err(), "{bad}");
        }
        for good in ["1:2.41-12+deb13u1", "0~rc1"] {
            assert!(good.parse::<PackageVersion>().is_ok(), "{good}");
        }
        for bad in ["", "1 2", "1\u{7f}", "1/2"] {
            assert!(bad.parse::<PackageVersion>().is_err(), "{bad}");
        }
        for good in
            ["debian/pool/main/s/sed/sed_4.9-2_amd64.deb", "debian-security/pool/x_1%3a2.deb"]
        {
            assert_eq!(good.parse::<PoolPath>().map(|path| path.to_string()).as_deref(), Ok(good));
        }
        for bad in [
            "debian/../x",
            "debian//x",
            "debian",
            "debian/",
            "other/pool/x",
            "debian/pool/./x",
            "debian/pool/x?y",
            "debian/pool/x#y",
            "/etc/passwd",
        ] {
            assert!(bad.parse::<PoolPath>().is_err(), "{bad}");
        }
    }
}
