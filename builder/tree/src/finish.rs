//! The steps from unpacked packages to a root file system that boots.
//!
//! In: a tree of packages, compiled units and services, and what the appliance is called and
//! runs. Out: the finished tree and the files of the boot chain, which leave the root.
//! Every step does the work of a maintainer script, as files; `docs` has the list.

use crate::draft::{Contents, Draft, FixupError};
use crate::{
    Content, Enablement, Entry, Identity, Kind, Tree, TreePath, User, accounts, certificates,
    enablement, identity, login, names, privileges, skeleton, state, usrmerge,
};

/// What [`finish`] needs to know besides the tree.
pub struct FixupInput<'a> {
    /// Fully qualified host name.
    pub host: &'a str,
    /// Name in the time zone database, such as `Europe/Berlin`.
    pub time_zone: &'a str,
    /// Users of our own services.
    pub users: &'a [User],
    /// What starts; [`Enablement::base`] is added by the caller where it applies.
    pub enablement: &'a Enablement,
    /// What the system calls itself.
    pub identity: &'a Identity,
    /// Reads what the tree holds by digest.
    pub contents: &'a dyn Contents,
}

impl std::fmt::Debug for FixupInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FixupInput").field("host", &self.host).finish_non_exhaustive()
    }
}

/// A root file system with everything in it.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The root's files. Every parent of an entry is a directory of the tree.
    pub tree: Tree,
    /// What was taken out of it for the ESP.
    pub boot: Boot,
}

/// The kernel that packages brought. It leaves the root: it is in the UKI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The kernel's release, which names its folder in `/usr/lib/modules`.
    pub release: String,
    /// The kernel image.
    pub kernel: Content,
}

/// Runs every fix-up in its order.
///
/// # Errors
/// [`FixupError`], which names the file and what to do.
pub fn finish(tree: Tree, input: &FixupInput<'_>) -> Result<Finished, FixupError> {
    let mut draft = Draft::new(tree, input.contents);
    usrmerge::link_aliases(&mut draft)?;
    skeleton::write(&mut draft)?;
    accounts::write(&mut draft, input.users)?;
    names::write(&mut draft, input.host, input.time_zone)?;
    login::write(&mut draft)?;
    certificates::write(&mut draft)?;
    identity::write(&mut draft, input.identity)?;
    enablement::write(&mut draft, input.enablement)?;
    let boot = take_boot(&mut draft)?;
    add_parents(&mut draft)?;
    state::write(&mut draft)?;
    add_parents(&mut draft)?;
    privileges::strip(&mut draft.tree);
    Ok(Finished { tree: draft.tree, boot })
}

/// Takes the kernel out of the tree, and UEFI programs of systemd, which the running system does not use.
fn take_boot(draft: &mut Draft<'_>) -> Result<Boot, FixupError> {
    let (release, kernel) = take_kernel(draft)?;
    draft.tree.remove(&TreePath::parse("usr/lib/systemd/boot/efi")?);
    Ok(Boot { release, kernel })
}

/// The one kernel there is, with its release. Debian puts it beside its modules since 7.x.
fn take_kernel(draft: &mut Draft<'_>) -> Result<(String, Content), FixupError> {
    let (folder, modules) = (TreePath::parse("boot")?, TreePath::parse("usr/lib/modules")?);
    let in_boot: Vec<String> = draft.tree.names_in(&folder).map(str::to_owned).collect();
    let releases: Vec<String> = draft.tree.names_in(&modules).map(str::to_owned).collect();
    let named = in_boot.iter().filter_map(|name| name.strip_prefix("vmlinuz-"));
    let named = named.map(|release| (release, format!("boot/vmlinuz-{release}")));
    let beside = releases.iter().map(|name| (name.as_str(), format!("{modules}/{name}/vmlinuz")));
    let mut kernels = Vec::new();
    for (release, path) in named.chain(beside) {
        kernels.extend(take_file(draft, &path)?.map(|kernel| (release.to_owned(), kernel)));
    }
    // System.map and config-* are for debugging on the machine itself.
    for name in &in_boot {
        draft.tree.remove(&folder.join(name)?);
    }
    match (kernels.pop(), kernels.pop()) {
        (Some(kernel), None) => Ok(kernel),
        _ => Err(FixupError::Missing {
            path: "/boot/vmlinuz-* or /usr/lib/modules/*/vmlinuz (exactly one)".to_owned(),
            needed_for: "booting",
        }),
    }
}

fn take_file(draft: &mut Draft<'_>, path: &str) -> Result<Option<Content>, FixupError> {
    let path = TreePath::parse(path)?;
    let Some(Entry { kind: Kind::File(content), .. }) = draft.tree.get(&path).cloned() else {
        return Ok(None);
    };
    draft.tree.remove(&path);
    Ok(Some(content))
}

/// Adds the directories that lead to entries and that nobody listed (packages may leave them
/// out, and pruning may have taken them); refuses a way that leads through a file or a link.
fn add_parents(draft: &mut Draft<'_>) -> Result<(), FixupError> {
    let mut missing = Vec::new();
    for (path, _) in draft.tree.iter() {
        let mut parent = path.parent();
        while let Some(folder) = parent.filter(|folder| *folder != TreePath::ROOT) {
            match draft.tree.get(&folder) {
                Some(Entry { kind: Kind::Directory, .. }) => break,
                Some(other) => {
                    return Err(FixupError::NotADirectory {
                        path: path.to_string(),
                        through: folder.to_string(),
                        origin: other.origin.to_string(),
                    });
                }
                None => missing.push(folder.clone()),
            }
            parent = folder.parent();
        }
    }
    for folder in missing {
        draft.directory(folder.as_str(), 0o755)?;
    }
    Ok(())
}

/// Finishes a tree in which foreign `bytes` stand in one of the places where a package's text is
/// read; the first byte chooses it.
pub(crate) fn fuzz(bytes: &[u8]) {
    const PLACES: [&str; 9] = [
        "usr/share/base-passwd/passwd.master",
        "usr/share/base-passwd/group.master",
        "usr/lib/os-release",
        "usr/lib/sysusers.d/x.conf",
        "usr/lib/tmpfiles.d/x.conf",
        "usr/lib/systemd/system/x@.service",
        "usr/lib/systemd/system-preset/90-x.preset",
        "usr/share/ca-certificates/x.crt",
        "usr/share/zoneinfo/Etc/UTC",
    ];
    let input = FixupInput {
        host: "mail.example.org",
        time_zone: "Etc/UTC",
        users: &[],
        enablement: &Enablement::default(),
        identity: &Identity { version: "1".to_owned(), variant: "x".to_owned() },
        contents: &crate::NothingPacked,
    };
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let mut tree = Tree::default();
    for (path, text) in [
        (PLACES[0], &b"root:*:0:0:root:/root:/bin/bash\n"[..]),
        (PLACES[1], b"root:*:0:\n"),
        (PLACES[2], b"VERSION_ID=13\nVERSION_CODENAME=trixie\n"),
        (PLACES[8], b"TZif"),
        ("boot/vmlinuz-6", b""),
        (PLACES[usize::from(*choice) % PLACES.len()], bytes),
    ] {
        if let Ok(path) = TreePath::parse(path) {
            tree.replace(path, Entry::file(text, 0o644, "fuzz"));
        }
    }
    let _ = finish(tree, &input);
}
