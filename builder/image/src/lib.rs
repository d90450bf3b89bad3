//! Partitions, ESP, UKI, verity and boot chain: the disk as bytes, and its reader.

pub mod cpio;
pub mod disk;
pub mod fat;
pub mod gpt;
pub mod grub;
mod guid;
#[cfg(test)]
mod judge;
pub mod uki;
pub mod verity;

pub use guid::Guid;
