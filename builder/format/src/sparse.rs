//! A disk of which only some extents are other than zero.
//!
//! In: the bytes, and the extents. Out: the disk in pieces or at offsets, where holes are not
//! read at all.

use std::borrow::Cow;
use std::io;

use mailkiln_bytes_at::ReadAt;
use mailkiln_image::disk::Extent;

/// Bytes of a piece.
pub(crate) const PIECE: u64 = 1 << 20;

/// A piece of nothing.
pub(crate) static ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];

/// Whether all of `bytes`, at most a piece, is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    ZEROS.get(..bytes.len()).is_some_and(|zeros| zeros == bytes)
}

/// Bytes of the blocks in which holes are looked for: the smallest blocks of the formats.
const BLOCK: usize = 64 << 10;

/// A disk and what of it was written.
#[derive(Clone)]
pub struct Sparse<'a> {
    disk: &'a (dyn ReadAt + Sync),
    /// Ascending, not overlapping, inside the disk.
    extents: Vec<Extent>,
}

impl<'a> Sparse<'a> {
    /// A disk whose bytes outside `extents` are zero. Extents are cut to the disk's length.
    pub fn new(disk: &'a (dyn ReadAt + Sync), extents: &[Extent]) -> Self {
        let mut sorted: Vec<Extent> = extents.to_vec();
        sorted.sort_by_key(|extent| extent.offset);
        let mut at = 0;
        let mut kept = Vec::new();
        for extent in sorted {
            let start = extent.offset.max(at);
            let end = extent.offset.saturating_add(extent.length).min(disk.size());
            if start < end {
                kept.push(Extent { offset: start, length: end - start });
                at = end;
            }
        }
        Self { disk, extents: kept }
    }

    /// A disk of which nothing is known: all of it is read.
    pub fn whole(disk: &'a (dyn ReadAt + Sync)) -> Self {
        Self::new(disk, &[Extent { offset: 0, length: disk.size() }])
    }

    /// A disk of which the blocks of 64 KiB that are zero are holes: what comes of it depends on its
    /// bytes alone, not on how they are stored. Only `extents` are looked at; the rest is known to be zero.
    ///
    /// # Errors
    /// What reading the disk reports.
    pub fn scanned(disk: &'a (dyn ReadAt + Sync), extents: &[Extent]) -> io::Result<Self> {
        let known = Self::new(disk, extents);
        let mut kept: Vec<Extent> = Vec::new();
        for start in (0..disk.size()).step_by(PIECE as usize) {
            let end = (start + PIECE).min(disk.size());
            if known.is_hole(start, end) {
                continue;
            }
            let piece = known.piece(start, end)?;
            for (at, block) in (start..).step_by(BLOCK).zip(piece.chunks(BLOCK)) {
                if is_zero(block) {
                    continue;
                }
                let length = block.len() as u64;
                match kept.last_mut().filter(|last| last.offset + last.length == at) {
                    Some(last) => last.length += length,
                    None => kept.push(Extent { offset: at, length }),
                }
            }
        }
        Ok(Self { disk, extents: kept })
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.disk.size()
    }

    /// Whether all of `start..end` is a hole.
    pub fn is_hole(&self, start: u64, end: u64) -> bool {
        let at = self.extents.partition_point(|extent| extent.offset + extent.length <= start);
        self.extents.get(at).is_none_or(|extent| extent.offset >= end)
    }

    /// The bytes `start..end`, which lie inside the disk; at most 1 MiB. Holes are not read.
    pub(crate) fn piece(&self, start: u64, end: u64) -> io::Result<Cow<'static, [u8]>> {
        let length = (end - start) as usize;
        match ZEROS.get(..length) {
            Some(zeros) if self.is_hole(start, end) => Ok(Cow::Borrowed(zeros)),
            _ => self.disk.read_vec_at(start, length).map(Cow::Owned),
        }
    }

    /// The disk.
    pub(crate) const fn source(&self) -> &'a (dyn ReadAt + Sync) {
        self.disk
    }
}

impl std::fmt::Debug for Sparse<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sparse")
            .field("size", &self.size())
            .field("extents", &self.extents)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_found_and_extents_are_tidied() {
        let disk: &[u8] = &[7; 1000];
        let extent = |offset, length| Extent { offset, length };
        let odd = [extent(900, u64::MAX), extent(100, 100), extent(150, 100), extent(2000, 5)];
        let sparse = Sparse::new(&disk, &odd);
        assert_eq!(sparse.extents, [extent(100, 100), extent(200, 50), extent(900, 100)]);
        for (start, end, hole) in [
            (0, 100, true),
            (0, 101, false),
            (249, 260, false),
            (250, 900, true),
            (999, 1000, false),
        ] {
            assert_eq!(sparse.is_hole(start, end), hole, "{start}..{end}");
        }
        assert_eq!(*sparse.piece(0, 50).unwrap(), [0; 50]);
        assert_eq!(*sparse.piece(120, 130).unwrap(), [7; 10]);
    }
}
