//! Containers of files: each reader takes bytes and hands every member to the walk.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::time::Instant;

pub(crate) mod cab;
pub(crate) mod cpio;
pub(crate) mod iso;
pub(crate) mod onenote;
pub(crate) mod rar;
pub(crate) mod sevenzip;
pub(crate) mod single;
pub(crate) mod tar;
pub(crate) mod tnef;
pub(crate) mod wrapped;
pub(crate) mod zip;

/// Bytes that fail once the time is over, so that a decoder that goes round in circles ends.
#[derive(Debug)]
pub(crate) struct Timed<'a> {
    bytes: Cursor<&'a [u8]>,
    deadline: Instant,
}

impl<'a> Timed<'a> {
    pub(crate) fn new(bytes: &'a [u8], deadline: Instant) -> Self {
        Timed { bytes: Cursor::new(bytes), deadline }
    }

    fn check(&self) -> io::Result<()> {
        match Instant::now() < self.deadline {
            true => Ok(()),
            false => Err(io::Error::other("the time for one message is over")),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.bytes.read(buffer)
    }
}

impl Seek for Timed<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.check()?;
        self.bytes.seek(to)
    }
}
