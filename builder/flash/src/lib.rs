//! Writes an image to a removable medium, and reads it back.
//!
//! In: an image file, compressed or not, with its block map where it has one; a block device or a
//! plain file. Out: the medium with the image on it, compared with what was sent there by SHA-256;
//! or an error, and a medium that nothing boots from: its first MiB, where the partition table is,
//! is emptied first and written last.

mod buffer;
mod device;
mod error;
mod image;
mod interrupt;
mod mounts;
mod patch;
mod plan;
mod rescan;
mod table;
mod target;
mod verify;
mod write;

pub use device::{Device, Partition, System};
pub use error::FlashError;
pub use image::{Image, data_extents};
pub use interrupt::Interrupt;
pub use mailkiln_format::Compression;
pub use mounts::Use;
pub use patch::{Contents, PatchError, patch};
pub use table::least_disk;
pub use target::{Medium, Target};
pub use write::{Flashed, flash};

/// What is being done with a medium or an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The image file is read, to find its digest or its size.
    Checking,
    /// The medium is written.
    Writing,
    /// What was written waits in the system's memory, and is brought to the medium.
    Settling,
    /// The medium is read back.
    Verifying,
}

/// Somebody who wants to know how it goes.
pub trait Progress: Sync {
    /// A phase begins, of so many bytes; 0 where that is not known.
    fn begin(&self, phase: Phase, bytes: u64);
    /// So many bytes more are done.
    fn advance(&self, bytes: u64);
    /// The phase has ended, well or not.
    fn end(&self);
}

/// Nobody wants to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}

#[cfg(test)]
mod tests;
