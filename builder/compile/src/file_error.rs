//! What the file system refused, and where: every I/O error of this crate names its path.

use std::io;
use std::path::{Path, PathBuf};

/// An operation on a file that failed.
#[derive(Debug, thiserror::Error)]
#[error("can't {doing} {}: {source}", path.display())]
pub struct FileError {
    /// The verb: `read`, `create`, `write`.
    pub doing: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

/// Turns an [`io::Result`] into one that says what was being done to which path.
pub(crate) trait At<T> {
    /// Adds the verb and the path to an error.
    fn at(self, doing: &'static str, path: &Path) -> Result<T, FileError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { doing, path: path.to_owned(), source: source.into() })
    }
}
