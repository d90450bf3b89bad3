//! One run at a time: two would order the same certificate twice.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run is under way.
    #[error("another run of mailkiln-acme is under way; see `journalctl -u mailkiln-acme`")]
    Taken,
    /// The file cannot be opened.
    #[error("cannot open {0}: {1}; run this as root or as the user mailkiln-acme")]
    Open(PathBuf, #[source] io::Error),
}

/// Held until it is dropped; the kernel drops it for a process that was killed.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`LockError::Taken`] at once when another process has it.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| LockError::Open(path.to_owned(), error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Err(LockError::Taken),
            Err(error) => Err(LockError::Open(path.to_owned(), error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_is_done() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(LockError::Taken)));
        drop(first);
        Lock::take(&path).unwrap();
    }
}
