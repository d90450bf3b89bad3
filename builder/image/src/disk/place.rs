//! A seekable output that remembers what was written where.

use std::io::{self, Seek, SeekFrom, Write};

/// A range of bytes of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset from the image's start.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
}

/// Writes at offsets and keeps the extents.
pub(super) struct Placer<W> {
    out: W,
    extents: Vec<Extent>,
}

impl<W: Write + Seek> Placer<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, extents: Vec::new() }
    }

    /// Writes `bytes` at `offset`.
    pub(super) fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.at(offset, bytes.len() as u64)?.write_all(bytes)
    }

    /// The output, ready to take `length` bytes at `offset`.
    pub(super) fn at(&mut self, offset: u64, length: u64) -> io::Result<&mut W> {
        self.extents.push(Extent { offset, length });
        self.out.seek(SeekFrom::Start(offset))?;
        Ok(&mut self.out)
    }

    /// The output, for what notes its extents by itself.
    pub(super) const fn output(&mut self) -> &mut W {
        &mut self.out
    }

    /// Notes extents that were written to the output.
    pub(super) fn note(&mut self, extents: Vec<Extent>) {
        self.extents.extend(extents);
    }

    /// Flushes, and returns the extents in ascending order, neighbours joined.
    pub(super) fn finish(mut self) -> io::Result<Vec<Extent>> {
        self.out.flush()?;
        self.extents.retain(|extent| extent.length > 0);
        self.extents.sort_by_key(|extent| extent.offset);
        let mut joined: Vec<Extent> = Vec::new();
        for extent in self.extents {
            match joined.last_mut() {
                Some(last) if last.offset + last.length >= extent.offset => {
                    let end = (extent.offset + extent.length).max(last.offset + last.length);
                    last.length = end - last.offset;
                }
                _ => joined.push(extent),
            }
        }
        Ok(joined)
    }
}
