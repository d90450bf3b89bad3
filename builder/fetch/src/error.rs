//! What can go wrong with the cache, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use mailkiln_pin::Sha256;

/// The cache can't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// There is no home directory to keep a cache in.
    #[error("no place for the cache: set HOME, XDG_CACHE_HOME or MAILKILN_CACHE")]
    NoHome,
    /// The file system refused.
    #[error("can't {action} {path}: {source}")]
    Io {
        /// What was tried: `create`, `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk that holds the cache is full.
    #[error(
        "the disk that holds {path} is full: free some space, run `mailkiln cache prune`, or put \
         the cache elsewhere with MAILKILN_CACHE"
    )]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// The bytes are not those of the pin.
    #[error(
        "{what} has SHA-256 {found} and {found_size} bytes, its pin says {wanted} and {wanted_size}"
    )]
    Altered {
        /// The file's name or address.
        what: String,
        /// Digest of what came.
        found: Sha256,
        /// Size of what came, in bytes.
        found_size: u64,
        /// Digest that the pin has.
        wanted: Sha256,
        /// Size that the pin has.
        wanted_size: u64,
    },
    /// A file of the cache has changed since it was stored. It has been removed.
    #[error(
        "{path} was damaged in the cache and has been removed: run the command again to fetch it afresh"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Another process works with the cache.
    #[error("another mailkiln is using the cache {path}: try again when it has ended")]
    InUse {
        /// The cache.
        path: PathBuf,
    },
}

impl CacheError {
    /// Names the path and the action in an I/O error; a full disk is an error of its own.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { action, path, source },
        }
    }
}
