//! No program of the appliance runs as someone else than who started it.
//!
//! In: a tree with what packages brought: `su`, `mount`, `passwd`, `unix_chkpwd` and others with
//! set-user-ID or set-group-ID bits. Out: the same files without these bits. Nobody logs in who would
//! need them, and a service that was taken over gets no second program to try.

use crate::{Entry, Kind, Tree, TreePath};

/// The set-user-ID and set-group-ID bits: inode(7).
const IDENTITY: u16 = 0o6000;

/// Takes the bits off every file. Directories keep theirs: there they hand a group down.
pub(crate) fn strip(tree: &mut Tree) {
    let changed: Vec<(TreePath, Entry)> = tree
        .iter()
        .filter(|(_, entry)| matches!(entry.kind, Kind::File(_)) && entry.mode & IDENTITY != 0)
        .map(|(path, entry)| {
            (path.clone(), Entry { mode: entry.mode & !IDENTITY, ..entry.clone() })
        })
        .collect();
    for (path, entry) in changed {
        tree.replace(path, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, Owner};

    #[test]
    fn programs_lose_their_bits_and_directories_keep_theirs() {
        let entry = |kind, mode| Entry { kind, mode, owner: Owner::default(), origin: "x".into() };
        let file = || Kind::File(Content::Inline((*b"x").into()));
        let mut tree = Tree::default();
        for (path, kind, mode) in [
            ("usr/bin/su", file(), 0o4755),
            ("usr/sbin/unix_chkpwd", file(), 0o2755),
            ("usr/bin/both", file(), 0o6711),
            ("usr/bin/true", file(), 0o755),
            ("var/mail", Kind::Directory, 0o2775),
        ] {
            tree.replace(TreePath::parse(path).unwrap(), entry(kind, mode));
        }
        strip(&mut tree);
        let modes: Vec<(String, u16)> =
            tree.iter().map(|(path, entry)| (path.to_string(), entry.mode)).collect();
        for (path, mode) in [
            ("/usr/bin/both", 0o711),
            ("/usr/bin/su", 0o755),
            ("/usr/bin/true", 0o755),
            ("/usr/sbin/unix_chkpwd", 0o755),
            ("/var/mail", 0o2775),
        ] {
            assert!(modes.contains(&(path.to_owned(), mode)), "{path}: {modes:?}");
        }
    }
}
