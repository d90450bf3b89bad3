//! What can go wrong with the cache and with downloads, and what to do about it.

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

/// A download that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Mirrors answer, but no longer have these packages.
    #[error(
        "no mirror has {} any more:\n  {}\ntried:\n  {}\nMirrors drop packages soon after a newer \
         version is out. Either make a new lock with `mailkiln lock --update`, or name a mirror that \
         keeps old packages, such as a snapshot archive, with `--mirror`",
        if names.len() == 1 { "this package" } else { "these packages" },
        names.join("\n  "),
        tried.join("\n  ")
    )]
    Lost {
        /// Every package that was missed: name, version, architecture.
        names: Vec<String>,
        /// What each address answered, for one of the packages.
        tried: Vec<String>,
    },
    /// No mirror answers.
    #[error(
        "can't download {name}:\n  {}\ncheck the network and the proxy, if one is named (HTTP_PROXY, HTTPS_PROXY), or name \
         another mirror with `--mirror`",
        tried.join("\n  ")
    )]
    Unreachable {
        /// The file.
        name: String,
        /// What each address answered.
        tried: Vec<String>,
    },
    /// There is nowhere to look.
    #[error(
        "can't download {name}: no mirror is known. Name one with `--mirror` or MAILKILN_MIRROR, or as \
         `mirror` in mail.toml's [build]"
    )]
    NoMirror {
        /// The file.
        name: String,
    },
    /// A server sends more than any such file has.
    #[error(
        "{address} is larger than {limit} bytes: that is not what was asked for; try another mirror"
    )]
    TooLarge {
        /// The address.
        address: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The cache could not take the file, or the file is not that of the pin.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl FetchError {
    /// A word for programs that react to the error. `mirror-lost-package` is what `./demo` and
    /// `./check` answer with a fresh lock.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lost { .. } => "mirror-lost-package",
            Self::Unreachable { .. } => "mirror-unreachable",
            Self::NoMirror { .. } => "no-mirror",
            Self::TooLarge { .. } => "too-large",
            Self::Cache(CacheError::Altered { .. }) => "altered",
            Self::Cache(_) => "cache",
        }
    }

    /// One error for many: the first that is not a lost package, else all lost packages.
    pub(crate) fn summary(errors: impl Iterator<Item = Self>) -> Result<(), Self> {
        let (mut all, mut first_tried) = (Vec::new(), Vec::new());
        for error in errors {
            match error {
                Self::Lost { mut names, tried } => {
                    all.append(&mut names);
                    if first_tried.is_empty() {
                        first_tried = tried;
                    }
                }
                other => return Err(other),
            }
        }
        if all.is_empty() { Ok(()) } else { Err(Self::Lost { names: all, tried: first_tried }) }
    }
}
