//! The tree as numbered nodes: what an inode table needs to know about names and nesting.
//!
//! In: a tree, sorted by whole path. Out: nodes breadth-first, so that the children of one
//! directory are neighbours, sorted by name, and every child comes after its parent.

use std::collections::BTreeMap;
use std::ops::Range;

use mailkiln_tree::{Entry, Kind, Owner, Tree, TreePath};

use crate::writer::PlanError;

static ROOT: TreePath = TreePath::ROOT;

/// One inode to be. Its inode number is its place in the list plus one.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    pub(crate) path: &'a TreePath,
    pub(crate) entry: &'a Entry,
    /// Place of the directory that holds it; the root holds itself.
    pub(crate) parent: usize,
    /// Places of a directory's children; empty for everything else.
    pub(crate) children: Range<usize>,
}

/// The root of a tree that does not say what its root is like.
pub(crate) fn default_root() -> Entry {
    Entry { kind: Kind::Directory, mode: 0o755, owner: Owner::default(), origin: "".into() }
}

/// Numbers the entries of `tree`; `root` stands in where the tree has no root entry.
pub(crate) fn number<'a>(tree: &'a Tree, root: &'a Entry) -> Result<Vec<Node<'a>>, PlanError> {
    let mut children = BTreeMap::<TreePath, Vec<(&TreePath, &Entry)>>::new();
    let mut root = root;
    for (path, entry) in tree.iter() {
        match path.parent() {
            None => root = entry,
            Some(parent) => children.entry(parent).or_default().push((path, entry)),
        }
    }
    if root.kind != Kind::Directory {
        return Err(PlanError::NotADirectory { path: TreePath::ROOT });
    }
    let mut nodes = vec![Node { path: &ROOT, entry: root, parent: 0, children: 0..0 }];
    let mut at = 0;
    while at < nodes.len() {
        let mut held = children.remove(nodes[at].path).unwrap_or_default();
        if !held.is_empty() && nodes[at].entry.kind != Kind::Directory {
            return Err(PlanError::NotADirectory { path: nodes[at].path.clone() });
        }
        // Paths under `a` and `a-b` interleave in the tree's order; names alone do not.
        held.sort_by_key(|(path, _)| path.name());
        nodes[at].children = nodes.len()..nodes.len() + held.len();
        nodes.extend(held.into_iter().map(|(path, entry)| Node {
            path,
            entry,
            parent: at,
            children: 0..0,
        }));
        at += 1;
    }
    match children.pop_first() {
        Some((parent, _)) => Err(PlanError::NoParent { path: parent }),
        None => Ok(nodes),
    }
}
