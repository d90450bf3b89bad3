//! A tree on its way to being finished.
//!
//! In: the tree of unpacked sources and a reader of their contents. Out: the same tree with
//! files added. Every fix-up writes through a [`Draft`], so that all of them name their files
//! and their failures in the same way.

use mailkiln_pin::Sha256;

use crate::{BadPath, Content, Entry, Kind, Owner, Tree, TreePath};

/// What fix-ups name as the origin of their files.
pub(crate) const ORIGIN: &str = "mailkiln";

/// Bytes behind the digests of a tree.
pub trait Contents {
    /// The bytes whose digest is `sha256`.
    ///
    /// # Errors
    /// When no pack holds them, or a pack is damaged.
    fn read(&self, sha256: &Sha256) -> std::io::Result<Vec<u8>>;
}

/// Contents for a tree whose files are all inline.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingPacked;

impl Contents for NothingPacked {
    fn read(&self, sha256: &Sha256) -> std::io::Result<Vec<u8>> {
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("no pack holds {sha256}")))
    }
}

/// Why a tree can't be finished.
#[derive(Debug, thiserror::Error)]
pub enum FixupError {
    /// A package lacks a file that a fix-up is made from.
    #[error("{path} is missing, which {needed_for} needs: is its package in the lock?")]
    Missing {
        /// Where the file should be.
        path: String,
        /// What is made from it.
        needed_for: &'static str,
    },
    /// A file is not what its format promises.
    #[error("{path}, line {line}: {why}")]
    Malformed {
        /// The file.
        path: String,
        /// Its line, from 1.
        line: usize,
        /// What is wrong and what is expected.
        why: String,
    },
    /// The bytes of a file could not be had.
    #[error(
        "the contents of {path} can't be read: {source}; `mailkiln cache prune` and build again"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// A path leads through something that is no directory.
    #[error("{path} lies below {through} (from `{origin}`), which is not a directory")]
    NotADirectory {
        /// The entry.
        path: String,
        /// The ancestor in question.
        through: String,
        /// The source of that ancestor.
        origin: String,
    },
    /// Two accounts collide.
    #[error("{0}; give one of the two another number or name")]
    Account(String),
    /// A unit to be enabled can't be.
    #[error("the unit `{unit}` can't be enabled: {why}")]
    Unit {
        /// Its name.
        unit: String,
        /// The reason.
        why: String,
    },
    /// A path that no tree can hold.
    #[error(transparent)]
    Path(#[from] BadPath),
}

/// The tree being finished, and what reads its contents.
pub(crate) struct Draft<'a> {
    pub(crate) tree: Tree,
    contents: &'a dyn Contents,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(tree: Tree, contents: &'a dyn Contents) -> Self {
        Self { tree, contents }
    }

    /// Whether something stands at `path`.
    pub(crate) fn has(&self, path: &str) -> Result<bool, FixupError> {
        Ok(self.tree.get(&TreePath::parse(path)?).is_some())
    }

    /// The bytes of the file that `path` leads to, symlinks followed; `None` when there is none.
    pub(crate) fn read(&self, path: &TreePath) -> Result<Option<Vec<u8>>, FixupError> {
        let entry = self.tree.resolve(path).and_then(|resolved| self.tree.get(&resolved));
        let Some(Entry { kind: Kind::File(content), .. }) = entry else { return Ok(None) };
        match content {
            Content::Inline(bytes) => Ok(Some(bytes.to_vec())),
            Content::Packed { sha256, .. } => {
                let unreadable = |source| FixupError::Unreadable { path: path.to_string(), source };
                self.contents.read(sha256).map(Some).map_err(unreadable)
            }
        }
    }

    /// The text of the file that `path` leads to; `None` when there is none.
    pub(crate) fn text(&self, path: &TreePath) -> Result<Option<String>, FixupError> {
        let Some(bytes) = self.read(path)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|error| FixupError::Malformed {
            path: path.to_string(),
            line: line_of(error.as_bytes(), error.utf8_error().valid_up_to()),
            why: "it is not UTF-8 text".to_owned(),
        })
    }

    /// The text of a file without which the image can't be made.
    pub(crate) fn required_text(
        &self,
        path: &str,
        needed_for: &'static str,
    ) -> Result<String, FixupError> {
        let missing = || FixupError::Missing { path: format!("/{path}"), needed_for };
        self.text(&TreePath::parse(path)?)?.ok_or_else(missing)
    }

    /// Files named `*SUFFIX` of the same-named folders, highest priority first, as systemd reads
    /// drop-ins: a name in an earlier folder hides it in later ones; sorted by name.
    pub(crate) fn drop_ins(
        &self,
        folders: &[impl AsRef<str>],
        suffix: &str,
    ) -> Result<Vec<TreePath>, FixupError> {
        let mut found = std::collections::BTreeMap::new();
        for folder in folders {
            let folder = TreePath::parse(folder.as_ref())?;
            for name in self.tree.names_in(&folder).filter(|name| name.ends_with(suffix)) {
                found.entry(name.to_owned()).or_insert(folder.join(name)?);
            }
        }
        Ok(found.into_values().collect())
    }

    /// Writes a file of root's, in place of whatever was there.
    pub(crate) fn write(
        &mut self,
        path: &str,
        bytes: impl Into<std::sync::Arc<[u8]>>,
        mode: u16,
    ) -> Result<(), FixupError> {
        self.put(path, Entry::file(bytes, mode, ORIGIN))
    }

    /// Writes a text file of root's, 0644, unless a source has brought its own.
    pub(crate) fn write_default(&mut self, path: &str, text: &str) -> Result<(), FixupError> {
        if self.has(path)? { Ok(()) } else { self.write(path, text.as_bytes(), 0o644) }
    }

    /// Makes a symbolic link, in place of whatever was there, and of what was below it.
    pub(crate) fn link(&mut self, path: &str, target: &str) -> Result<(), FixupError> {
        self.tree.remove(&TreePath::parse(path)?);
        self.put(path, Entry::symlink(target, ORIGIN))
    }

    /// Makes a directory unless one is there.
    pub(crate) fn directory(&mut self, path: &str, mode: u16) -> Result<(), FixupError> {
        self.directory_of(path, mode, Owner::default())
    }

    /// Makes a directory with an owner unless one is there.
    pub(crate) fn directory_of(
        &mut self,
        path: &str,
        mode: u16,
        owner: Owner,
    ) -> Result<(), FixupError> {
        let path = TreePath::parse(path)?;
        if self.tree.get(&path).is_none() {
            let entry = Entry::directory(mode, ORIGIN).owned_by(owner.uid, owner.gid);
            self.tree.replace(path, entry);
        }
        Ok(())
    }

    /// Puts an entry in place of whatever is there.
    pub(crate) fn put(&mut self, path: &str, entry: Entry) -> Result<(), FixupError> {
        self.tree.replace(TreePath::parse(path)?, entry);
        Ok(())
    }
}

/// The line, from 1, in which byte `at` stands.
fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count()
}
