//! Block maps: which blocks of a disk image have to be written to a medium.
//!
//! In: a disk and its extents, or the text of a `.bmap` file. Out: ranges of bytes, each with its
//! SHA-256. The format is version 2.0 of bmap-tools' (its `BmapCreate.py` describes it), so that
//! `bmaptool copy` takes our images and we take those of others.

mod reader;
mod writer;

use mailkiln_pin::Sha256;

pub use reader::BadBmap;
pub(crate) use writer::ranges;

/// Bytes of a block in the maps that we write: the block size of what is on the disk.
const BLOCK: u64 = 4096;

/// What of an image has to be written. What lies outside the ranges may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bmap {
    /// Bytes of the image.
    pub image_size: u64,
    /// Bytes of a block: ranges begin on whole blocks and end on them, or with the image.
    pub block_size: u64,
    /// Ascending, not overlapping, inside the image.
    pub ranges: Vec<Range>,
}

/// Bytes that have to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset of the byte behind the last one.
    pub end: u64,
    /// Digest of the bytes.
    pub sha256: Sha256,
}

impl Bmap {
    /// How many bytes have to be written.
    pub fn mapped(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

#[cfg(test)]
mod tests;
