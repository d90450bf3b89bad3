//! Reads a foreign qcow2 image as a disk.

use std::io;

use mailkiln_bytes_at::ReadAt;

use super::{COMPRESSED, COMPRESSION_TYPE, HEADER_LEN, MAGIC, OFFSET};
use crate::codec::inflate;
use crate::mapped::{Map, Mapped, Place, be32, be64};
use crate::open::{BadFormat, LARGEST_DISK};

/// Smallest and largest cluster the format knows, as powers of two.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;

/// Largest first-level table that is read, in bytes (QEMU's own limit, `QCOW_MAX_L1_SIZE`).
const MOST_POINTER_BYTES: u64 = 32 << 20;

/// In a second-level entry: the cluster reads as zeros.
const ZERO: u64 = 1;

/// Features that do not hinder reading: "dirty" and "corrupt" only concern reference counts.
const HARMLESS: u64 = 0b11;

/// Sectors in which the length of a compressed cluster is counted.
const SECTOR: u64 = 512;

/// Window that the frame of a cluster may ask for: four times the largest cluster.
const CLUSTER_WINDOW_LOG: u32 = 23;

/// The tables of an image.
#[derive(Debug)]
pub(crate) struct Qcow2 {
    size: u64,
    cluster_bits: u32,
    zstd: bool,
    /// Offsets of second-level tables; 0 where there is none.
    pointers: Vec<u64>,
}

impl Qcow2 {
    /// Reads header and first-level table.
    ///
    /// # Errors
    /// [`BadFormat`] when it is damaged, or one of qcow2's features is used that only QEMU reads.
    pub(crate) fn open<S: ReadAt>(file: S) -> Result<Mapped<S, Self>, BadFormat> {
        let header = file.read_vec_at(0, HEADER_LEN.min(file.size() as usize))?;
        if header.len() < HEADER_LEN || !header.starts_with(&MAGIC) {
            return Err(BadFormat::Damaged("its header is not that of a qcow2"));
        }
        let version = be32(&header, 4);
        if !(2..=3).contains(&version) {
            return Err(BadFormat::Unsupported("is not of version 2 or 3"));
        }
        if be64(&header, 8) != 0 {
            return Err(BadFormat::Unsupported("refers to a backing file"));
        }
        if be32(&header, 32) != 0 {
            return Err(BadFormat::Unsupported("is encrypted"));
        }
        let features = if version == 3 { be64(&header, 72) } else { 0 };
        if features & !(HARMLESS | COMPRESSION_TYPE) != 0 {
            return Err(BadFormat::Unsupported("uses features that only QEMU reads"));
        }
        let zstd = features & COMPRESSION_TYPE != 0 && {
            let kind = file.read_vec_at(HEADER_LEN as u64, 1)?;
            match (be32(&header, 100) as usize > HEADER_LEN, kind[0]) {
                (true, 0) => false,
                (true, 1) => true,
                _ => {
                    return Err(BadFormat::Unsupported(
                        "is compressed in a way that only QEMU reads",
                    ));
                }
            }
        };
        let (cluster_bits, size) = (be32(&header, 20), be64(&header, 24));
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return Err(BadFormat::Damaged("its cluster size is not valid"));
        }
        if size > LARGEST_DISK {
            return Err(BadFormat::Unsupported("has a disk of more than 2 TiB"));
        }
        let count = size.div_ceil(1 << (2 * cluster_bits - 3));
        if count * 8 > MOST_POINTER_BYTES || u64::from(be32(&header, 36)) < count {
            return Err(BadFormat::Damaged("its first-level table is not valid"));
        }
        let bytes = file.read_vec_at(be64(&header, 40), count as usize * 8)?;
        let pointers = bytes.chunks_exact(8).map(|entry| be64(entry, 0) & OFFSET).collect();
        Ok(Mapped::new(file, Self { size, cluster_bits, zstd, pointers }))
    }
}

impl Map for Qcow2 {
    fn size(&self) -> u64 {
        self.size
    }

    fn block(&self) -> u64 {
        1 << self.cluster_bits
    }

    fn place(&self, file: &dyn ReadAt, number: u64) -> io::Result<Place> {
        let index_bits = self.cluster_bits - 3;
        let table = self.pointers.get((number >> index_bits) as usize).copied().unwrap_or(0);
        if table == 0 {
            return Ok(Place::Hole);
        }
        let at = table + (number & ((1 << index_bits) - 1)) * 8;
        let mut entry = [0; 8];
        file.read_exact_at(&mut entry, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "a second-level table is beyond the file's end; copy it again",
            ),
            _ => error,
        })?;
        let entry = u64::from_be_bytes(entry);
        if entry & COMPRESSED != 0 {
            let bits = 62 - (self.cluster_bits - 8);
            let at = entry & ((1 << bits) - 1);
            let more = (entry & (COMPRESSED - 1)) >> bits;
            return Ok(Place::Packed(at, (more + 1) * SECTOR - at % SECTOR));
        }
        let place = entry & OFFSET;
        Ok(if place == 0 || entry & ZERO != 0 { Place::Hole } else { Place::At(place) })
    }

    fn unpack(&self, packed: &[u8], out: &mut [u8]) -> io::Result<()> {
        if !self.zstd {
            return inflate(packed, false, out);
        }
        // What follows the frame in its last sector belongs to others.
        let mut decoder = zstd::Decoder::with_buffer(packed)?.single_frame();
        decoder.window_log_max(CLUSTER_WINDOW_LOG)?;
        io::Read::read_exact(&mut decoder, out).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "a compressed cluster is damaged")
        })
    }
}
