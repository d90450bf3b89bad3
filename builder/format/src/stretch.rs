//! A stretch of a disk on its way through the codecs and into the formats.
//!
//! In: a disk and a range of it. Out: its bytes in pieces of 1 MiB, each read once and kept while
//! more than one codec or format wants it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::io;

use crate::sparse::{PIECE, Sparse};

/// Some pieces of a disk.
pub(crate) struct Stretch<'a> {
    disk: &'a Sparse<'a>,
    start: u64,
    end: u64,
    /// Empty when nothing is kept.
    kept: Vec<OnceCell<Cow<'static, [u8]>>>,
}

impl<'a> Stretch<'a> {
    /// The bytes `start..end` of a disk; `start` is a multiple of the piece's length.
    pub(crate) fn new(disk: &'a Sparse<'a>, start: u64, end: u64, keep: bool) -> Self {
        let count = if keep { (end - start).div_ceil(PIECE) } else { 0 };
        Self { disk, start, end, kept: (0..count).map(|_| OnceCell::new()).collect() }
    }

    /// Offset of its first byte on the disk.
    pub(crate) const fn start(&self) -> u64 {
        self.start
    }

    /// Offset of the byte after its last.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// Whether `start..end` of the disk is a hole.
    pub(crate) fn is_hole(&self, start: u64, end: u64) -> bool {
        self.disk.is_hole(start, end)
    }

    /// Its pieces in order, each with its offset on the disk.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = io::Result<(u64, Cow<'_, [u8]>)>> {
        self.pieces_in(self.start, self.end)
    }

    /// The pieces of `start..end`, which begins with one and ends with one.
    pub(crate) fn pieces_in(
        &self,
        start: u64,
        end: u64,
    ) -> impl Iterator<Item = io::Result<(u64, Cow<'_, [u8]>)>> {
        (start..end).step_by(PIECE as usize).map(|at| Ok((at, self.piece(at)?)))
    }

    fn piece(&self, at: u64) -> io::Result<Cow<'_, [u8]>> {
        let read = || self.disk.piece(at, (at + PIECE).min(self.end));
        let index = ((at - self.start) / PIECE) as usize;
        let Some(cell) = self.kept.get(index) else { return read() };
        if let Some(bytes) = cell.get() {
            return Ok(Cow::Borrowed(bytes));
        }
        let bytes = read()?;
        Ok(Cow::Borrowed(cell.get_or_init(|| bytes)))
    }

    /// Its blocks of `length` bytes, which divides a piece's length, with their offsets on the disk.
    /// `work` gets `None` for a hole.
    pub(crate) fn each_block(
        &self,
        length: u64,
        mut work: impl FnMut(u64, Option<&[u8]>) -> io::Result<()>,
    ) -> io::Result<()> {
        for piece in self.pieces() {
            let (offset, piece) = piece?;
            for (at, block) in
                (offset..).step_by(length as usize).zip(piece.chunks(length as usize))
            {
                let is_hole = self.is_hole(at, at + block.len() as u64);
                work(at, (!is_hole).then_some(block))?;
            }
        }
        Ok(())
    }
}
