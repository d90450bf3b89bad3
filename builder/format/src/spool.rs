//! A temporary file for what can't be written yet.
//!
//! In: bytes. Out: the same bytes, once what has to stand before them is known.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

/// A file without a name.
pub(crate) struct Spool {
    file: BufWriter<File>,
    length: u64,
}

impl Spool {
    /// An empty one on the file system of `folder`.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(folder)?);
        Ok(Self { file, length: 0 })
    }

    /// Bytes in it.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Writes all of it to `out`.
    pub(crate) fn copy_to(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; 1 << 20];
        let mut left = self.length;
        while left > 0 {
            let now = left.min(buffer.len() as u64) as usize;
            file.read_exact(&mut buffer[..now])?;
            out.write_all(&buffer[..now])?;
            left -= now as u64;
        }
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
