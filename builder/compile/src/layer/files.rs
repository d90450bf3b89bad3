//! Which files of cargo's target folder belong to which package.
//!
//! In: what cargo said it made, and the target folder. Out: the files of packages that a layer may
//! hold. cargo names what it keeps per package `NAME-HASH` (`.fingerprint`, `build`), and what
//! rustc writes (`deps`) after the crate. Whatever follows neither rule is left out; cargo then
//! makes it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

use mailkiln_pin::Sha256;
use serde::{Deserialize, Serialize};

use crate::FileError;
use crate::file_error::At;

/// Folders of a profile's folder whose entries are called `PACKAGE-HASH`.
const BY_PACKAGE: [&str; 2] = [".fingerprint", "build"];
/// The folder whose files are called after crates.
const BY_CRATE: &str = "deps";

/// A file of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredFile {
    /// Below the target folder.
    pub(super) path: String,
    /// The packages that it may be of.
    pub(super) packages: BTreeSet<String>,
    pub(super) executable: bool,
    pub(super) size: u64,
    /// Time since 1970: cargo compares what is newer than what.
    pub(super) modified: Duration,
    /// Digest of its bytes; all zeros until it is stored.
    pub(super) sha256: Sha256,
}

/// What a compilation made, by package.
#[derive(Debug, Clone, Default)]
pub(crate) struct Produced {
    /// Profile folders below the target folder: `release`, `aarch64-unknown-linux-gnu/release`.
    profiles: Vec<String>,
    /// Crate name, as in file names → packages that have a crate of this name.
    crates: BTreeMap<String, BTreeSet<String>>,
    packages: BTreeSet<String>,
}

type Found = (Vec<StoredFile>, BTreeMap<String, BTreeSet<String>>);

impl Produced {
    /// Nothing yet, for a target with this Rust name.
    pub(crate) fn new(target: &str) -> Self {
        let profiles = vec![String::from("release"), format!("{target}/release")];
        Self { profiles, ..Self::default() }
    }

    /// Notes that cargo made the crate `target` of `package`.
    pub(crate) fn note(&mut self, package: &str, target: &str) {
        self.packages.insert(package.to_owned());
        let crates = self.crates.entry(target.replace('-', "_")).or_default();
        crates.insert(package.to_owned());
    }

    /// Packages whose build scripts left something other than files and folders.
    pub(super) fn odd(&self, target: &Path) -> Result<BTreeSet<String>, FileError> {
        let mut odd = BTreeSet::new();
        self.visit(target, &BTreeSet::new(), &mut |_, packages, metadata| {
            if !metadata.is_file() && !metadata.is_dir() {
                odd.extend(packages.iter().cloned());
            }
        })?;
        Ok(odd)
    }

    /// Files and folders of the packages that are not `left_out`, sorted by path.
    pub(super) fn files(
        &self,
        target: &Path,
        left_out: &BTreeSet<&str>,
    ) -> Result<Found, FileError> {
        let (mut files, mut folders) = (Vec::new(), BTreeMap::new());
        self.visit(target, left_out, &mut |path, packages, metadata| {
            let packages = packages.clone();
            if metadata.is_dir() {
                folders.insert(path.to_owned(), packages);
                return;
            }
            let modified = metadata.modified().ok();
            let modified =
                modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
            files.push(StoredFile {
                path: path.to_owned(),
                packages,
                executable: is_executable(metadata),
                size: metadata.len(),
                modified: modified.unwrap_or_default(),
                sha256: Sha256::from_bytes([0; 32]),
            });
        })?;
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok((files, folders))
    }

    /// Calls `see` for everything that belongs to a package that is not left out.
    fn visit(
        &self,
        target: &Path,
        left_out: &BTreeSet<&str>,
        see: &mut dyn FnMut(&str, &BTreeSet<String>, &Metadata),
    ) -> Result<(), FileError> {
        let wanted = |packages: &BTreeSet<String>| {
            !packages.is_empty() && packages.iter().all(|name| !left_out.contains(name.as_str()))
        };
        for profile in &self.profiles {
            for folder in BY_PACKAGE {
                let folder = format!("{profile}/{folder}");
                for name in names(target, &folder)? {
                    let packages = self.package_of(&name);
                    if wanted(&packages) {
                        descend(target, &format!("{folder}/{name}"), &packages, see)?;
                    }
                }
            }
            let folder = format!("{profile}/{BY_CRATE}");
            for name in names(target, &folder)? {
                let packages = self.packages_of_crate(&name);
                if wanted(&packages) {
                    descend(target, &format!("{folder}/{name}"), &packages, see)?;
                }
            }
        }
        Ok(())
    }

    /// The package of `NAME-HASH`.
    fn package_of(&self, entry: &str) -> BTreeSet<String> {
        let name = without_hash(entry).filter(|name| self.packages.contains(*name));
        name.map(str::to_owned).into_iter().collect()
    }

    /// The packages that `libNAME-HASH.rlib` or `NAME-HASH.d` may be of.
    fn packages_of_crate(&self, file: &str) -> BTreeSet<String> {
        let stem = file.split('.').next().unwrap_or_default();
        let found = |stem: &str| Some(self.crates.get(without_hash(stem)?)?.clone());
        let own = found(stem).unwrap_or_default();
        let library = stem.strip_prefix("lib").and_then(found).unwrap_or_default();
        own.into_iter().chain(library).collect()
    }
}

/// `NAME` of `NAME-HASH`; cargo's hashes are 16 hexadecimal digits.
fn without_hash(entry: &str) -> Option<&str> {
    let (name, hash) = entry.rsplit_once('-')?;
    (hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(name)
}

/// Names in a folder that are text, sorted; none where there is no such folder.
fn names(target: &Path, folder: &str) -> Result<Vec<String>, FileError> {
    let path = target.join(folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).at("read", &path)? {
        // A name that is not text belongs to a package all the same, and can't be stored.
        names.push(entry.at("read", &path)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn descend(
    target: &Path,
    path: &str,
    packages: &BTreeSet<String>,
    see: &mut dyn FnMut(&str, &BTreeSet<String>, &Metadata),
) -> Result<(), FileError> {
    let on_disk = target.join(path);
    let metadata = fs::symlink_metadata(&on_disk).at("read", &on_disk)?;
    see(path, packages, &metadata);
    if metadata.is_dir() {
        for name in names(target, path)? {
            descend(target, &format!("{path}/{name}"), packages, see)?;
        }
    }
    Ok(())
}

fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_every_package_that_may_have_made_it() {
        let mut produced = Produced::new("x");
        for (package, target) in [("md-5", "md5"), ("md5", "md5"), ("libfuzzer", "libfuzzer")] {
            produced.note(package, target);
        }
        let of = |file: &str| produced.packages_of_crate(file).into_iter().collect::<Vec<_>>();
        assert_eq!(of("libmd5-0123456789abcdef.rlib"), ["md-5", "md5"]);
        assert_eq!(of("libfuzzer-0123456789abcdef.d"), ["libfuzzer"]);
        assert_eq!(of("liblibfuzzer-0123456789abcdef.rmeta"), ["libfuzzer"]);
        assert!(of("libmd5.rlib").is_empty() && of("libother-0123456789abcdef.rlib").is_empty());
        assert_eq!(produced.package_of("md-5-0123456789abcdef").len(), 1);
        assert!(produced.package_of("md-0123456789abcdef").is_empty());
    }
}
