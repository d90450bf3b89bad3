//! Files that appear, or are replaced, as a whole: an interrupted command leaves the old one.

use std::io::Write as _;
use std::path::Path;

use mailkiln_publish::unnamed;

use crate::failure::Failure;

/// Writes a file, readable by whom the umask allows.
///
/// # Errors
///
/// [`Failure::File`] with the path; then what was there is there still.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file =
        unnamed(folder.unwrap_or(Path::new("."))).map_err(|error| Failure::work(&error))?;
    let written = file.write_all(bytes).and_then(|()| file.as_file().sync_all());
    written.map_err(Failure::file("write", path))?;
    file.persist(path).map(drop).map_err(|failed| Failure::file("write", path)(failed.error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o400, 0o400);
        assert!(write(&folder.path().join("none/x"), b"one").is_err());
    }
}
