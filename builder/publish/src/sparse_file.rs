//! A file that keeps the holes of what is written to it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;

/// Bytes that are left out when all of them are zero.
const HOLE: usize = 64 << 10;
static ZEROS: [u8; HOLE] = [0; HOLE];

/// Writes to a new file, and nothing where there are zeros.
#[derive(Debug)]
pub(crate) struct SparseFile<'a> {
    file: &'a File,
    at: u64,
}

impl<'a> SparseFile<'a> {
    /// An empty file.
    pub(crate) const fn new(file: &'a File) -> Self {
        Self { file, at: 0 }
    }

    /// Gives the file its length, in case that it ends with zeros.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.file.set_len(self.at)
    }
}

impl Write for SparseFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What is not zero is written in one go as far as it goes.
        let is_hole = |piece: &[u8]| piece.len() == HOLE && is_zero(piece);
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut holes = 0;
            while is_hole(&rest[holes..(holes + HOLE).min(rest.len())]) {
                holes += HOLE;
            }
            self.at += holes as u64;
            rest = &rest[holes..];
            let mut data = 0;
            while data < rest.len() && !is_hole(&rest[data..(data + HOLE).min(rest.len())]) {
                data += HOLE;
            }
            let data = data.min(rest.len());
            self.file.write_all_at(&rest[..data], self.at)?;
            self.at += data as u64;
            rest = &rest[data..];
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns true if all of `bytes`, at most [`HOLE`] of them, are zero.
fn is_zero(bytes: &[u8]) -> bool {
    ZEROS.get(..bytes.len()).is_some_and(|zeros| zeros == bytes)
}
