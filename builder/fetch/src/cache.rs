//! The cache's folder: verified files by digest, derived items by the digest of their inputs.
//!
//! In: a folder. Out: a [`Cache`] that several processes may use at once. Layout:
//! `blobs/ab/abcd…` (verified, read-only), `derived/KIND/KEY`, `partial/` (downloads on their way),
//! `tmp/` (everything else that has no final name yet), `lock`.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use etcetera::BaseStrategy as _;
use mailkiln_pin::Sha256;
use tempfile::{NamedTempFile, TempDir};

use crate::{CacheError, Incoming};

/// How often an item's time of last use is written, at most.
const TOUCH_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// <https://bford.info/cachedir/>: backup programs leave such a folder out.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                            # Files that mailkiln can fetch or make again.\n";

/// An open cache. While it is open, nothing is pruned from it by another process.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    _in_use: File,
}

impl Cache {
    /// Where the cache is unless somebody says otherwise: `MAILKILN_CACHE`, else `mailkiln` in
    /// `XDG_CACHE_HOME` or `~/.cache`.
    pub fn default_root() -> Result<PathBuf, CacheError> {
        if let Some(root) = env::var_os("MAILKILN_CACHE").filter(|root| !root.is_empty()) {
            return Ok(root.into());
        }
        let base = etcetera::base_strategy::Xdg::new().map_err(|_| CacheError::NoHome)?;
        Ok(base.cache_dir().join("mailkiln"))
    }

