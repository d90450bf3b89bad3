//! The kernel's side of the sandbox: user mappings and mounts.
//!
//! In: paths. Out: namespaces and mounts of the calling process, or the step that failed. See
//! user_namespaces(7), mount_namespaces(7) and pivot_root(2). No `unsafe`: all calls are nix's.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd;

use super::apart::{self, Mapper};
use super::filter;

/// User and group number of the command inside; the same for every user outside.
pub(super) const INSIDE_ID: u32 = 1000;

const PASSWD: &str = "build:x:1000:1000::/build/home:/bin/sh\n";
const GROUP: &str = "build:x:1000:\n";
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
const NOTHING: Option<&str> = None;

/// A step that the system refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) step: String,
    pub(super) error: io::Error,
}

/// Names the step that a result belongs to.
pub(super) trait Step<T> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Refusal>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Refusal> {
        self.map_err(|error| Refusal { step: step(), error: error.into() })
    }
}

/// Leaves the host's namespaces; in the new user namespace the caller is user 0, with every
/// capability over the other new ones and none over the host.
pub(super) fn leave_host() -> Result<(), Refusal> {
    let (user, group) = (unistd::geteuid().as_raw(), unistd::getegid().as_raw());
    // Started before: from inside, nobody may map root.
    let mapper = if apart::is_needed() { Some(Mapper::start()?) } else { None };
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS,
    )
    .step(|| String::from("make namespaces"))?;
    match mapper {
        Some(mapper) => mapper.finish(),
        None => map_ids((0, user), (0, group)),
    }
}

/// Becomes user 1000 in one more user namespace, the last that can be made. The next program that is
/// executed has no capability anywhere, no setuid file can give it any, it leaves no core dump, and it
/// calls nothing that a compilation does without. `apart` says that root is not to be its user outside.
pub(super) fn drop_privileges(apart: bool) -> Result<(), Refusal> {
    let outer = if apart {
        apart::become_nobody(Path::new(super::BUILD))?;
        INSIDE_ID
    } else {
        0
    };
    unshare(CloneFlags::CLONE_NEWUSER).step(|| String::from("make the inner user namespace"))?;
    map_ids((INSIDE_ID, outer), (INSIDE_ID, outer))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).step(|| String::from("switch core dumps off"))?;
    nix::sys::prctl::set_no_new_privs().step(|| String::from("give up new privileges"))?;
    filter::apply()
}

/// Maps one user and one group, each given as (inside, outside).
fn map_ids(user: (u32, u32), group: (u32, u32)) -> Result<(), Refusal> {
    let maps = [
        ("setgroups", String::from("deny")),
        ("uid_map", format!("{} {} 1\n", user.0, user.1)),
        ("gid_map", format!("{} {} 1\n", group.0, group.1)),
    ];
    for (name, map) in maps {
        fs::write(format!("/proc/self/{name}"), map).step(|| format!("write {name}"))?;
    }
    Ok(())
}

/// Builds the root of the sandbox at `root` and makes it the process's own.
pub(super) fn enter_root(sandbox: &super::Sandbox, apart: bool) -> Result<(), Refusal> {
    let root = sandbox.root.as_path();
    // From here on no mount of ours is seen by the host, and none of the host's comes in.
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)
        .step(|| String::from("make mounts private"))?;
    tmpfs(root, "mode=0755,size=1m")?;
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link)).step(|| format!("create /{link}"))?;
    }
    if apart {
        apart::open_sources(&sandbox.source)?;
    }
    bind(&sandbox.toolchain.join("usr"), &folder(root, "usr")?, MsFlags::MS_RDONLY)?;
    bind(&sandbox.source, &folder(root, "src")?, MsFlags::MS_RDONLY)?;
    bind(&sandbox.build, &folder(root, "build")?, MsFlags::empty())?;
    tmpfs(&folder(root, "tmp")?, "mode=1777")?;
    proc(&folder(root, "proc")?)?;
    devices(&folder(root, "dev")?)?;
    let etc = folder(root, "etc")?;
    fs::write(etc.join("passwd"), PASSWD).step(|| String::from("write /etc/passwd"))?;
    fs::write(etc.join("group"), GROUP).step(|| String::from("write /etc/group"))?;
    pivot(root)
}

/// A `/proc` of the new process namespace in which nothing of the kernel can be changed. Its files ask
/// for a user of the host, so it is the mount that has to forbid. What is covered is what bubblewrap
/// covers.
fn proc(at: &Path) -> Result<(), Refusal> {
    let limits = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), at, Some("proc"), limits, NOTHING).step(|| String::from("mount /proc"))?;
    // For the namespace that the caller is in: the inner one is the last. namespaces(7).
    let most = at.join("sys/user/max_user_namespaces");
    fs::write(most, "1").step(|| String::from("forbid more namespaces"))?;
    for name in ["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"] {
        let path = at.join(name);
        if path.exists() {
            bind(&path, &path, MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC)?;
        }
    }
    Ok(())
}

/// Swaps the root, lets go of the host's, and makes what is left of the new one read-only.
fn pivot(root: &Path) -> Result<(), Refusal> {
    unistd::chdir(root)
        .and_then(|()| unistd::pivot_root(".", "."))
        .and_then(|()| umount2(".", MntFlags::MNT_DETACH))
        .and_then(|()| unistd::chdir("/"))
        .step(|| String::from("change the root"))?;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | safe();
    mount(NOTHING, "/", NOTHING, flags, NOTHING).step(|| String::from("make / read-only"))
}

fn safe() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV
}

fn tmpfs(at: &Path, options: &str) -> Result<(), Refusal> {
    mount(Some("tmpfs"), at, Some("tmpfs"), safe(), Some(options))
        .step(|| format!("mount a tmpfs on {}", at.display()))
}

fn bind(from: &Path, to: &Path, extra: MsFlags) -> Result<(), Refusal> {
    let what = || format!("mount {} in the sandbox", from.display());
    mount(Some(from), to, NOTHING, MsFlags::MS_BIND, NOTHING).step(what)?;
    // The kernel refuses to take away a flag that the host's own mount has.
    let held = statvfs(to).step(what)?.flags();
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | safe() | extra;
    for (has, keep) in [
        (FsFlags::ST_RDONLY, MsFlags::MS_RDONLY),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if held.contains(has) {
            flags |= keep;
        }
    }
    mount(NOTHING, to, NOTHING, flags, NOTHING).step(what)
}

fn devices(dev: &Path) -> Result<(), Refusal> {
    for device in DEVICES {
        let (host, to) = (Path::new("/dev").join(device), dev.join(device));
        File::create(&to).step(|| format!("create /dev/{device}"))?;
        mount(Some(&host), &to, NOTHING, MsFlags::MS_BIND, NOTHING)
            .step(|| format!("mount /dev/{device}"))?;
    }
    for (link, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        symlink(format!("/proc/self/fd{target}"), dev.join(link))
            .step(|| format!("create /dev/{link}"))?;
    }
    Ok(())
}

fn folder(root: &Path, name: &str) -> Result<std::path::PathBuf, Refusal> {
    let path = root.join(name);
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o755).create(&path).step(|| format!("create /{name}"))?;
    Ok(path)
}
