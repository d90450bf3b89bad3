//! `/var` of the image, and how a fresh `/var` partition gets to look like it.
//!
//! In: what packages and fix-ups put below `/var`. Out: a `tmpfiles.d` file that makes the same
//! directories and links on the device, copies of files in `/usr/share/factory`, and the stamps
//! that tell systemd nothing needs updating.
//!
//! The package database is the exception: a copy would go stale with the first update, so the
//! device links to the image's own in `/usr/lib/sysimage/dpkg`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::draft::{Draft, FixupError};
use crate::{Entry, Kind, TreePath};

const DATABASE: &str = "var/lib/dpkg";
const DATABASE_OF_IMAGE: &str = "usr/lib/sysimage/dpkg";
const SEED: &str = "usr/lib/tmpfiles.d/mailkiln-var.conf";

/// systemd-update-done.service(8): nothing is done at boot unless `/usr` is younger than this
/// stamp. All files of an image are equally old, so systemd looks at the second line: 2100-01-01.
const UPDATED: &str = "# Written by mailkiln: nothing is left to update at boot.\nTIMESTAMP_NSEC=4102444800000000000\n";

/// Writes the seed of `/var`.
pub(crate) fn write(draft: &mut Draft<'_>) -> Result<(), FixupError> {
    draft.write("etc/.updated", UPDATED.as_bytes(), 0o644)?;
    draft.write("var/.updated", UPDATED.as_bytes(), 0o644)?;
    let known = paths_others_make(draft)?;
    let var: Vec<(TreePath, Entry)> = draft
        .tree
        .within(&TreePath::parse("var")?)
        .map(|(path, entry)| (path.clone(), entry.clone()))
        .collect();
    let database = TreePath::parse(DATABASE)?;
    let mut seed =
        "# Written by mailkiln: what the image's /var holds, for a fresh one.\n".to_owned();
    for (path, entry) in var {
        if path.as_str() == "var" {
            continue;
        }
        if path.is_within(&database) {
            let below = path.as_str().strip_prefix(DATABASE).unwrap_or_default();
            draft.put(&format!("{DATABASE_OF_IMAGE}{below}"), entry)?;
            if path == database {
                let _ = writeln!(seed, "L+ /{DATABASE} - - - - /{DATABASE_OF_IMAGE}");
            }
            continue;
        }
        if known.contains(&path.to_string()) {
            continue;
        }
        let field = escape(&path)?;
        let (mode, uid, gid) = (entry.mode, entry.owner.uid, entry.owner.gid);
        let _ = match &entry.kind {
            Kind::Directory => writeln!(seed, "d {field} {mode:04o} {uid} {gid} -"),
            Kind::Symlink(target) => writeln!(seed, "L {field} - - - - {target}"),
            Kind::File(_) => writeln!(seed, "C {field} {mode:04o} {uid} {gid} -"),
        };
        if let Kind::File(_) = entry.kind {
            draft.put(&format!("usr/share/factory{path}"), entry)?;
        }
    }
    draft.write(SEED, seed.into_bytes(), 0o644)
}

/// Paths that `tmpfiles.d` files of packages make themselves; a second line would only be noise
/// in the journal.
fn paths_others_make(draft: &Draft<'_>) -> Result<BTreeSet<String>, FixupError> {
    let mut paths = BTreeSet::new();
    for file in draft.drop_ins(&["etc/tmpfiles.d", "usr/lib/tmpfiles.d"], ".conf")? {
        let text = draft.text(&file)?.unwrap_or_default();
        for line in text.lines() {
            let mut fields = line.split_whitespace();
            let kind = fields.next().unwrap_or_default();
            if kind.starts_with(['d', 'D', 'q', 'Q', 'L', 'C', 'f', 'v']) {
                paths.extend(fields.next().map(str::to_owned));
            }
        }
    }
    Ok(paths)
}

/// A path as a field of tmpfiles.d(5): no blanks, no specifiers.
fn escape(path: &TreePath) -> Result<String, FixupError> {
    let text = path.to_string();
    if text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\')) {
        return Err(FixupError::Malformed {
            path: text,
            line: 1,
            why: "a path below /var can't hold blanks, quotes or backslashes".to_owned(),
        });
    }
    Ok(text.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NothingPacked, Tree};

    #[test]
    fn a_fresh_var_gets_directories_links_and_files() {
        let mut draft = Draft::new(Tree::default(), &NothingPacked);
        draft.directory("var", 0o755).unwrap();
        draft.directory("var/backups", 0o755).unwrap();
        draft.directory("var/tmp", 0o1777).unwrap();
        draft.link("var/run", "/run").unwrap();
        draft.directory("var/lib/dpkg", 0o755).unwrap();
        draft.write_default("var/lib/dpkg/status", "Package: x\n").unwrap();
        draft.write("var/lib/x/50%", *b"y", 0o600).unwrap();
        draft
            .write_default("usr/lib/tmpfiles.d/tmp.conf", "q /var/tmp 1777 root root 30d\n")
            .unwrap();
        write(&mut draft).unwrap();
        let text = |path: &str| draft.text(&TreePath::parse(path).unwrap()).unwrap().unwrap();
        assert_eq!(
            text(SEED).lines().skip(1).collect::<Vec<_>>(),
            [
                "C /var/.updated 0644 0 0 -",
                "d /var/backups 0755 0 0 -",
                "L+ /var/lib/dpkg - - - - /usr/lib/sysimage/dpkg",
                "C /var/lib/x/50%% 0600 0 0 -",
                "L /var/run - - - - /run",
            ]
        );
        assert_eq!(text("usr/share/factory/var/lib/x/50%"), "y");
        assert_eq!(text("usr/lib/sysimage/dpkg/status"), "Package: x\n");
        assert_eq!(text("var/lib/dpkg/status"), "Package: x\n");
    }
}
