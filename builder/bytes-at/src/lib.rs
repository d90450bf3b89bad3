//! Bytes that can be read at an offset: a file, a slice, or a window of either.
//!
//! In: something that holds bytes. Out: exact reads at absolute offsets, never past the end.
//! Readers of images take this instead of a path, so that they work on what is inside a disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Random access to a fixed number of bytes.
pub trait ReadAt {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when that reaches past the end; what the medium reports.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The `length` bytes from `offset` on, as an owned vector. Checks that they exist before
    /// it allocates, so a foreign length can't ask for more memory than the medium has bytes.
    ///
    /// # Errors
    /// As [`ReadAt::read_exact_at`].
    fn read_vec_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut buffer = vec![0; length];
        self.read_exact_at(&mut buffer, offset)?;
        Ok(buffer)
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Box<T> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

/// An open file together with its size at the time it was opened.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size: u64,
}

impl FileSource {
    /// Takes `file` over; its length is asked once.
    ///
    /// # Errors
    /// When the file's metadata can't be read.
    pub fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl ReadAt for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

/// A range of another source, with offsets counted from its start: a partition of a disk.
#[derive(Clone)]
pub struct Window<S> {
    inner: S,
    start: u64,
    size: u64,
}

impl<S: ReadAt> Window<S> {
    /// The `size` bytes of `inner` from `start` on; `None` when they are not all there.
    pub fn new(inner: S, start: u64, size: u64) -> Option<Self> {
        (start.checked_add(size)? <= inner.size()).then_some(Self { inner, start, size })
    }
}

impl<S> std::fmt::Debug for Window<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window")
            .field("start", &self.start)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl<S: ReadAt> ReadAt for Window<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.inner.read_exact_at(buffer, self.start + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stay_inside() {
        let bytes: &[u8] = b"0123456789";
        let window = Window::new(bytes, 2, 5).unwrap();
        assert_eq!(window.read_vec_at(0, 5).unwrap(), b"23456");
        assert_eq!(window.read_vec_at(5, 0).unwrap(), b"");
        for (offset, length) in [(0, 6), (5, 1), (u64::MAX, 1), (u64::MAX, 0), (0, usize::MAX)] {
            assert!(window.read_vec_at(offset, length).is_err(), "{offset} {length}");
            assert!(bytes[2..7].read_vec_at(offset, length).is_err(), "{offset} {length}");
        }
        assert!(Window::new(bytes, 6, 5).is_none());
        assert!(Window::new(bytes, u64::MAX, 2).is_none());
    }
}
