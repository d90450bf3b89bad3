//! Entries and the tree that holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mailkiln_pin::Sha256;

use crate::TreePath;

/// Numeric owner of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
}

/// The bytes of a file: inline, or by the digest under which a pack holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Bytes carried in the tree itself (rendered configuration; small).
    Inline(Arc<[u8]>),
    /// Bytes that a pack holds under this digest.
    Packed {
        /// Digest of the whole content.
        sha256: Sha256,
        /// Length in bytes.
        size: u64,
    },
}

impl Content {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Packed { size, .. } => *size,
        }
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link to this target, kept as written.
    Symlink(String),
}

/// One path's metadata and kind. Times do not exist in a tree; writers use one constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, `0o7777` at most.
    pub mode: u16,
    /// Who owns it.
    pub owner: Owner,
    /// Which source put it there: a package's name or a part of ours. For conflicts and SBOM.
    pub origin: Arc<str>,
}

/// The tree: sorted by path, so every walk over it is in the same order everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: BTreeMap<TreePath, Entry>,
}

/// Two sources want the same path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} comes from both `{first}` and `{second}`; only a declared override may replace a file"
)]
pub struct Conflict {
    /// The contested path.
    pub path: TreePath,
    /// Who had it.
    pub first: Arc<str>,
    /// Who wanted it too.
    pub second: Arc<str>,
}

impl Tree {
    /// Adds an entry. Two equal directories, or two wholly equal entries, are one.
    ///
    /// # Errors
    /// [`Conflict`] when another source has put something else there.
    pub fn insert(&mut self, path: TreePath, entry: Entry) -> Result<(), Conflict> {
        match self.entries.get(&path) {
            Some(old) if matches!((&old.kind, &entry.kind), (Kind::Directory, Kind::Directory)) => {
                Ok(())
            }
            Some(old)
                if old.kind == entry.kind && old.mode == entry.mode && old.owner == entry.owner =>
            {
                Ok(())
            }
            Some(old) => Err(Conflict { path, first: old.origin.clone(), second: entry.origin }),
            None => {
                self.entries.insert(path, entry);
                Ok(())
            }
        }
    }

    /// Puts an entry in place of whatever stands there: a declared override.
    pub fn replace(&mut self, path: TreePath, entry: Entry) {
        self.entries.insert(path, entry);
    }

    /// Removes a path and everything below it; returns how many entries went.
    pub fn remove(&mut self, path: &TreePath) -> usize {
        let before = self.entries.len();
        self.entries.retain(|candidate, _| !candidate.is_within(path));
        before - self.entries.len()
    }

    /// What stands at `path`, symlinks not followed.
    pub fn get(&self, path: &TreePath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// All entries in path order.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.entries.iter()
    }

    /// Entries at or below `path`, in path order.
    pub fn within<'a>(
        &'a self,
        path: &'a TreePath,
    ) -> impl Iterator<Item = (&'a TreePath, &'a Entry)> {
        self.entries.iter().filter(|(candidate, _)| candidate.is_within(path))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
