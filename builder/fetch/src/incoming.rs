//! A file on its way into the cache: hashed while it is written, published only when it is right.
//!
//! In: bytes, in order. Out: a blob under its final name, or nothing. What has arrived of an
//! interrupted download stays under `partial/` and is taken up again, unless the disk was full.

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use mailkiln_pin::Sha256;
use sha2::Digest as _;

use crate::CacheError;
use crate::cache::{sync_file, sync_folder};

/// A file that is being received. Holds an exclusive lock on it.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    partial: PathBuf,
    blob: PathBuf,
    wanted: Sha256,
    wanted_size: u64,
    hasher: sha2::Sha256,
    received: u64,
}

impl Incoming {
    pub(crate) fn resume(
        file: File,
        partial: PathBuf,
        blob: PathBuf,
        wanted: Sha256,
        wanted_size: u64,
    ) -> Result<Self, CacheError> {
        let hasher = sha2::Sha256::new();
        let mut incoming = Self { file, partial, blob, wanted, wanted_size, hasher, received: 0 };
        incoming.hash_what_is_there()?;
        Ok(incoming)
    }

    /// How many bytes have arrived: where a resumed download has to begin.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Forgets what has arrived.
    pub fn restart(&mut self) -> Result<(), CacheError> {
        self.hasher = sha2::Sha256::new();
        self.received = 0;
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(CacheError::io("empty", &self.partial))?;
        Ok(())
    }

    /// Takes the next bytes. `what` names the file in errors.
    ///
    /// # Errors
    ///
    /// [`CacheError::Altered`] as soon as there are more bytes than the pin says, and
    /// [`CacheError::Full`]; after both nothing is left of the file.
    pub fn append(&mut self, what: &str, bytes: &[u8]) -> Result<(), CacheError> {
        let count = bytes.len() as u64;
        if count > self.wanted_size.saturating_sub(self.received) {
            self.hasher.update(bytes);
            self.received = self.received.saturating_add(count);
            return Err(self.refuse(what));
        }
        if let Err(error) = self.file.write_all(bytes) {
            let error = CacheError::io("write", &self.partial)(error);
            if matches!(error, CacheError::Full { .. }) {
                self.discard();
            }
            return Err(error);
        }
        self.hasher.update(bytes);
        self.received += count;
        Ok(())
    }

    /// Gives the file its final name, if size and digest are those of the pin.
    ///
    /// # Errors
    ///
    /// [`CacheError::Altered`] when they are not; nothing is left of the file then.
    pub fn publish(mut self, what: &str) -> Result<PathBuf, CacheError> {
        let found = Sha256::from_bytes(self.hasher.clone().finalize().into());
        if found != self.wanted || self.received != self.wanted_size {
            return Err(self.refuse(what));
        }
        let synced = sync_file(&mut self.file, &self.partial);
        if let Err(error) = synced {
            self.discard();
            return Err(error);
        }
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .map_err(CacheError::io("protect", &self.partial))?;
        if let Some(folder) = self.blob.parent() {
            fs::create_dir_all(folder).map_err(CacheError::io("create", folder))?;
            fs::rename(&self.partial, &self.blob).map_err(CacheError::io("create", &self.blob))?;
            sync_folder(folder)?;
        }
        Ok(self.blob)
    }

    fn hash_what_is_there(&mut self) -> Result<(), CacheError> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count =
                self.file.read(&mut buffer).map_err(CacheError::io("read", &self.partial))?;
            if count == 0 || self.received > self.wanted_size {
                break;
            }
            self.hasher.update(&buffer[..count]);
            self.received += count as u64;
        }
        if self.received > self.wanted_size { self.restart() } else { Ok(()) }
    }

    fn refuse(&mut self, what: &str) -> CacheError {
        let found = Sha256::from_bytes(self.hasher.clone().finalize().into());
        self.discard();
        CacheError::Altered {
            what: what.to_owned(),
            found,
            found_size: self.received,
            wanted: self.wanted,
            wanted_size: self.wanted_size,
        }
    }

    fn discard(&self) {
        if let Err(error) = fs::remove_file(&self.partial) {
            tracing::warn!(path = %self.partial.display(), %error, "can't remove a useless file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/dev/full` answers every write as a full disk does.
    #[test]
    fn a_full_disk_is_named_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let partial = folder.path().join("partial");
        fs::write(&partial, b"ma").unwrap();
        let mut incoming = Incoming {
            file: File::options().write(true).open("/dev/full").unwrap(),
            partial: partial.clone(),
            blob: folder.path().join("blob"),
            wanted: Sha256::of(b"mail"),
            wanted_size: 4,
            hasher: sha2::Sha256::new(),
            received: 2,
        };
        let error = incoming.append("x", b"il").unwrap_err();
        assert!(matches!(error, CacheError::Full { .. }), "{error}");
        assert!(!partial.exists());
    }
}
