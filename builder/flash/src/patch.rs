//! A few bytes of a medium that holds an image already: read, replaced where they are, read back.
//!
//! In: a target, ranges of its bytes and what shall be there. Out: the same target, everything else
//! on it as it was.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;

use mailkiln_bytes_at::ReadAt;

use crate::Target;
use crate::buffer::Buffer;

/// Bytes could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The medium refuses.
    #[error("can't {action} {device} at byte {at}: {error}; try another port, then another medium")]
    Medium {
        /// What was tried.
        action: &'static str,
        /// The device.
        device: PathBuf,
        /// Where, in bytes from the device's start.
        at: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The medium gives other bytes back.
    #[error(
        "{device} does not hold what was written to it at byte {at}: the medium is worn out, take another one"
    )]
    Mismatch {
        /// The device.
        device: PathBuf,
        /// Where, in bytes from the device's start.
        at: u64,
    },
}

/// A target as a disk that can be read, in whole blocks as the target wants it.
pub struct Contents<'a>(RefCell<&'a mut dyn Target>);

impl<'a> Contents<'a> {
    /// What `target` holds.
    pub fn of(target: &'a mut dyn Target) -> Self {
        Self(RefCell::new(target))
    }
}

impl std::fmt::Debug for Contents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contents")
    }
}

impl ReadAt for Contents<'_> {
    fn size(&self) -> u64 {
        self.0.borrow().size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut target = self.0.borrow_mut();
        let blocks = Blocks::around(&**target, offset, buffer.len());
        let bytes = blocks.read(&mut **target)?;
        buffer.copy_from_slice(&bytes[blocks.inside..][..buffer.len()]);
        Ok(())
    }
}

/// Puts `bytes` into `ranges` (offset and length, in the order of the bytes, as long together as they),
/// waits until they are on the medium, and reads them back.
///
/// # Errors
/// [`PatchError`]; the ranges then hold the old bytes, the new ones, or some of both.
pub fn patch(
    target: &mut dyn Target,
    ranges: &[(u64, u64)],
    bytes: &[u8],
) -> Result<(), PatchError> {
    let device = target.path().to_owned();
    let failed = |action, at| {
        let device = device.clone();
        move |error| PatchError::Medium { action, device, at, error }
    };
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for &(at, length) in ranges {
        let (piece, tail) = rest.split_at(rest.len().min(length as usize));
        pieces.push((at, piece));
        rest = tail;
    }
    for &(at, piece) in &pieces {
        let blocks = Blocks::around(target, at, piece.len());
        let mut buffer = blocks.read(target).map_err(failed("read", at))?;
        buffer[blocks.inside..][..piece.len()].copy_from_slice(piece);
        target.write_at(&buffer, blocks.start).map_err(failed("write to", at))?;
    }
    target.sync().map_err(failed("write to", 0))?;
    target.forget();
    for &(at, piece) in &pieces {
        let blocks = Blocks::around(target, at, piece.len());
        let buffer = blocks.read(target).map_err(failed("read", at))?;
        if &buffer[blocks.inside..][..piece.len()] != piece {
            return Err(PatchError::Mismatch { device, at });
        }
    }
    Ok(())
}

/// Whole blocks around a range of bytes.
struct Blocks {
    start: u64,
    length: usize,
    /// Where the range begins in them.
    inside: usize,
}

impl Blocks {
    fn around(target: &dyn Target, at: u64, length: usize) -> Self {
        let block = target.block() as u64;
        let start = at / block * block;
        let inside = (at - start) as usize;
        Self { start, length: (inside + length).next_multiple_of(block as usize), inside }
    }

    fn read(&self, target: &mut dyn Target) -> io::Result<Buffer> {
        // Whoever asks for bytes behind the end must not be given memory for them.
        if self.start.checked_add(self.length as u64).is_none_or(|end| end > target.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut buffer = Buffer::new(self.length);
        target.read_at(&mut buffer, self.start)?;
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;
    use std::path::Path;

    use super::*;
    use crate::Medium;

    /// A file that wants whole blocks, and may lose what is written.
    struct Picky(Medium, bool);

    impl Target for Picky {
        fn path(&self) -> &Path {
            self.0.path()
        }
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn block(&self) -> usize {
            512
        }
        fn is_blank(&self) -> bool {
            false
        }
        fn is_present(&self) -> bool {
            true
        }
        fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
            assert!(at.is_multiple_of(512) && bytes.len().is_multiple_of(512));
            if self.1 { Ok(()) } else { self.0.write_at(bytes, at) }
        }
        fn sync(&mut self) -> io::Result<()> {
            self.0.sync()
        }
        fn forget(&mut self) {}
        fn read_at(&mut self, bytes: &mut [u8], at: u64) -> io::Result<()> {
            assert!(at.is_multiple_of(512) && bytes.len().is_multiple_of(512));
            self.0.read_at(bytes, at)
        }
        fn rescan(&mut self) -> bool {
            true
        }
    }

    fn disk(loses: bool) -> (tempfile::NamedTempFile, Vec<u8>, Picky) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..8192_u32).map(|n| (n % 251) as u8).collect();
        file.as_file().write_all_at(&content, 0).unwrap();
        let target = Picky(Medium::file(file.path()).unwrap(), loses);
        (file, content, target)
    }

    #[test]
    fn only_the_ranges_change() {
        let (file, mut content, mut target) = disk(false);
        let ranges = [(1000, 30), (4096, 512), (100, 1)];
        let bytes: Vec<u8> = vec![0xee; 543];
        patch(&mut target, &ranges, &bytes).unwrap();
        for (at, length) in ranges {
            content[at as usize..(at + length) as usize].fill(0xee);
        }
        assert_eq!(std::fs::read(file.path()).unwrap(), content);
        let contents = Contents::of(&mut target);
        assert_eq!(contents.read_vec_at(990, 50).unwrap(), &content[990..1040]);
        assert!(contents.read_vec_at(8190, 3).is_err());
    }

    #[test]
    fn a_medium_that_loses_bytes_is_found_out() {
        let (_file, _, mut target) = disk(true);
        let error = patch(&mut target, &[(1000, 4)], b"seed").unwrap_err();
        assert!(matches!(error, PatchError::Mismatch { at: 1000, .. }), "{error}");
        let error = patch(&mut target, &[(8190, 4)], b"seed").unwrap_err().to_string();
        assert!(error.contains("at byte 8190"), "{error}");
    }
}
