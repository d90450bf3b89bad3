//! Which crates a component is built from.
//!
//! In: the text of a `Cargo.lock`, versions 3 and 4. Out: name, version and digest of every
//! registry crate in it. Format: "Cargo.toml vs Cargo.lock" in the Cargo book, and cargo's
//! `EncodableLockfile`. Pure; the text is foreign.

use std::fmt;

use mailkiln_pin::Sha256;
use serde::Deserialize;

/// A registry crate, pinned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedCrate {
    /// The crate's name.
    pub name: String,
    /// Its exact version, build metadata included.
    pub version: String,
    /// Digest of the `.crate` file.
    pub sha256: Sha256,
}

impl LockedCrate {
    /// `NAME-VERSION`: the folder inside the `.crate` file and below `vendor/`.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

impl fmt::Display for LockedCrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Reads the registry crates of a `Cargo.lock`, in its order (by name, then version).
///
/// Packages without a source are the component's own folders and are left out.
///
/// # Errors
/// [`CargoLockError`] for text that is no lock file, a git source, a second registry, a crate
/// without a checksum, or a name that could not be a folder.
pub(crate) fn parse(text: &str) -> Result<Vec<LockedCrate>, CargoLockError> {
    let lock: RawLock =
        toml::from_str(text).map_err(|error| CargoLockError::Syntax(error.message().to_owned()))?;
    if !(3..=4).contains(&lock.version) {
        return Err(CargoLockError::Version(lock.version));
    }
    let mut registry: Option<&str> = None;
    let mut crates = Vec::with_capacity(lock.package.len());
    for package in &lock.package {
        let Some(source) = package.source.as_deref() else { continue };
        let name = printable(&package.name);
        if !source.starts_with("registry+") && !source.starts_with("sparse+") {
            return Err(CargoLockError::Source { name, place: printable(source) });
        }
        if *registry.get_or_insert(source) != source {
            return Err(CargoLockError::SecondRegistry { name });
        }
        if !is_plain(&package.name) || !is_plain(&package.version) {
            return Err(CargoLockError::Name { name, version: printable(&package.version) });
        }
        let checksum = package.checksum.as_deref().and_then(|text| text.parse().ok());
        let sha256 = checksum.ok_or(CargoLockError::Checksum { name })?;
        crates.push(LockedCrate {
            name: package.name.clone(),
            version: package.version.clone(),
            sha256,
        });
    }
    crates.sort();
    if let Some(twice) = crates.windows(2).find(|pair| pair[0].folder() == pair[1].folder()) {
        return Err(CargoLockError::Twice { name: twice[0].folder() });
    }
    Ok(crates)
}

#[derive(Deserialize)]
struct RawLock {
    #[serde(default)]
    version: i64,
    #[serde(default)]
    package: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// Letters, digits, `-`, `_`, `.` and `+`, and no leading dot: safe as a folder's name.
fn is_plain(text: &str) -> bool {
    (1..=120).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
}

fn printable(text: &str) -> String {
    text.escape_debug().take(80).collect()
}

/// A `Cargo.lock` that can't pin a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CargoLockError {
    /// Not TOML, or not a lock's shape.
    #[error("Cargo.lock can't be read: {0}; write it anew with `cargo generate-lockfile`")]
    Syntax(String),
    /// A version that this program does not know.
    #[error("Cargo.lock has version {0}; versions 3 and 4 are understood")]
    Version(i64),
    /// A package that is not from a registry.
    #[error(
        "`{name}` comes from `{place}`: only crates of a registry can be pinned by digest, so \
         publish it or make it a folder of the component"
    )]
    Source {
        /// The package.
        name: String,
        /// What its `source` says.
        place: String,
    },
    /// Two registries in one lock.
    #[error("`{name}` comes from another registry than the crates before it; use one registry")]
    SecondRegistry {
        /// The first package from the second registry.
        name: String,
    },
    /// A name or version that could climb out of a folder.
    #[error("the crate `{name}` `{version}` has a name or version that no registry accepts")]
    Name {
        /// Its name, escaped.
        name: String,
        /// Its version, escaped.
        version: String,
    },
    /// No digest to verify the file by.
    #[error("`{name}` has no valid checksum; write the lock anew with `cargo generate-lockfile`")]
    Checksum {
        /// The package.
        name: String,
    },
    /// The same crate and version twice.
    #[error("`{name}` stands twice in Cargo.lock")]
    Twice {
        /// Name and version.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn package(name: &str, rest: &str) -> String {
        format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{rest}\n")
    }

    #[test]
    fn registry_crates_are_listed_and_own_folders_left_out() {
        let sourced = format!("source = \"registry+r\"\nchecksum = \"{DIGEST}\"");
        let text = format!("version = 4\n{}{}", package("zlib-rs", &sourced), package("init", ""));
        let crates = parse(&text).unwrap();
        assert_eq!(crates.len(), 1);
        assert_eq!(crates[0].folder(), "zlib-rs-1.0.0");
        assert_eq!(crates[0].sha256.to_string(), DIGEST);
    }

    #[test]
    fn what_cannot_be_pinned_is_refused_by_name() {
        let good = format!("source = \"registry+r\"\nchecksum = \"{DIGEST}\"");
        let cases = [
            (String::from("version = 4\n[[package"), "can't be read"),
            (String::from("version = 2"), "version 2"),
            (format!("version = 4\n{}", package("a", "source = \"git+x\"")), "comes from `git+x`"),
            (format!("version = 4\n{}", package("a", "source = \"registry+r\"")), "no valid check"),
            (format!("version = 4\n{}", package("../a", &good)), "no registry accepts"),
            (format!("version = 4\n{}{}", package("a", &good), package("a", &good)), "twice"),
            (
                format!(
                    "version = 4\n{}{}",
                    package("a", &good),
                    package("b", &good.replace("+r", "+s"))
                ),
                "another registry",
            ),
        ];
        for (text, expected) in cases {
            let message = parse(&text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message} for {text}");
        }
    }
}
