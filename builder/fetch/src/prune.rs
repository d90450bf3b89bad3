//! What the cache holds, and what may go.
//!
//! In: rules, and the digests that the current lock names. Out: what was removed and how much
//! that freed. Nothing is removed while another process has the cache open.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mailkiln_pin::Sha256;

use crate::{Cache, CacheError};

/// One item of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes of its files.
    pub bytes: u64,
    /// When it was stored or used last, give or take a day.
    pub last_used: SystemTime,
}

/// What an item of the cache is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// A verified file.
    Blob(Sha256),
    /// Made from inputs with the digest `key`.
    Derived {
        /// The recipe.
        kind: String,
        /// Digest of the inputs.
        key: String,
    },
    /// The beginning of a file, from a download that was interrupted, or a build's leftovers.
    Unfinished,
}

/// What `prune` removes: each item that no rule keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Keep items that were used more recently than this.
    pub younger_than: Option<Duration>,
    /// Of those, remove the least recently used until the cache holds at most so many bytes.
    pub at_most: Option<u64>,
}

/// What `prune` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What was removed.
    pub removed: Vec<Item>,
    /// Bytes that this freed.
    pub freed: u64,
    /// Bytes that the cache still holds.
    pub left: u64,
}

impl Cache {
    /// Every item, sorted by path.
    pub fn list(&self) -> Result<Vec<Item>, CacheError> {
        let mut items = Vec::new();
        for folder in children(&self.root().join("blobs"))? {
            for path in children(&folder)? {
                let kind = file_name(&path).parse().map_or(ItemKind::Unfinished, ItemKind::Blob);
                items.extend(item(kind, path)?);
            }
        }
        for folder in children(&self.root().join("derived"))? {
            for path in children(&folder)? {
                let kind = ItemKind::Derived { kind: file_name(&folder), key: file_name(&path) };
                items.extend(item(kind, path)?);
            }
        }
        for folder in ["partial", "tmp"] {
            for path in children(&self.root().join(folder))? {
                items.extend(item(ItemKind::Unfinished, path)?);
            }
        }
        Ok(items)
    }

    /// Removes what no rule keeps; blobs named in `keep` stay whatever the rules say. Leftovers of
    /// interrupted builds always go: nobody is at work on them.
    ///
    /// # Errors
    ///
    /// [`CacheError::InUse`] when another process has the cache open.
    pub fn prune(self, rules: Rules, keep: &BTreeSet<Sha256>) -> Result<Pruned, CacheError> {
        let cache = self.alone()?;
        let mut items = cache.list()?;
        items.sort_by_key(|item| Reverse(item.last_used));
        let now = SystemTime::now();
        let (mut pruned, mut kept) = (Pruned::default(), 0_u64);
        let named =
            |item: &Item| matches!(item.kind, ItemKind::Blob(digest) if keep.contains(&digest));
        let (wanted, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(named);
        kept += wanted.iter().map(|item| item.bytes).sum::<u64>();
        // The least recently used go first: once an item does not fit, no older one stays.
        let mut full = false;
        for item in rest {
            let young = rules.younger_than.is_some_and(|limit| {
                now.duration_since(item.last_used).unwrap_or_default() < limit
            });
            let ruled = rules.younger_than.is_some() || rules.at_most.is_some();
            let may_stay = ruled
                && (young || rules.younger_than.is_none())
                && item.kind != ItemKind::Unfinished;
            let after = kept.saturating_add(item.bytes);
            full |= may_stay && rules.at_most.is_some_and(|limit| after > limit);
            if may_stay && !full {
                kept = after;
            } else {
                remove(&item.path)?;
                pruned.freed += item.bytes;
                pruned.removed.push(item);
            }
        }
        pruned.left = kept;
        pruned.removed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(pruned)
    }
}

/// The item at `path`, unless another process has just removed or published it.
fn item(kind: ItemKind, path: PathBuf) -> Result<Option<Item>, CacheError> {
    let read = || {
        let last_used = fs::symlink_metadata(&path)?.modified()?;
        Ok(Some((size(&path)?, last_used)))
    };
    let found = read().or_else(unless_gone).map_err(CacheError::io("read", &path))?;
    Ok(found.map(|(bytes, last_used)| Item { kind, path, bytes, last_used }))
}

fn unless_gone<T>(error: io::Error) -> io::Result<Option<T>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
}

/// Bytes of a file, or of all files below a folder.
fn size(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.try_fold(0_u64, |sum, entry| Ok(sum.saturating_add(size(&entry?.path())?)))
}

/// What a folder holds, sorted.
fn children(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    let mut paths: Vec<PathBuf> = read().map_err(CacheError::io("read", folder))?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn remove(path: &Path) -> Result<(), CacheError> {
    let metadata = fs::symlink_metadata(path).map_err(CacheError::io("read", path))?;
    let removed = if metadata.is_dir() { remove_folder(path) } else { fs::remove_file(path) };
    removed.map_err(CacheError::io("remove", path))
}

/// Removes a folder, also when folders in it are read-only, as unpacked packages may have them.
fn remove_folder(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_folder(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(path)
}
