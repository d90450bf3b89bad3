//! Layers as one tree.
//!
//! In: the layers of an image's packages. Out: the tree they make together, with the package
//! database's status file. Two packages that bring different files to one path are an error.

use mailkiln_tree::{BadPath, Conflict, Entry, Tree, TreePath};

use crate::dpkg;
use crate::layer::Layer;

/// Why layers do not make a tree.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// Two packages want the same path.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A path that no tree can hold.
    #[error(transparent)]
    Path(#[from] BadPath),
}

/// Merges `layers` in their order; where several bring a directory, the first one's mode counts.
///
/// # Errors
/// [`AssembleError`], which names both packages and the path.
pub fn assemble(layers: &[Layer]) -> Result<Tree, AssembleError> {
    let mut tree = Tree::default();
    for layer in layers {
        for (path, entry) in layer.tree_entries() {
            tree.insert(path, entry)?;
        }
    }
    let status = dpkg::status(layers.iter());
    let status = Entry::file(status.into_bytes(), 0o644, "mailkiln");
    tree.insert(TreePath::parse("var/lib/dpkg/status")?, status)?;
    Ok(tree)
}
