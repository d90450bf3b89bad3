//! What is done when root compiles: the command runs as nobody, not as root in disguise.
//!
//! Many files of the kernel ask for user 0 of the host, not for capabilities, so a command that is
//! user 1000 inside and root outside could change the host through them. For root the inner user is
//! `nobody` outside: root writes the map from outside the new namespace, hands over the build folder,
//! and lets everybody read the sources.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::unistd::{Gid, Uid, geteuid, getpid, setgroups, setresgid, setresuid};

use super::SUBCOMMAND;
use super::namespaces::{INSIDE_ID, Refusal, Step};

/// The stage of the program that writes the maps.
pub(super) const STAGE: &str = "map";
/// `nobody` outside: the kernel's overflow user, who owns nothing.
const NOBODY: u32 = 65_534;

/// Returns true when the caller is root, whatever gave it to him.
pub(super) fn is_needed() -> bool {
    geteuid().is_root()
}

/// A second start of the program that stays in the host's namespace, where root may write maps.
pub(super) struct Mapper(Child);

impl Mapper {
    /// Starts it; it waits.
    pub(super) fn start() -> Result<Self, Refusal> {
        let child = Command::new("/proc/self/exe")
            .args([SUBCOMMAND, STAGE, &getpid().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .step(|| String::from("start the program that maps users"))?;
        Ok(Self(child))
    }

    /// Lets it map the namespace that the caller is in by now.
    pub(super) fn finish(mut self) -> Result<(), Refusal> {
        let step = || String::from("run the command as another user than root");
        if let Some(mut stdin) = self.0.stdin.take() {
            stdin.write_all(b"go").step(step)?;
        }
        let status = self.0.wait().step(step)?;
        // It has said why.
        let refused = || io::Error::from_raw_os_error(nix::libc::EPERM);
        if status.success() { Ok(()) } else { Err(refused()).step(step) }
    }
}

/// The stage itself: maps user 0 of the namespace of process `pid` to root, who makes the mounts, and
/// user 1000 to nobody.
pub(super) fn map(pid: &str) -> Result<u8, Refusal> {
    let mut word = String::new();
    io::stdin().read_to_string(&mut word).step(|| String::from("wait for the namespace"))?;
    if word != "go" {
        return Ok(super::SETUP_FAILED);
    }
    let lines = format!("0 0 1\n{INSIDE_ID} {NOBODY} 1\n");
    for name in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{pid}/{name}"), &lines)
            .step(|| format!("write {name} as root"))?;
    }
    Ok(0)
}

/// Lets every user read the sources. Called before they are mounted read-only.
pub(super) fn open_sources(source: &Path) -> Result<(), Refusal> {
    walk(source, &mut |path, metadata| {
        let mode = metadata.permissions().mode();
        let wanted = mode | 0o444 | if mode & 0o100 != 0 { 0o111 } else { 0 };
        if metadata.is_symlink() || mode & 0o777 == wanted & 0o777 {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(wanted & 0o7777))
    })
    .step(|| String::from("let the sandbox read the sources"))
}

/// Hands `folder` to user 1000 and becomes that user, for good and without any group.
pub(super) fn become_nobody(folder: &Path) -> Result<(), Refusal> {
    walk(folder, &mut |path, metadata| match metadata.uid() {
        INSIDE_ID => Ok(()),
        _ => lchown(path, Some(INSIDE_ID), Some(INSIDE_ID)),
    })
    .step(|| String::from("hand over the build folder"))?;
    let (user, group) = (Uid::from_raw(INSIDE_ID), Gid::from_raw(INSIDE_ID));
    setgroups(&[])
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setresuid(user, user, user))
        .step(|| String::from("become user nobody"))?;
    // Another user's process may not be looked into, not even by itself: proc(5), `/proc/pid`.
    nix::sys::prctl::set_dumpable(true).step(|| String::from("become user nobody"))
}

/// Calls `action` for `path` and all below it; follows no link.
fn walk(
    path: &Path,
    action: &mut impl FnMut(&Path, &Metadata) -> io::Result<()>,
) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    action(path, &metadata)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), action)?;
        }
    }
    Ok(())
}
