//! FAT32, the file system of the EFI system partition: written from scratch, and read back.
//!
//! In: files by path, in the order their clusters shall follow each other. Out: the pieces of
//! the partition that are not zero, and where they go. Times are fixed, the volume id comes
//! from the caller, so the same files give the same bytes. Format: Microsoft's *FAT File System
//! Specification* (version 1.03), which the UEFI specification refers to (§13.3).

mod name;
mod reader;
mod writer;

pub use reader::{BadFat, Fat, FatItem};
pub use writer::{FatError, FatFile, FatVolume, Piece};

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// Bytes of a directory entry.
const ENTRY: usize = 32;

/// Fewer clusters than this would make it FAT16 (specification, "FAT Type Determination").
const LEAST_CLUSTERS: u64 = 65_525;

/// More than this would need the reserved top four bits of an entry.
const MOST_CLUSTERS: u64 = 0x0fff_fff5;

/// Number of the first cluster; also where the root directory starts.
const FIRST_CLUSTER: u32 = 2;

/// Marks the last cluster of a chain.
const END_OF_CHAIN: u32 = 0x0fff_ffff;

/// Values from here on end a chain when read.
const END_FROM: u32 = 0x0fff_fff8;

/// Bits of an entry in the allocation table that count.
const CLUSTER_MASK: u32 = 0x0fff_ffff;

/// Attribute bits of a directory entry.
mod attribute {
    pub(super) const VOLUME: u8 = 0x08;
    pub(super) const DIRECTORY: u8 = 0x10;
    pub(super) const ARCHIVE: u8 = 0x20;
    /// All four low bits together: part of a long name.
    pub(super) const LONG_NAME: u8 = 0x0f;
}

#[cfg(test)]
mod tests;
