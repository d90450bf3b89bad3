//! Unified Kernel Image: one EFI program that holds kernel, initrd and command line.
//!
//! In: systemd's stub (a PE file) and the parts. Out: the stub with the parts appended as PE
//! sections; and a reader for such files. Format: UAPI.5 (Unified Kernel Image) and Microsoft's
//! *PE Format*.

mod reader;
mod writer;

pub use reader::{BadUki, Uki};
pub use writer::{BadStub, Parts};

/// Sections of a UKI, in the order they are appended. systemd's stub finds them by name.
mod section {
    pub(super) const OS_RELEASE: &str = ".osrel";
    pub(super) const UNAME: &str = ".uname";
    pub(super) const COMMAND_LINE: &str = ".cmdline";
    pub(super) const INITRD: &str = ".initrd";
    pub(super) const KERNEL: &str = ".linux";
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::stub as fixture_stub;
