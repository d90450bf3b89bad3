//! Reads a foreign qcow2 image as a disk.

use std::io;

use mailkiln_squashfs::ReadAt;

use super::{HEADER_LEN, MAGIC, OFFSET};

/// Smallest and largest cluster the format knows, as powers of two.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;

/// Largest first-level table that is read, in bytes (QEMU's own limit, `QCOW_MAX_L1_SIZE`).
const MOST_POINTER_BYTES: u64 = 32 << 20;

/// In a second-level entry: the cluster is compressed, or reads as zeros.
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;

/// Features that do not hinder reading: "dirty" and "corrupt" only concern reference counts.
const HARMLESS: u64 = 0b11;

/// An open image.
#[derive(Debug)]
pub struct Qcow2<S> {
    source: S,
    size: u64,
    cluster_bits: u32,
    /// Offsets of second-level tables; 0 where there is none.
    pointers: Vec<u64>,
}

/// Why a file can't be read as qcow2.
#[derive(Debug, thiserror::Error)]
pub enum BadQcow2 {
    /// The medium failed, or the file ends too early.
    #[error("the qcow2 image can't be read: {0}")]
    Io(#[from] io::Error),
    /// Not qcow2 of version 2 or 3.
    #[error("it is not a qcow2 image of version 2 or 3")]
    Magic,
    /// Something this reader does not know.
    #[error("the qcow2 image {0}; convert it with `qemu-img convert -O raw`")]
    Unsupported(&'static str),
    /// Numbers that no image can have.
    #[error("the qcow2 image is damaged: its {0} is not valid")]
    Invalid(&'static str),
}

impl<S: ReadAt> Qcow2<S> {
    /// Reads header and first-level table.
    ///
    /// # Errors
    /// [`BadQcow2`] when it is another format, or one of qcow2's features is used that only
    /// QEMU reads.
    pub fn open(source: S) -> Result<Self, BadQcow2> {
        let header = source.read_vec_at(0, HEADER_LEN.min(source.size() as usize))?;
        if header.len() < HEADER_LEN || !header.starts_with(&MAGIC) {
            return Err(BadQcow2::Magic);
        }
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let long = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
        let version = word(4);
        if !(2..=3).contains(&version) {
            return Err(BadQcow2::Magic);
        }
        if long(8) != 0 {
            return Err(BadQcow2::Unsupported("refers to a backing file"));
        }
        if word(32) != 0 {
            return Err(BadQcow2::Unsupported("is encrypted"));
        }
        if version == 3 && long(72) & !HARMLESS != 0 {
            return Err(BadQcow2::Unsupported("uses features that only QEMU reads"));
        }
        let (cluster_bits, size) = (word(20), long(24));
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return Err(BadQcow2::Invalid("cluster size"));
        }
        let per_table = 1 << (2 * cluster_bits - 3);
        let count = size.div_ceil(per_table);
        if count * 8 > MOST_POINTER_BYTES || u64::from(word(36)) < count {
            return Err(BadQcow2::Invalid("first-level table"));
        }
        let bytes = source.read_vec_at(long(40), count as usize * 8)?;
        let pointers = bytes
            .chunks_exact(8)
            .map(|entry| entry.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)) & OFFSET)
            .collect();
        Ok(Self { source, size, cluster_bits, pointers })
    }

    /// Where the cluster that holds `offset` lies in the file; `None` for a hole.
    fn cluster(&self, offset: u64) -> io::Result<Option<u64>> {
        let number = offset >> self.cluster_bits;
        let index_bits = self.cluster_bits - 3;
        let table = self.pointers.get((number >> index_bits) as usize).copied().unwrap_or(0);
        if table == 0 {
            return Ok(None);
        }
        let at = table + (number & ((1 << index_bits) - 1)) * 8;
        let mut entry = [0; 8];
        self.source.read_exact_at(&mut entry, at)?;
        let entry = u64::from_be_bytes(entry);
        if entry & COMPRESSED != 0 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the qcow2 image is compressed; convert it with `qemu-img convert -O raw`",
            ));
        }
        let place = entry & OFFSET;
        Ok((place != 0 && entry & ZERO == 0).then_some(place))
    }
}

impl<S: ReadAt> ReadAt for Qcow2<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let cluster_len = 1_u64 << self.cluster_bits;
        let mut at = offset;
        while !buffer.is_empty() {
            let inside = at & (cluster_len - 1);
            let (now, later) =
                buffer.split_at_mut(buffer.len().min((cluster_len - inside) as usize));
            match self.cluster(at)? {
                Some(place) => self.source.read_exact_at(now, place + inside)?,
                None => now.fill(0),
            }
            at += now.len() as u64;
            buffer = later;
        }
        Ok(())
    }
}
