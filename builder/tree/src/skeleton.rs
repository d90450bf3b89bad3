//! Directories and small files that base-files' script makes, and Debian's alternatives.
//!
//! In: base-files' templates. Out: mount points, `/var`'s frame, root's dotfiles, `/etc/profile`,
//! `awk`. Source: base-files 13.8 `postinst`, mawk's `postinst`.

use crate::draft::{Draft, FixupError};
use crate::{Owner, TreePath};

/// Empty directories of the root: path, mode.
const DIRECTORIES: [(&str, u16); 20] = [
    ("boot", 0o755),
    ("dev", 0o755),
    ("efi", 0o755),
    ("etc/opt", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr/local/bin", 0o755),
    ("usr/local/sbin", 0o755),
    ("var/opt", 0o755),
    ("var/spool", 0o755),
    // resolved's PrivateTmp= wants it before /var is mounted, else 226/NAMESPACE.
    ("var/tmp", 0o1777),
    ("var/log", 0o755),
];

/// Debian's user and group `mail`: base-passwd's masters.
const MAIL: Owner = Owner { uid: 0, gid: 8 };

/// Alternatives: the link, what it may lead to, the best first.
const ALTERNATIVES: [(&str, &[&str]); 3] = [
    ("usr/bin/awk", &["gawk", "mawk"]),
    ("usr/bin/pager", &["less", "more"]),
    ("usr/bin/editor", &["nano", "vim.tiny", "vi"]),
];

/// Makes all of them.
pub(crate) fn write(draft: &mut Draft<'_>) -> Result<(), FixupError> {
    for (path, mode) in DIRECTORIES {
        draft.directory(path, mode)?;
    }
    draft.directory_of("var/mail", 0o2775, MAIL)?;
    draft.link("var/run", "/run")?;
    draft.link("var/lock", "/run/lock")?;
    draft.link("var/spool/mail", "../mail")?;
    for (template, path) in [
        ("dot.profile", "root/.profile"),
        ("dot.bashrc", "root/.bashrc"),
        ("profile", "etc/profile"),
    ] {
        copy(draft, &format!("usr/share/base-files/{template}"), path)?;
    }
    // The console's own words come from the agent.
    draft.write_default("etc/motd", "")?;
    for (link, targets) in ALTERNATIVES {
        choose(draft, link, targets)?;
    }
    Ok(())
}

/// Gives `path` the same content as `template`, if that is there and `path` is not.
fn copy(draft: &mut Draft<'_>, template: &str, path: &str) -> Result<(), FixupError> {
    let Some(entry) = draft.tree.get(&TreePath::parse(template)?).cloned() else { return Ok(()) };
    if draft.has(path)? { Ok(()) } else { draft.put(path, entry) }
}

/// Links to the first of `targets`, names in the link's own folder, that is in the tree.
fn choose(draft: &mut Draft<'_>, link: &str, targets: &[&str]) -> Result<(), FixupError> {
    if draft.has(link)? {
        return Ok(());
    }
    let folder = TreePath::parse(link)?.parent().unwrap_or(TreePath::ROOT);
    for target in targets {
        if draft.tree.get(&folder.join(target)?).is_some() {
            return draft.link(link, target);
        }
    }
    Ok(())
}
