//! Unified Kernel Image: one EFI program that holds kernel, initrd and command line.
//!
//! In: systemd's stub (a PE file) and the parts. Out: the stub with the parts appended as PE
//! sections; and a reader for such files. Format: UAPI.5 (Unified Kernel Image) and Microsoft's
//! *PE Format*.

mod reader;
mod writer;

pub use reader::{BadUki, Uki};
pub use writer::{BadStub, Parts};

use mailkiln_pin::Arch;

/// Name of the program in `EFI/BOOT` that firmware tries on removable media (UEFI 2.10 §3.5.1.1).
pub(crate) const fn default_program(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "BOOTX64.EFI",
        Arch::Aarch64 => "BOOTAA64.EFI",
    }
}

/// Sections of a UKI, in the order they are appended. systemd's stub finds them by name.
mod section {
    pub(super) const OS_RELEASE: &str = ".osrel";
    pub(super) const UNAME: &str = ".uname";
    pub(super) const COMMAND_LINE: &str = ".cmdline";
    pub(super) const INITRD: &str = ".initrd";
    pub(super) const KERNEL: &str = ".linux";

    pub(super) const ALL: [&str; 5] = [OS_RELEASE, UNAME, COMMAND_LINE, INITRD, KERNEL];
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::stub as fixture_stub;
