//! What is written where: an image cut into pieces, and what all steps of the writing share.

use mailkiln_format::Bmap;
use mailkiln_pin::Sha256;

use crate::{Image, Interrupt, Progress};

/// Longest piece: what is read, hashed, written and compared at once. Long enough for the medium to
/// be fast, short enough to tell where it is broken.
pub(crate) const PIECE: u64 = 1 << 20;

/// What is written last, so that a medium is either whole or not bootable: the partition table and
/// the first boot program of a BIOS lie here.
pub(crate) const HEAD: u64 = 1 << 20;

/// Bytes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Offset of the first byte.
    pub(crate) start: u64,
    /// At most [`PIECE`].
    pub(crate) length: usize,
    /// The range of the block map that ends with this piece, if one does.
    pub(crate) ends: Option<Sha256>,
}

/// What was written where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) start: u64,
    pub(crate) length: usize,
    pub(crate) sha256: Sha256,
}

/// What stays the same in all steps.
pub(crate) struct Job<'a> {
    pub(crate) image: &'a Image,
    pub(crate) size: u64,
    pub(crate) watch: &'a dyn Progress,
    pub(crate) stop: &'a Interrupt,
}

/// `length` in whole blocks.
pub(crate) const fn rounded(length: usize, block: usize) -> usize {
    length.next_multiple_of(block)
}

/// The pieces of an image of `size` bytes, ascending: those of the map, or all.
pub(crate) fn pieces(size: u64, map: Option<&Bmap>) -> Vec<Piece> {
    let cut = |start: u64, end: u64, sha256: Option<Sha256>| {
        (start..end).step_by(PIECE as usize).map(move |at| Piece {
            start: at,
            length: (end - at).min(PIECE) as usize,
            ends: if end - at <= PIECE { sha256 } else { None },
        })
    };
    match map {
        None => cut(0, size, None).collect(),
        Some(map) => map
            .ranges
            .iter()
            .flat_map(|range| cut(range.start, range.end, Some(range.sha256)))
            .collect(),
    }
}
