//! A disk of which only some extents are other than zero.
//!
//! In: the bytes, and the extents. Out: the disk in pieces or at offsets, where holes are not
//! read at all.

use std::borrow::Cow;
use std::io;

use mailkiln_image::disk::Extent;
use mailkiln_squashfs::ReadAt;

/// Bytes of a piece.
const PIECE: u64 = 1 << 20;

static ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];

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

    /// The whole disk in pieces of 1 MiB, the last one maybe shorter.
    pub fn pieces(&self) -> impl Iterator<Item = io::Result<Cow<'static, [u8]>>> {
        self.pieces_of(0, self.size())
    }

    /// The bytes `start..end` in pieces of 1 MiB.
    pub(crate) fn pieces_of(
        &self,
        start: u64,
        end: u64,
    ) -> impl Iterator<Item = io::Result<Cow<'static, [u8]>>> {
        (start..end).step_by(PIECE as usize).map(move |at| self.piece(at, (at + PIECE).min(end)))
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
