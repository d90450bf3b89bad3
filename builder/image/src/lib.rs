//! Partitions, ESP, UKI, verity and boot chain: the disk as bytes, and its reader.
//!
//! In: a laid-out root file system, kernel, initrd, the boot loaders' files. Out: a disk that
//! UEFI and BIOS machines boot. Each format has its writer and its reader in one folder, so
//! that each writer is tested by its reader; `disk` joins them, `inspect` takes them apart, `compare` two of
//! them.
//! Pure: bytes in, bytes out; no path, no clock, no randomness.

pub mod compare;
pub mod cpio;
pub mod disk;
pub mod ext4;
pub mod fat;
pub mod fuzz;
pub mod gpt;
pub mod grub;
mod guid;
pub mod inspect;
#[cfg(test)]
mod judge;
pub mod uki;
pub mod verity;

pub use guid::Guid;
