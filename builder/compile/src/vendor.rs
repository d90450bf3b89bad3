//! The `vendor/` folder that cargo compiles from: verified crates, unpacked and patched.
//!
//! In: `.crate` files and a patch series. Out: `NAME-VERSION/` per crate with the
//! `.cargo-checksum.json` that makes it a directory source (the Cargo book, "Source
//! Replacement"). No file digests are listed there: the crate was verified as a whole, and
//! patched files would not match.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use flate2::read::GzDecoder;
use mailkiln_sources::deb::Members;
use mailkiln_tree::TreePath;

use crate::file_error::At;
use crate::patch::{Change, What};
use crate::unpack::{TIME, Unpacker};
use crate::{FileError, LockedCrate, Patch, PatchError, UnpackError};

/// Most bytes that a crate may unpack to; the largest we use have some hundred megabytes.
const MOST_BYTES: u64 = 4 << 30;

/// Fills `vendor`, an empty directory: unpacks each crate, then applies the patches in order.
pub(crate) fn fill<'a>(
    vendor: &Path,
    crates: impl IntoIterator<Item = (&'a LockedCrate, &'a Path)>,
    patches: &[Patch],
) -> Result<(), VendorError> {
    let mut unpacker = Unpacker::new(vendor, false);
    for (locked, archive) in crates {
        unpack(&mut unpacker, locked, archive)
            .map_err(|source| VendorError::Crate { name: locked.to_string(), source })?;
    }
    patches.iter().try_for_each(|patch| apply(vendor, patch))?;
    Ok(settle(vendor)?)
}

/// Gives one time to all folders, and to files that patches changed: cargo runs a build script
/// again when what it reads is newer than what it has made.
fn settle(path: &Path) -> Result<(), FileError> {
    let time = SystemTime::UNIX_EPOCH + TIME;
    let metadata = fs::symlink_metadata(path).at("read", path)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).at("read", path)? {
            settle(&entry.at("read", path)?.path())?;
        }
    }
    if metadata.modified().ok() == Some(time) {
        return Ok(());
    }
    File::open(path).and_then(|file| file.set_modified(time)).at("change", path)
}

fn unpack(unpacker: &mut Unpacker, locked: &LockedCrate, path: &Path) -> Result<(), UnpackError> {
    let folder = TreePath::parse(&locked.folder())?;
    let archive = GzDecoder::new(File::open(path).at("read", path)?);
    // Cargo writes the same kind of tar as dpkg-deb: plain headers and GNU's long names.
    let members = Members::new(archive, "archive", MOST_BYTES);
    // What stands beside the crate's own folder is nothing that cargo would read either.
    unpacker.tar(members, |path| path.is_within(&folder).then(|| path.clone()))?;
    let checksum = format!("{{\"files\":{{}},\"package\":\"{}\"}}", locked.sha256);
    let to = TreePath::parse(&format!("{}/.cargo-checksum.json", folder.as_str()))?;
    unpacker.file(&to, false, &mut checksum.as_bytes())
}

fn apply(vendor: &Path, patch: &Patch) -> Result<(), VendorError> {
    for Change { what, path, hunks } in patch.changes()? {
        let on_disk = vendor.join(path.as_str());
        let refused = |hunk| patch.refused(&path, hunk);
        if what == What::Create {
            write_new(vendor, &path, &hunks.apply("").map_err(refused)?, patch)?;
            continue;
        }
        let old = fs::read_to_string(&on_disk)
            .map_err(|_| file_error(patch, &path, "is not in the crates, or is not text"))?;
        let new = hunks.apply(&old).map_err(refused)?;
        match what {
            What::Delete if !new.is_empty() => {
                return Err(file_error(patch, &path, "is to be removed but has more text").into());
            }
            What::Delete => fs::remove_file(&on_disk).at("remove", &on_disk)?,
            // A write in place keeps the mode.
            _ => fs::write(&on_disk, new).at("write", &on_disk)?,
        }
    }
    Ok(())
}

