//! The merged `/usr`: where an entry of a package really lands.
//!
//! In: paths as packages name them (`/bin/sh`, `/lib/x86_64-linux-gnu/…`). Out: the place in
//! `/usr`, and the links `/bin`, `/lib` … that lead there. Debian has merged since bookworm
//! (<https://wiki.debian.org/UsrMerge>); a package built earlier still names the old places.

use crate::draft::{Draft, FixupError};
use crate::{BadPath, Kind, TreePath};

/// Directories of the root that are links into `/usr`.
const ALIASES: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Where the entry that a package calls `path` lands. The aliases themselves stay when they
/// are links, and become directories of `/usr` when a package ships them as directories.
///
/// # Errors
/// [`BadPath`] when the longer path is too long for a tree.
pub fn place(path: &TreePath, kind: &Kind) -> Result<TreePath, BadPath> {
    let (top, below) = match path.as_str().split_once('/') {
        Some((top, _)) => (top, true),
        None => (path.as_str(), false),
    };
    let moves = ALIASES.contains(&top) && (below || matches!(kind, Kind::Directory));
    if moves { TreePath::parse(&format!("usr/{}", path.as_str())) } else { Ok(path.clone()) }
}

/// Makes the links for those directories of `/usr` that exist.
pub(crate) fn link_aliases(draft: &mut Draft<'_>) -> Result<(), FixupError> {
    for alias in ALIASES {
        let target = format!("usr/{alias}");
        if draft.has(&target)? {
            draft.link(alias, &target)?;
        } else {
            draft.tree.remove(&TreePath::parse(alias)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_old_places_land_in_usr() {
        let directory = Kind::Directory;
        let link = Kind::Symlink("usr/bin".to_owned());
        for (from, kind, to) in [
            ("bin/sh", &link, "usr/bin/sh"),
            ("lib/modules/6.12", &directory, "usr/lib/modules/6.12"),
            ("lib64", &directory, "usr/lib64"),
            ("bin", &link, "bin"),
            ("library/x", &directory, "library/x"),
            ("usr/bin/sh", &link, "usr/bin/sh"),
            ("", &directory, ""),
        ] {
            let placed = place(&TreePath::parse(from).unwrap(), kind).unwrap();
            assert_eq!(placed.as_str(), to, "{from}");
        }
    }
}
