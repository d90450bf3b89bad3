//! Boards and clouds: what an image must be to run there.
//!
//! In: the files of `images/`. Out: [`Target`], checked as `mail.toml` is. What the parts of the
//! builder need to know about a machine is a field here, never a condition on a target's name.

mod bases;
mod boot;
mod builtin;
mod classes;
mod file;
mod modules;
mod provider;
mod qemu;
mod rules;

use std::fmt;

use mailkiln_pin::Arch;
use serde::Serialize;

pub use bases::Bases;
pub use boot::{Blob, Boot, BootChain, BootContent, BootFile, DeviceTree};
pub use builtin::{TargetError, builtin_target, builtin_targets};
pub use classes::{Class, Classes};
pub use modules::{ModulePattern, Modules};
pub use provider::{Provider, SecureBoot};
pub use qemu::Qemu;
pub use rules::parse;

/// What the files of targets refer to by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shared {
    /// Classes of kernel modules.
    pub classes: Classes,
    /// Parts that several targets extend.
    pub bases: Bases,
}

/// A board or a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name of its file, without the ending: `x86_64`.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// How far it may be trusted.
    pub status: Status,
    /// Which machine code it runs.
    pub arch: Arch,
    /// Where kernel messages go; the last is `/dev/console`. At least one.
    pub consoles: Vec<Console>,
    /// The kernel and what of it is kept.
    pub kernel: Kernel,
    /// Packages beside those that every target has.
    pub packages: Packages,
    /// How it gets from firmware to kernel.
    pub boot: Boot,
    /// Sizes on the disk.
    pub disk: DiskSizes,
    /// What the machine is like.
    pub hardware: Hardware,
    /// What the cloud or hypervisor has and expects, where it is one.
    pub provider: Provider,
    /// What Raspberry Pi Imager calls the boards that it is for: `pi4-64bit`. Empty for other machines.
    pub imager_devices: Vec<String>,
    /// The machine of QEMU that stands for it, where it is not the one of its architecture.
    pub qemu: Option<Qemu>,
    /// What `build` makes when nobody says.
    pub default_format: FormatName,
    /// What `build` can make.
    pub formats: Vec<FormatName>,
}

impl Target {
    /// Its file, for whoever has to correct it: `images/x86_64.toml`.
    pub fn file(&self) -> String {
        format!("images/{}.toml", self.name)
    }

    /// Whether QEMU can start its images: on a machine that the target names, or on the usual one of
    /// its processor, whose firmware needs nothing of the disk but the UKI.
    pub fn is_emulated(&self) -> bool {
        let Boot { device_trees, files, blobs, .. } = &self.boot;
        self.qemu.is_some() || (device_trees.is_empty() && files.is_empty() && blobs.is_empty())
    }
}

/// How far a target may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The project's tests boot it and send mail through it.
    BootedInCi,
    /// The project's tests boot it, but not all of it: the target's file says what is missing.
    BootedInPart,
    /// It is built and its files are examined, but no test boots it.
    BuiltOnly,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BootedInCi => "booted in CI",
            Self::BootedInPart => "booted in part",
            Self::BuiltOnly => "built only",
        })
    }
}

/// The kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Debian package, which may depend on the one with the files.
    pub package: String,
    /// The lock's set that it is in.
    pub set: String,
    /// Further words of the command line, after consoles and root hash.
    pub arguments: Vec<String>,
    /// Which modules the root keeps.
    pub modules: Modules,
    /// Which of them the initrd has too, to reach the root.
    pub initrd: Modules,
}

/// A console of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    device: String,
    options: Option<String>,
    recorded: bool,
}

impl Console {
    /// The word of the kernel's command line: `console=ttyS0,115200n8`.
    pub fn argument(&self) -> String {
        let options = self.options.as_ref().map_or(String::new(), |options| format!(",{options}"));
        format!("console={}{options}", self.device)
    }

    /// Returns true where others than the people at the machine can read what is written: clouds keep
    /// the output of the serial port, and show it to whoever may list machines. No secret goes there.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The device to write to: `/dev/ttyS0`. `tty0` is whichever virtual terminal is in front, and
    /// the first of them is the one to write to: `/dev/tty1`.
    pub fn path(&self) -> String {
        match self.device.as_str() {
            "tty0" => "/dev/tty1".to_owned(),
            device => format!("/dev/{device}"),
        }
    }
}

/// A size on the disk in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mib(pub u32);

impl Mib {
    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        (self.0 as u64) << 20
    }
}

/// What is installed for a target beside what every image has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packages {
    /// Packages of the lock's set `image`, sorted.
    pub extra: Vec<String>,
    /// Further sets of the lock: `wifi`.
    pub sets: Vec<String>,
    /// Units of packages that are started: `iwd.service`.
    pub enable: Vec<String>,
}

/// What a machine is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hardware {
    /// Seconds after which its watchdog restarts it when systemd has stopped answering.
    pub watchdog: Option<u32>,
    /// Whether its disk is a card that every write wears.
    pub worn_by_writes: bool,
}

/// Where partitions are and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSizes {
    /// Where the first partition starts. Blobs lie before it.
    pub start: Mib,
    /// Whether the MBR names the ESP too, for firmware that reads no GPT.
    pub hybrid_mbr: bool,
    /// GRUB's core image; present exactly when the chain has [`BootChain::GrubBios`].
    pub bios: Option<Mib>,
    /// The EFI system partition.
    pub esp: Mib,
    /// One root slot. Never to be changed once appliances are out: their updates must fit.
    pub root: Mib,
    /// The hash tree of one root slot; large enough for a full slot.
    pub verity: Mib,
    /// The disk is a multiple of this long: what the provider would otherwise add after the copy of the
    /// partition table, which belongs at the very end.
    pub multiple: Mib,
}

/// The name of a format that an image is delivered in: `img.zst`. Which ones there are is known where they
/// are written, in the list of the `format` crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormatName(String);

impl FormatName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FormatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
