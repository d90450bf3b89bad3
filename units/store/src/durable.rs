//! Files that are whole or not there, whenever the power goes.
//!
//! In: a path and its content. Out: the file, on the medium, with the mode it has to have.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Why a file could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {path}: {source}{}", cure(source))]
pub struct DurableError {
    step: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn cure(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => "; make room on /var",
        io::ErrorKind::PermissionDenied => "; run this as root or as the service's own user",
        io::ErrorKind::ReadOnlyFilesystem => "; the medium may be failing: see `dmesg`",
        _ => "",
    }
}

pub(crate) fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DurableError {
    move |source| DurableError { step, path: path.to_owned(), source }
}

/// Writes `content` to `path` with `mode`: a new file beside it, flushed, then renamed over it,
/// and the directory flushed. Readers see the old file or the new one. `group` is changed only
/// where the directory does not hand it down already. A file that is like that already is flushed and
/// stays: a start that changes nothing needs no room on a full disk.
///
/// # Errors
/// [`DurableError`] with the step; the old file is then untouched.
pub fn write(
    path: &Path,
    content: &[u8],
    mode: u32,
    group: Option<u32>,
) -> Result<(), DurableError> {
    if is_there(path, content, mode, group) {
        File::open(path).and_then(|file| file.sync_all()).map_err(failed("flush", path))?;
        return sync_directory(path);
    }
    let temporary = temporary_name(path);
    // A leftover of a power cut may have another owner or mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace", &temporary)(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .map_err(failed("create", &temporary))?;
    let written = file
        .set_permissions(fs::Permissions::from_mode(mode))
        .and_then(|()| change_group(&temporary, group))
        .and_then(|()| file.write_all(content))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // Only tidiness: the next write replaces it anyway.
        let _ = fs::remove_file(&temporary);
        return Err(failed("write", path)(source));
    }
    sync_directory(path)
}

/// Returns true if `path` is a file of ours with this content, mode and group. One that can't be read is
/// written again.
fn is_there(path: &Path, content: &[u8], mode: u32, group: Option<u32>) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    found.is_file()
        && found.len() == content.len() as u64
        && found.mode() & 0o7777 == mode
        && found.uid() == geteuid().as_raw()
        && group.is_none_or(|group| found.gid() == group)
        && fs::read(path).is_ok_and(|old| old == content)
}

/// Removes `path`, which may be gone already.
///
/// # Errors
/// [`DurableError`] when it stays.
pub fn remove(path: &Path) -> Result<(), DurableError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
        Ok(()) => sync_directory(path),
    }
}

/// Makes the directory `path` (not its parents) with the permission bits `mode`, or gives it
/// those. A set-group-ID bit that it has from its parent stays: it hands the group down, and a
/// sandbox (`RestrictSUIDSGID=`) would not let us set it.
///
/// # Errors
/// [`DurableError`] with the step.
pub fn make_directory(path: &Path, mode: u32, group: Option<u32>) -> Result<(), DurableError> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("make the directory", path)(error));
        }
        _ => {}
    }
    let metadata = fs::metadata(path).map_err(failed("look at", path))?;
    change_group(path, group).map_err(failed("change the group of", path))?;
    if metadata.permissions().mode() & 0o777 != mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(failed("change the mode of", path))?;
    }
    sync_directory(path)
}

fn change_group(path: &Path, group: Option<u32>) -> io::Result<()> {
    match group {
        Some(group) if fs::metadata(path)?.gid() != group => chown(path, None, Some(group)),
        _ => Ok(()),
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// The directory must be flushed too, or the name may be lost: fsync(2), "Description".
fn sync_directory(path: &Path) -> Result<(), DurableError> {
    let directory = path.parent().unwrap_or(path);
    File::open(directory).and_then(|d| d.sync_all()).map_err(failed("flush", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_with_mode_and_leaves_no_traces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(directory.path().join(".secret.new"), "half").unwrap();
        write(&path, b"one", 0o600, None).unwrap();
        write(&path, b"two", 0o640, None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let before = fs::metadata(&path).unwrap().ino();
        write(&path, b"two", 0o640, None).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().ino(),
            before,
            "nothing changed, and it was written"
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    /// A mode that is too open is mended, and what another name leads to is not written through.
    #[test]
    fn only_a_file_that_is_wholly_the_same_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("secret"), directory.path().join("link"));
        write(&path, b"one", 0o644, None).unwrap();
        write(&path, b"one", 0o600, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, b"one", 0o600, None).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = write(&path, b"x", 0o600, None).unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.contains("taken"), "{error}");
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn directories_get_their_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets");
        fs::create_dir(&path).unwrap();
        make_directory(&path, 0o700, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(make_directory(&directory.path().join("no/parent"), 0o700, None).is_err());
        // What /var/lib/mailkiln-acme/live looks like: the group goes down without any chown of ours.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o2770)).unwrap();
        let below = path.join("mail.example.org");
        for _ in 0..2 {
            make_directory(&below, 0o750, None).unwrap();
            assert_eq!(fs::metadata(&below).unwrap().permissions().mode() & 0o7777, 0o2750);
        }
    }
}
