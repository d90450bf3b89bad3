//! Mounts: the kernel's file systems at the start, and the change to the real root at the end.
//!
//! In: nodes and paths. Out: a new root and a new program; the initramfs is emptied, for it would
//! occupy memory until the next boot. Source: switch_root(8) and the kernel's
//! Documentation/filesystems/ramfs-rootfs-initramfs.rst.

use std::convert::Infallible;
use std::ffi::CStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::identity::MachineId;
use rustix::mount::{MountFlags, mount, mount_move};

/// Where the new root is mounted before it becomes `/`.
pub const SYSROOT: &str = "/sysroot";

/// What runs as process 1 on the new root.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// Mount point, type, flags and options; the same as systemd's own, which keeps them.
const KERNEL_FILE_SYSTEMS: [(&str, &str, MountFlags, &CStr); 4] = [
    ("/proc", "proc", MountFlags::NOSUID.union(MountFlags::NOEXEC).union(MountFlags::NODEV), c""),
    ("/sys", "sysfs", MountFlags::NOSUID.union(MountFlags::NOEXEC).union(MountFlags::NODEV), c""),
    ("/dev", "devtmpfs", MountFlags::NOSUID, c"mode=0755"),
    ("/run", "tmpfs", MountFlags::NOSUID.union(MountFlags::NODEV), c"mode=0755,size=20%"),
];

/// The root only ever gives programs and settings: no program in it changes its user by itself.
const ROOT_FLAGS: MountFlags =
    MountFlags::RDONLY.union(MountFlags::NOSUID).union(MountFlags::NODEV);

/// Why a mount or the change of roots failed.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// A file system of the kernel could not be mounted.
    #[error("cannot mount {kind} on {target}: {source}; the kernel lacks it")]
    Kernel {
        /// Type of file system.
        kind: &'static str,
        /// Mount point.
        target: &'static str,
        /// Errno of the call.
        source: io::Error,
    },
    /// The root file system could not be mounted.
    #[error(
        "cannot mount the root file system: {source}; the kernel's lines above say whether its \
         content is not the one this boot entry was made for (then write the image again) or the \
         module squashfs is missing"
    )]
    Root {
        /// Errno of the call.
        source: io::Error,
    },
    /// A step of the change itself failed.
    #[error("cannot {step}: {source}; write the image again")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Errno of the call.
        source: io::Error,
    },
}

fn failed(step: &'static str) -> impl Fn(io::Error) -> SwitchError {
    move |source| SwitchError::Step { step, source }
}

/// Mounts `/proc`, `/sys`, `/dev` and `/run`. A `/dev` that the kernel mounted is kept.
///
/// # Errors
/// [`SwitchError::Kernel`] with the file system that failed.
pub fn mount_kernel_file_systems() -> Result<(), SwitchError> {
    for (target, kind, flags, options) in KERNEL_FILE_SYSTEMS {
        fs::create_dir_all(target)
            .and_then(|()| match mount(kind, target, kind, flags, options) {
                Err(rustix::io::Errno::BUSY) => Ok(()),
                other => other.map_err(io::Error::from),
            })
            .map_err(|source| SwitchError::Kernel { kind, target, source })?;
    }
    Ok(())
}

/// Makes the console standard input, output and error. Without one (a machine with no console at
/// all) the boot goes on.
pub fn attach_console() {
    let Ok(console) = OpenOptions::new().read(true).write(true).open("/dev/console") else {
        return;
    };
    // They fail only for a bad descriptor, which this is not.
    let _ = rustix::stdio::dup2_stdin(&console);
    let _ = rustix::stdio::dup2_stdout(&console);
    let _ = rustix::stdio::dup2_stderr(&console);
}

/// Mounts the squashfs on `device` read-only on [`SYSROOT`].
///
/// # Errors
/// [`SwitchError::Root`]; a damaged block shows up here as an I/O error.
pub fn mount_root(device: &Path) -> Result<(), SwitchError> {
    fs::create_dir_all(SYSROOT)
        .and_then(|()| {
            let no_options: Option<&CStr> = None;
            mount(device, SYSROOT, "squashfs", ROOT_FLAGS, no_options).map_err(io::Error::from)
        })
        .map_err(|source| SwitchError::Root { source })
}

/// Takes the kernel's file systems along, empties the initramfs, makes [`SYSROOT`] the root and
/// becomes systemd, with `machine_id` as its `--machine-id=`.
///
/// # Errors
/// [`SwitchError`] with the step that failed; past the emptying there is no way back.
pub fn switch_root(machine_id: MachineId) -> Result<Infallible, SwitchError> {
    for (target, ..) in KERNEL_FILE_SYSTEMS {
        mount_move(target, format!("{SYSROOT}{target}"))
            .map_err(|errno| failed("move /proc, /sys, /dev or /run to the root")(errno.into()))?;
    }
    let initramfs = fs::metadata("/").map_err(failed("look at /"))?.dev();
    std::env::set_current_dir(SYSROOT).map_err(failed("enter the root file system"))?;
    empty(Path::new("/"), initramfs);
    mount_move(".", "/").map_err(|errno| failed("move the root to /")(errno.into()))?;
    std::os::unix::fs::chroot(".").map_err(failed("change to the root"))?;
    std::env::set_current_dir("/").map_err(failed("enter /"))?;
    // The kernel turns foreign words of its command line into variables; they mean nothing here.
    let term = std::env::var_os("TERM").unwrap_or_else(|| "linux".into());
    let identity = format!("--machine-id={machine_id}");
    let source = Command::new(SYSTEMD).arg(identity).env_clear().env("TERM", term).exec();
    Err(SwitchError::Step { step: "run /usr/lib/systemd/systemd", source })
}

/// Deletes what lies on the device `device` below `directory`: never follows links, never enters
/// another file system. What cannot be deleted only costs memory.
fn empty(directory: &Path, device: u64) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.dev() != device => {}
            Ok(metadata) if metadata.is_dir() => {
                empty(&path, device);
                let _ = fs::remove_dir(&path);
            }
            Ok(_) => {
                let _ = fs::remove_file(&path);
            }
            Err(_) => {}
        }
    }
}