    /// Opens the cache at `root` and makes its folders where they are missing. Waits while
    /// another process prunes it.
    ///
    /// One that can only be read serves for what it has.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        match Self::open_to_write(root) {
            Err(CacheError::Io { source, .. })
                if is_closed(&source) && root.join("blobs").is_dir() =>
            {
                let root = fs::canonicalize(root).map_err(CacheError::io("open", root))?;
                tracing::info!(path = %root.display(), "the cache can only be read");
                // Its folder stands in for the lock: a reader needs no more than its lock's place.
                let lock = root.join("lock");
                let in_use = File::open(&lock).or_else(|_| File::open(&root));
                let in_use = in_use.map_err(CacheError::io("open", &lock))?;
                // Where nobody can write, nobody prunes; some such file systems have no locks.
                let _ = in_use.try_lock_shared();
                Ok(Self { root, _in_use: in_use })
            }
            other => other,
        }
    }

    fn open_to_write(root: &Path) -> Result<Self, CacheError> {
        for folder in ["blobs", "derived", "partial", "tmp"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(CacheError::io("create", &path))?;
        }
        let root = fs::canonicalize(root).map_err(CacheError::io("open", root))?;
        let tag = root.join("CACHEDIR.TAG");
        if !tag.exists() {
            fs::write(&tag, CACHEDIR_TAG).map_err(CacheError::io("write", &tag))?;
        }
        let in_use = open_lock(&root)?;
        in_use.lock_shared().map_err(CacheError::io("lock", &root.join("lock")))?;
        Ok(Self { root, _in_use: in_use })
    }

    /// The cache's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file of this digest is, or would be.
    pub fn blob_path(&self, digest: &Sha256) -> PathBuf {
        let name = digest.to_string();
        self.root.join("blobs").join(&name[..2]).join(name)
    }

    /// The file of this digest, if the cache has it. It was verified when it was stored.
    pub fn blob(&self, digest: &Sha256) -> Option<PathBuf> {
        let path = self.blob_path(digest);
        used(&path).then_some(path)
    }

    /// The bytes of a file of the cache, verified again. A file that has rotted is removed.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`] with `NotFound` when the cache does not have it,
    /// [`CacheError::Damaged`] when its bytes are no longer right.
    pub fn read_blob(&self, digest: &Sha256) -> Result<Vec<u8>, CacheError> {
        let path = self.blob_path(digest);
        let bytes = fs::read(&path).map_err(CacheError::io("read", &path))?;
        if Sha256::of(&bytes) == *digest {
            return Ok(bytes);
        }
        fs::remove_file(&path).map_err(CacheError::io("remove", &path))?;
        Err(CacheError::Damaged { path })
    }

    /// Stores what `source` yields, if it is `size` bytes with this digest. `what` names it in
    /// errors. Costs nothing when the cache has it already.
    pub fn insert(
        &self,
        what: &str,
        digest: Sha256,
        size: u64,
        mut source: impl Read,
    ) -> Result<PathBuf, CacheError> {
        let Some(mut incoming) = self.receive(digest, size)? else {
            return Ok(self.blob_path(&digest));
        };
        incoming.restart()?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = source.read(&mut buffer).map_err(|source| CacheError::Io {
                action: "read",
                path: what.into(),
                source,
            })?;
            if count == 0 {
                return incoming.publish(what);
            }
            incoming.append(what, &buffer[..count])?;
        }
    }

    /// Begins to receive a file, or takes up where an interrupted download stopped. Waits while
    /// another process receives the same file. `None` when the cache has it (by then).
    pub fn receive(&self, digest: Sha256, size: u64) -> Result<Option<Incoming>, CacheError> {
        let partial = self.root.join("partial").join(digest.to_string());
        loop {
            if self.blob(&digest).is_some() {
                return Ok(None);
            }
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&partial)
                .map_err(CacheError::io("create", &partial))?;
            file.lock().map_err(CacheError::io("lock", &partial))?;
            // Whoever held the lock before may have published or removed what we opened.
            if same_file(&file, &partial) {
                let blob = self.blob_path(&digest);
                return Incoming::resume(file, partial, blob, digest, size).map(Some);
            }
        }
    }

    /// The same cache with nobody else in it.
    pub(crate) fn alone(self) -> Result<Self, CacheError> {
        let exclusive = open_lock(&self.root)?;
        let Self { root, _in_use } = self;
        // Our own share of the lock would be in our way.
        drop(_in_use);
        exclusive.try_lock().map_err(|_| CacheError::InUse { path: root.clone() })?;
        Ok(Self { root, _in_use: exclusive })
    }

    pub(crate) fn temporary_file(&self) -> Result<NamedTempFile, CacheError> {
        let folder = self.root.join("tmp");
        tempfile::Builder::new().tempfile_in(&folder).map_err(CacheError::io("create", &folder))
    }

    pub(crate) fn temporary_directory(&self) -> Result<TempDir, CacheError> {
        let folder = self.root.join("tmp");
        tempfile::Builder::new().tempdir_in(&folder).map_err(CacheError::io("create", &folder))
    }
}

/// Whether the system says that nothing can be written there, to this user or to anybody.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

/// Opens the file whose lock says that the cache is in use.
fn open_lock(root: &Path) -> Result<File, CacheError> {
    let path = root.join("lock");
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(CacheError::io("create", &path))
}

/// Whether the item exists; if so, notes that it was used, for `prune`.
pub(crate) fn used(path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    let now = SystemTime::now();
    let stale = metadata
        .modified()
        .ok()
        .and_then(|last| now.duration_since(last).ok())
        .is_some_and(|age| age > TOUCH_INTERVAL);
    if stale && let Err(error) = File::open(path).and_then(|file| file.set_modified(now)) {
        // A cache on a read-only file system serves as well; it is never pruned.
        tracing::debug!(path = %path.display(), %error, "can't note that an item was used");
    }
    true
}

fn same_file(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(theirs)) => identity(ours) == identity(theirs),
        _ => false,
    }
}

/// Makes a rename in `folder` survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), CacheError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(CacheError::io("sync", folder))
}

/// Flushes a file's bytes; what a full disk did not take is an error here at the latest.
pub(crate) fn sync_file(file: &mut File, path: &Path) -> Result<(), CacheError> {
    file.flush().and_then(|()| file.sync_all()).map_err(CacheError::io("write", path))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