fn write_new(vendor: &Path, path: &TreePath, text: &str, patch: &Patch) -> Result<(), VendorError> {
    let on_disk = vendor.join(path.as_str());
    let first = path.as_str().split('/').next().unwrap_or_default();
    if on_disk.exists() || !vendor.join(first).is_dir() {
        return Err(file_error(patch, path, "exists already, or its crate does not").into());
    }
    if let Some(parent) = on_disk.parent() {
        fs::create_dir_all(parent).at("create", parent)?;
    }
    Ok(fs::write(&on_disk, text).at("write", &on_disk)?)
}

fn file_error(patch: &Patch, path: &TreePath, what: &'static str) -> PatchError {
    PatchError::File { patch: patch.path.clone(), file: path.as_str().to_owned(), what }
}

/// `vendor/` can't be made.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// A crate's archive is not one that cargo packs.
    #[error("the crate {name} can't be unpacked: {source}")]
    Crate {
        /// Name and version.
        name: String,
        /// Why.
        source: UnpackError,
    },
    /// A patch does not fit.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The disk refused.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use mailkiln_pin::Sha256;

    fn crate_file(at: &Path, files: &[(&str, &str)]) {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        fs::write(at, tar.into_inner().unwrap().finish().unwrap()).unwrap();
    }

    fn patch(text: &str) -> Patch {
        Patch { path: String::from("patches/0001.patch"), text: text.to_owned() }
    }

    fn vendor(patches: &[Patch]) -> (tempfile::TempDir, Result<(), VendorError>) {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("x.crate");
        crate_file(&archive, &[("x-1.0.0/src/lib.rs", "a\nb\n"), ("pax_global", "")]);
        let locked = LockedCrate {
            name: String::from("x"),
            version: String::from("1.0.0"),
            sha256: Sha256::of(b"x"),
        };
        let vendor = folder.path().join("vendor");
        fs::create_dir(&vendor).unwrap();
        let result = fill(&vendor, [(&locked, archive.as_path())], patches);
        (folder, result)
    }

    #[test]
    fn a_series_applies_in_order() {
        let (folder, result) = vendor(&[
            patch(
                "--- a/x-1.0.0/src/lib.rs\n+++ b/x-1.0.0/src/lib.rs\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n",
            ),
            patch("--- a/x-1.0.0/src/lib.rs\n+++ b/x-1.0.0/src/lib.rs\n@@ -2 +2 @@\n-c\n+d\n"),
            patch("--- /dev/null\n+++ b/x-1.0.0/src/new/mod.rs\n@@ -0,0 +1 @@\n+e\n"),
        ]);
        result.unwrap();
        let read =
            |name: &str| fs::read_to_string(folder.path().join("vendor").join(name)).unwrap();
        assert_eq!(read("x-1.0.0/src/lib.rs"), "a\nd\n");
        assert_eq!(read("x-1.0.0/src/new/mod.rs"), "e\n");
        assert!(read("x-1.0.0/.cargo-checksum.json").contains(&Sha256::of(b"x").to_string()));
        assert!(!folder.path().join("vendor/pax_global").exists());
        for name in ["", "x-1.0.0", "x-1.0.0/src/lib.rs", "x-1.0.0/src/new/mod.rs"] {
            let metadata = fs::metadata(folder.path().join("vendor").join(name)).unwrap();
            assert_eq!(metadata.modified().unwrap(), SystemTime::UNIX_EPOCH + TIME, "{name}");
        }
    }

    #[test]
    fn a_patch_that_does_not_fit_is_named() {
        let cases = [
            (
                "--- a/x-1.0.0/src/lib.rs\n+++ b/x-1.0.0/src/lib.rs\n@@ -1 +1 @@\n-z\n+c\n",
                "hunk 1 of",
            ),
            (
                "--- a/x-1.0.0/no.rs\n+++ b/x-1.0.0/no.rs\n@@ -1 +1 @@\n-z\n+c\n",
                "not in the crates",
            ),
            ("--- /dev/null\n+++ b/x-1.0.0/src/lib.rs\n@@ -0,0 +1 @@\n+e\n", "exists already"),
            ("--- /dev/null\n+++ b/y-1.0.0/src/lib.rs\n@@ -0,0 +1 @@\n+e\n", "its crate does not"),
            ("--- a/x-1.0.0/src/lib.rs\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", "more text"),
        ];
        for (text, expected) in cases {
            let message = vendor(&[patch(text)]).1.unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("0001.patch"), "{message}");
        }
    }
}
