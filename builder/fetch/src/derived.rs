//! Derived items: what was made from pinned inputs, kept by the digest of those inputs.
//!
//! In: a kind (`unit`, `pack`), a key, and a closure that makes the item. Out: the item's path. It
//! appears under its name when it is whole, or not at all; two that make it at once get one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use mailkiln_pin::Sha256;

use crate::cache::{sync_file, sync_folder, used};
use crate::{Cache, CacheError};

impl Cache {
    /// The item that was made from the inputs with digest `key`, if the cache has it. `kind` is a
    /// plain word that names the recipe, and belongs to its maker alone.
    pub fn derived(&self, kind: &str, key: &Sha256) -> Option<PathBuf> {
        let path = self.derived_path(kind, key);
        used(&path).then_some(path)
    }

    /// Stores a derived file, as `make` writes it.
    ///
    /// # Errors
    ///
    /// Whatever `make` returns, or the cache's own; nothing is left of the item then.
    pub fn publish_derived<E: From<CacheError>>(
        &self,
        kind: &str,
        key: &Sha256,
        make: impl FnOnce(&mut File) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let mut temporary = self.temporary_file()?;
        make(temporary.as_file_mut())?;
        let path = self.prepare(kind, key)?;
        let name = temporary.path().to_owned();
        sync_file(temporary.as_file_mut(), &name)?;
        temporary.persist(&path).map_err(|error| CacheError::io("create", &path)(error.error))?;
        settle(&path)?;
        Ok(path)
    }

    /// Stores a derived folder, as `make` fills it.
    ///
    /// # Errors
    ///
    /// Whatever `make` returns, or the cache's own; nothing is left of the item then.
    pub fn publish_derived_directory<E: From<CacheError>>(
        &self,
        kind: &str,
        key: &Sha256,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let temporary = self.temporary_directory()?;
        make(temporary.path())?;
        let path = self.prepare(kind, key)?;
        File::open(temporary.path())
            .and_then(|folder| nix::unistd::syncfs(&folder).map_err(io::Error::from))
            .map_err(CacheError::io("sync", temporary.path()))?;
        match fs::rename(temporary.path(), &path) {
            // Somebody else was faster. The key is the same, so theirs is as good.
            Err(error) if is_taken(&error) => {}
            renamed => renamed.map_err(CacheError::io("create", &path))?,
        }
        settle(&path)?;
        Ok(path)
    }

    /// Removes an item, at once or not at all. Nothing happens when the cache does not have it. Only
    /// its maker can know that nobody reads it.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`]; what could not be removed is in `tmp` then, which `prune` empties.
    pub fn remove_derived(&self, kind: &str, key: &Sha256) -> Result<(), CacheError> {
        let path = self.derived_path(kind, key);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(());
        }
        let aside = self.temporary_directory()?;
        let to = aside.path().join("removed");
        fs::rename(&path, &to).map_err(CacheError::io("remove", &path))?;
        aside.close().map_err(CacheError::io("remove", &path))
    }

    fn derived_path(&self, kind: &str, key: &Sha256) -> PathBuf {
        // A kind with a slash would make a path of the caller's, not one of the cache's.
        self.root().join("derived").join(kind.replace(['/', '.'], "_")).join(key.to_string())
    }

    fn prepare(&self, kind: &str, key: &Sha256) -> Result<PathBuf, CacheError> {
        let path = self.derived_path(kind, key);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(CacheError::io("create", folder))?;
        }
        Ok(path)
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

fn settle(path: &Path) -> Result<(), CacheError> {
    path.parent().map_or(Ok(()), sync_folder)
}
