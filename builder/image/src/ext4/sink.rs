//! The place of a file system on the disk, and what was written there.

use std::io::{self, Seek, SeekFrom, Write};

use mkext4::RegionSink;

use crate::disk::Extent;

/// A stretch of zeros that is longer than this is free space, not part of a table: the inodes of a group take 8 MiB at
/// most. The journal, which is longer, lies before the last file.
const LONGEST_TABLE: u64 = 8 << 20;

/// What a file system's bytes are on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What was written, or must be zero wherever the image is copied to; ascending, in bytes of the disk.
    pub extents: Vec<Extent>,
}

/// Takes regions of a file system that starts at a byte of the disk.
#[derive(Debug)]
pub(super) struct Region<'a, W> {
    out: &'a mut W,
    start: u64,
    /// Where the last file ends, in the file system.
    files_end: u64,
    extents: Vec<Extent>,
}

impl<'a, W: Write + Seek> Region<'a, W> {
    pub(super) const fn new(out: &'a mut W, start: u64, files_end: u64) -> Self {
        Self { out, start, files_end, extents: Vec::new() }
    }

    pub(super) fn finish(mut self) -> Written {
        self.extents.sort_by_key(|extent| extent.offset);
        Written { extents: self.extents }
    }

    fn note(&mut self, offset: u64, length: u64) {
        let offset = self.start + offset;
        match self.extents.last_mut() {
            Some(last) if last.offset + last.length == offset => last.length += length,
            _ => self.extents.push(Extent { offset, length }),
        }
    }
}

impl<W: Write + Seek> RegionSink for Region<'_, W> {
    fn data(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.note(offset, bytes.len() as u64);
        self.out.seek(SeekFrom::Start(self.start + offset))?;
        self.out.write_all(bytes)
    }

    /// Nothing is written: the output is zero where nothing was. What may hold anything is not even noted.
    fn zeros(&mut self, offset: u64, len: u64) -> io::Result<()> {
        if len <= LONGEST_TABLE || offset < self.files_end {
            self.note(offset, len);
        }
        Ok(())
    }
}
