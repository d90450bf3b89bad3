//! Disks that a file holds in blocks, wherever it likes.
//!
//! In: a map from the disk's blocks to places in the file. Out: random access to the disk. Every place
//! is checked against the file's length before it is read, and no more than a block is unpacked at once.

use std::io;
use std::sync::{Mutex, PoisonError};

use mailkiln_bytes_at::ReadAt;

/// Where a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: it is zero.
    Hole,
    /// From this offset of the file on, as it is.
    At(u64),
    /// Compressed, from this offset on, in so many bytes.
    Packed(u64, u64),
}

/// A format's map.
pub(crate) trait Map {
    /// Bytes of the disk.
    fn size(&self) -> u64;

    /// Bytes of a block: the same for all, but that the disk may end within the last one.
    fn block(&self) -> u64;

    /// Where a block is; its number is inside the disk.
    fn place(&self, file: &dyn ReadAt, number: u64) -> io::Result<Place>;

    /// Unpacks a compressed block.
    fn unpack(&self, packed: &[u8], out: &mut [u8]) -> io::Result<()>;
}

/// A file with its map.
#[derive(Debug)]
pub(crate) struct Mapped<S, M> {
    file: S,
    map: M,
    /// The block that was unpacked last, with its number: reads are often of its next bytes.
    last: Mutex<Option<(u64, Vec<u8>)>>,
}

impl<S: ReadAt, M: Map> Mapped<S, M> {
    /// A disk.
    pub(crate) const fn new(file: S, map: M) -> Self {
        Self { file, map, last: Mutex::new(None) }
    }

    /// Fills `out` from the byte `inside` of a block on.
    fn read_block(&self, number: u64, inside: u64, out: &mut [u8]) -> io::Result<()> {
        match self.map.place(&self.file, number)? {
            Place::Hole => out.fill(0),
            Place::At(at) => {
                let at = at.checked_add(inside).ok_or_else(beyond)?;
                let end = at.checked_add(out.len() as u64).filter(|end| *end <= self.file.size());
                end.ok_or_else(beyond)?;
                self.file.read_exact_at(out, at)?;
            }
            Place::Packed(at, length) => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.as_ref().is_none_or(|(known, _)| *known != number) {
                    // The last compressed block of a file may claim whole sectors that are not all there.
                    let rest = self.file.size().checked_sub(at).ok_or_else(beyond)?;
                    let packed = self.file.read_vec_at(at, length.min(rest) as usize)?;
                    let mut block = vec![0; self.map.block() as usize];
                    *last = None;
                    self.map.unpack(&packed, &mut block)?;
                    *last = Some((number, block));
                }
                if let Some((_, block)) = &*last {
                    out.copy_from_slice(&block[inside as usize..][..out.len()]);
                }
            }
        }
        Ok(())
    }
}

fn beyond() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a block of the disk is beyond the file's end")
}

impl<S: ReadAt, M: Map> ReadAt for Mapped<S, M> {
    fn size(&self) -> u64 {
        self.map.size()
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = self.map.block();
        let mut at = offset;
        while !buffer.is_empty() {
            let inside = at % length;
            let (now, later) = buffer.split_at_mut(buffer.len().min((length - inside) as usize));
            self.read_block(at / length, inside, now)?;
            at += now.len() as u64;
            buffer = later;
        }
        Ok(())
    }
}

/// Big-endian and little-endian numbers of a header.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |all, &byte| all << 8 | u32::from(byte))
}

/// As [`be32`], of 8 bytes.
pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

/// As [`be32`], little-endian.
pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    be32(bytes, at).swap_bytes()
}

/// As [`be64`], little-endian.
pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    be64(bytes, at).swap_bytes()
}
