//! Reads a foreign VMDK as a disk: one file, sparse, compressed or not.

use std::io;

use mailkiln_bytes_at::ReadAt;

use super::{AT_END, COMPRESSED, ENDINGS, MAGIC, MARKERS, SECTOR};
use crate::codec::inflate;
use crate::mapped::{Map, Mapped, Place, le32, le64};
use crate::open::{BadFormat, Foreign, LARGEST_DISK, Opened};

/// Bytes of a header that mean something.
const HEADER: usize = 79;

/// The last header stands before the marker of the end.
const FOOTER_BACK: u64 = 2 * SECTOR;

/// Sectors of a grain that are read: QEMU's own limits, 512 bytes to 64 MiB, and ours below.
const GRAIN_SECTORS: std::ops::RangeInclusive<u64> = 1..=32768;

/// Bytes before a compressed grain: where it belongs, and how long it is.
const MARKER: u64 = 12;

/// The tables of a disk.
#[derive(Debug)]
struct Vmdk {
    size: u64,
    grain: u64,
    per_table: u64,
    compressed: bool,
    /// Where the tables of grains are, in sectors; 0 where there is none.
    directory: Vec<u32>,
}

/// Opens a disk.
pub(crate) fn open(file: Foreign) -> Result<Opened, BadFormat> {
    let file = file.source;
    let mut header = file.read_vec_at(0, HEADER)?;
    check(&header)?;
    if le64(&header, 56) == AT_END {
        let at = file.size().checked_sub(FOOTER_BACK);
        let at = at.ok_or(BadFormat::Damaged("it is shorter than its headers"))?;
        header = file.read_vec_at(at, HEADER)?;
        check(&header).map_err(|_| BadFormat::Damaged("it ends before its last header"))?;
    }
    let flags = le32(&header, 8);
    let (capacity, grain) = (le64(&header, 12), le64(&header, 20));
    let per_table = u64::from(le32(&header, 44));
    let at = le64(&header, 56);
    if !grain.is_power_of_two()
        || !GRAIN_SECTORS.contains(&grain)
        || !(1..=4096).contains(&per_table)
    {
        return Err(BadFormat::Damaged("the size of its grains is not valid"));
    }
    if capacity > LARGEST_DISK / SECTOR {
        return Err(BadFormat::Damaged("its disk is larger than 2 TiB"));
    }
    let compressed = flags & COMPRESSED != 0;
    if compressed != (flags & MARKERS != 0) {
        return Err(BadFormat::Unsupported("is compressed in a way that only VMware reads"));
    }
    let at = at.checked_mul(SECTOR).ok_or(BadFormat::Damaged("its tables are beyond its end"))?;
    let count = capacity.div_ceil(grain * per_table);
    // No more than the file has bytes: `read_vec_at` checks before it allocates.
    let directory = file.read_vec_at(at, count as usize * 4)?;
    let directory: Vec<u32> = directory.chunks_exact(4).map(|entry| le32(entry, 0)).collect();
    let is_inside = |table: &u32| u64::from(*table) * SECTOR + per_table * 4 <= file.size();
    if !directory.iter().all(is_inside) {
        return Err(BadFormat::Damaged("a table of its grains is beyond its end"));
    }
    let map =
        Vmdk { size: capacity * SECTOR, grain: grain * SECTOR, per_table, compressed, directory };
    Ok(Box::new(Mapped::new(file, map)))
}

fn check(header: &[u8]) -> Result<(), BadFormat> {
    if !header.starts_with(MAGIC) || !(1..=3).contains(&le32(header, 4)) {
        return Err(BadFormat::Damaged("its header is not that of a VMDK"));
    }
    if le32(header, 8) & 1 != 0 && header[73..77] != *ENDINGS {
        return Err(BadFormat::Damaged("a transfer as text has changed its line endings"));
    }
    Ok(())
}

impl Map for Vmdk {
    fn size(&self) -> u64 {
        self.size
    }

    fn block(&self) -> u64 {
        self.grain
    }

    fn place(&self, file: &dyn ReadAt, number: u64) -> io::Result<Place> {
        let table = self.directory.get((number / self.per_table) as usize).copied().unwrap_or(0);
        if table == 0 {
            return Ok(Place::Hole);
        }
        let mut entry = [0; 4];
        file.read_exact_at(&mut entry, u64::from(table) * SECTOR + number % self.per_table * 4)?;
        // 1 says that the grain is zero.
        let at = match u32::from_le_bytes(entry) {
            0 | 1 => return Ok(Place::Hole),
            sector => u64::from(sector) * SECTOR,
        };
        if !self.compressed {
            return Ok(Place::At(at));
        }
        let marker = file.read_vec_at(at, MARKER as usize)?;
        let length = u64::from(le32(&marker, 8));
        let is_right =
            le64(&marker, 0) == number * (self.grain / SECTOR) && length <= 2 * self.grain;
        if !is_right {
            let why = "a grain is not where its table says";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Place::Packed(at + MARKER, length))
    }

    fn unpack(&self, packed: &[u8], out: &mut [u8]) -> io::Result<()> {
        inflate(packed, true, out)
    }
}
