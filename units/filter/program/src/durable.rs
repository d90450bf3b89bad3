//! Files and directories that are whole or not there, whenever the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::Path;

/// Writes a new file with mode 0600 and brings it to the medium. Its name is safe only after
/// [`flush_directory`].
///
/// # Errors
/// What the file system says.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Replaces a file, or makes it: readers see the old one or the new one.
///
/// # Errors
/// What the file system says; the old file is then untouched.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    // A leftover of a power cut.
    remove(&beside)?;
    create(&beside, content)?;
    // Root at the command line must not take a file away from the service.
    let directory = fs::metadata(path.parent().unwrap_or(path))?;
    if fs::metadata(&beside)?.uid() != directory.uid() {
        chown(&beside, Some(directory.uid()), Some(directory.gid()))?;
    }
    fs::rename(&beside, path)?;
    flush_directory(path.parent().unwrap_or(path))
}

/// Removes a file that may be gone already.
///
/// # Errors
/// What the file system says when it stays.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Brings a directory's names to the medium: fsync(2), "Description".
///
/// # Errors
/// What the file system says.
pub fn flush_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_without_traces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(directory.path().join(".a.new"), "half").unwrap();
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(create(&path, b"three").is_err());
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
