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

impl Entry {
    /// A directory of root's.
    pub fn directory(mode: u16, origin: &str) -> Self {
        Self { kind: Kind::Directory, mode, owner: Owner::default(), origin: origin.into() }
    }

    /// A file of root's with these bytes.
    pub fn file(bytes: impl Into<Arc<[u8]>>, mode: u16, origin: &str) -> Self {
        let kind = Kind::File(Content::Inline(bytes.into()));
        Self { kind, mode, owner: Owner::default(), origin: origin.into() }
    }

    /// A symbolic link of root's.
    pub fn symlink(target: impl Into<String>, origin: &str) -> Self {
        let kind = Kind::Symlink(target.into());
        Self { kind, mode: 0o777, owner: Owner::default(), origin: origin.into() }
    }

    /// The same entry, owned by `uid` and `gid`.
    #[must_use]
    pub fn owned_by(self, uid: u32, gid: u32) -> Self {
        Self { owner: Owner { uid, gid }, ..self }
    }
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
    /// Adds an entry. Two directories are one and keep the mode and owner of the first, as with dpkg; two wholly equal
    /// entries are one.
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

    /// Adds a directory whose mode and owner count, whatever those of a directory are that stands there already.
    ///
    /// # Errors
    /// [`Conflict`] when another source has put something else than a directory there.
    pub fn set_directory(&mut self, path: TreePath, entry: Entry) -> Result<(), Conflict> {
        match self.entries.get(&path) {
            Some(Entry { kind: Kind::Directory, .. }) | None => {
                self.entries.insert(path, entry);
                Ok(())
            }
            Some(old) => Err(Conflict { path, first: old.origin.clone(), second: entry.origin }),
        }
    }

    /// Puts an entry in place of whatever stands there: a declared override.
    pub fn replace(&mut self, path: TreePath, entry: Entry) {
        self.entries.insert(path, entry);
    }

    /// Removes a path and everything below it; returns how many entries went.
    pub fn remove(&mut self, path: &TreePath) -> usize {
        let doomed: Vec<_> = self.within(path).map(|(path, _)| path.clone()).collect();
        for path in &doomed {
            self.entries.remove(path);
        }
        doomed.len()
    }

    /// What stands at `path`, symlinks not followed.
    pub fn get(&self, path: &TreePath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// All entries in path order.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.entries.iter()
    }

    /// Entries at or below `path`: itself first, then what is below in path order.
    pub fn within<'a>(
        &'a self,
        path: &TreePath,
    ) -> impl Iterator<Item = (&'a TreePath, &'a Entry)> + use<'a> {
        self.entries.get_key_value(path).into_iter().chain(self.entries.range(path.span_below()))
    }

    /// Names of what stands directly in the directory `path`, sorted.
    pub fn names_in<'a>(&'a self, path: &TreePath) -> impl Iterator<Item = &'a str> + use<'a> {
        let depth = path.components().count() + 1;
        self.within(path)
            .filter(move |(candidate, _)| candidate.components().count() == depth)
            .map(|(candidate, _)| candidate.name())
    }

    /// The path that `path` leads to when every symlink on the way is followed inside the tree.
    /// `None` when it leads nowhere or in circles. As in a mounted root, `..` ends at the root;
    /// a directory that nobody listed is taken to exist.
    pub fn resolve(&self, path: &TreePath) -> Option<TreePath> {
        const MOST_LINKS: usize = 40; // as Linux: path_resolution(7)
        let mut links = 0;
        let mut rest: Vec<String> = path.components().rev().map(str::to_owned).collect();
        let mut reached = TreePath::ROOT;
        while let Some(component) = rest.pop() {
            match component.as_str() {
                "" | "." => continue,
                ".." => {
                    reached = reached.parent().unwrap_or(TreePath::ROOT);
                    continue;
                }
                _ => {}
            }
            let next = reached.join(&component).ok()?;
            match self.get(&next).map(|entry| &entry.kind) {
                Some(Kind::Symlink(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    if target.starts_with('/') {
                        reached = TreePath::ROOT;
                    }
                    rest.extend(target.split('/').rev().map(str::to_owned));
                }
                _ => reached = next,
            }
        }
        self.get(&reached).is_some().then_some(reached)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    #[test]
    fn within_does_not_take_neighbours_with_the_same_beginning() {
        let mut tree = Tree::default();
        for name in ["etc", "etc-old", "etc/b", "etc/a", "etc/a/x", "etc0", "usr"] {
            tree.insert(path(name), Entry::directory(0o755, "test")).unwrap();
        }
        let below: Vec<_> = tree.within(&path("etc")).map(|(path, _)| path.as_str()).collect();
        assert_eq!(below, ["etc", "etc/a", "etc/a/x", "etc/b"]);
        assert_eq!(tree.names_in(&path("etc")).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(tree.names_in(&TreePath::ROOT).count(), 4);
        assert_eq!(tree.remove(&path("etc")), 4);
        assert_eq!(tree.len(), 3);
    }

    #[test]
    fn the_mode_of_a_set_directory_counts_over_that_of_a_package() {
        let mut tree = Tree::default();
        tree.insert(path("var/lib/x"), Entry::directory(0o755, "package")).unwrap();
        tree.insert(path("var/lib/x"), Entry::directory(0o700, "other")).unwrap();
        assert_eq!(tree.get(&path("var/lib/x")).unwrap().mode, 0o755);
        tree.set_directory(path("var/lib/x"), Entry::directory(0o700, "service")).unwrap();
        assert_eq!(tree.get(&path("var/lib/x")).unwrap().mode, 0o700);
        tree.insert(path("etc/x"), Entry::file(*b"x", 0o644, "package")).unwrap();
        tree.set_directory(path("etc/x"), Entry::directory(0o700, "service")).unwrap_err();
    }

    #[test]
    fn links_are_followed_inside_the_tree_and_never_for_ever() {
        let mut tree = Tree::default();
        for name in ["usr", "usr/bin"] {
            tree.insert(path(name), Entry::directory(0o755, "test")).unwrap();
        }
        tree.insert(path("usr/bin/mawk"), Entry::file(*b"x", 0o755, "test")).unwrap();
        for (link, target) in [
            ("bin", "usr/bin"),
            ("usr/bin/awk", "/bin/mawk"),
            ("up", "../../../usr/./bin/awk"),
            ("loop", "usr/../loop"),
            ("gone", "nowhere"),
        ] {
            tree.insert(path(link), Entry::symlink(target, "test")).unwrap();
        }
        for name in ["bin/awk", "usr/bin/awk", "up", "usr/bin/mawk"] {
            assert_eq!(tree.resolve(&path(name)), Some(path("usr/bin/mawk")), "{name}");
        }
        for name in ["loop", "gone", "usr/none"] {
            assert_eq!(tree.resolve(&path(name)), None, "{name}");
        }
    }
}
