//! What of a disk is between firmware and kernel.

/// How a machine gets from firmware to kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The ways there are on the disk, each once. `Uefi` is always among them.
    pub chain: Vec<BootChain>,
    /// Packages that the chain's programs are taken from; locked, not installed. Sorted.
    pub packages: Vec<String>,
    /// Device trees of the kernel's package that go onto the ESP.
    pub device_trees: Vec<DeviceTree>,
    /// Further files of the ESP.
    pub files: Vec<BootFile>,
    /// What lies at fixed places before the first partition.
    pub blobs: Vec<Blob>,
}

/// A device tree on the ESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTree {
    /// Below the folder of the kernel's package: `rockchip/rk3399-rockpro64.dtb`.
    pub source: String,
    /// On the ESP: `dtb/rockchip/rk3399-rockpro64.dtb`.
    pub path: String,
    /// Line of the target's file.
    pub line: usize,
}

/// A file on the ESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// On the ESP, with `/` between names: `config.txt`.
    pub path: String,
    /// Its bytes.
    pub content: BootContent,
    /// Line of the target's file.
    pub line: usize,
}

/// Where the bytes of a [`BootFile`] come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootContent {
    /// A path in one of the boot packages.
    Package(String),
    /// The target's file.
    Text(String),
}

/// A program of the board, where the processor's ROM looks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// A path in one of the boot packages.
    pub source: String,
    /// Its first sector of 512 bytes.
    pub lba: u64,
    /// Line of the target's file.
    pub line: usize,
}

/// A way from firmware to kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BootChain {
    /// A BIOS loads GRUB's boot sector and core image; these load kernel and initrd from the ESP.
    GrubBios,
    /// UEFI loads the unified kernel image from the ESP.
    Uefi,
}
