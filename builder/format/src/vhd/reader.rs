//! Reads a foreign VHD as a disk.

use std::io;

use mailkiln_bytes_at::{ReadAt, Window};

use super::{
    COOKIE, DYNAMIC, DYNAMIC_COOKIE, DYNAMIC_HEADER, FIXED, MOST, SECTOR, UNUSED, checksum,
};
use crate::mapped::{Map, Mapped, Place, be32, be64};
use crate::open::{BadFormat, Foreign, Opened};

/// Where footer and header have their checksums.
const SUM: usize = 64;
const DYNAMIC_SUM: usize = 36;

/// Sizes of blocks that are read, in bytes.
const BLOCKS: std::ops::RangeInclusive<u64> = 512 << 10..=256 << 20;

/// Opens a fixed or dynamic disk.
pub(super) fn open(file: Foreign) -> Result<Opened, BadFormat> {
    let file = file.source;
    let short = BadFormat::Damaged("it is shorter than a footer");
    let last = file.size().checked_sub(SECTOR).ok_or(short)?;
    let footer = file.read_vec_at(last, SECTOR as usize)?;
    if !footer.starts_with(COOKIE) || checksum(&footer, SUM) != be32(&footer, SUM) {
        return Err(BadFormat::Damaged("it does not end with a footer whose checksum is right"));
    }
    let size = be64(&footer, 48);
    if size > MOST {
        return Err(BadFormat::Damaged("its disk is longer than any VHD can be"));
    }
    match be32(&footer, 60) {
        FIXED => {
            let window = Window::new(file, 0, size).filter(|_| size <= last);
            let window = window.ok_or(BadFormat::Damaged("it is shorter than its disk"))?;
            Ok(Box::new(window))
        }
        DYNAMIC => Ok(Box::new(Dynamic::open(file, be64(&footer, 16), size)?)),
        _ => Err(BadFormat::Unsupported("refers to another disk")),
    }
}

/// The table of a dynamic disk.
#[derive(Debug)]
struct Dynamic {
    size: u64,
    block: u64,
    /// Where each block's bitmap is, in sectors.
    table: Vec<u32>,
}

impl Dynamic {
    fn open<S: ReadAt>(file: S, at: u64, size: u64) -> Result<Mapped<S, Self>, BadFormat> {
        let header = file.read_vec_at(at, DYNAMIC_HEADER as usize)?;
        if !header.starts_with(DYNAMIC_COOKIE)
            || checksum(&header, DYNAMIC_SUM) != be32(&header, DYNAMIC_SUM)
        {
            return Err(BadFormat::Damaged("the header of its blocks is not right"));
        }
        let block = u64::from(be32(&header, 32));
        if !block.is_power_of_two() || !BLOCKS.contains(&block) {
            return Err(BadFormat::Damaged("the size of its blocks is not valid"));
        }
        let count = size.div_ceil(block);
        if u64::from(be32(&header, 28)) < count {
            return Err(BadFormat::Damaged("its table has too few blocks"));
        }
        // No more than the file has bytes: `read_vec_at` checks before it allocates.
        let bytes = file.read_vec_at(be64(&header, 16), count as usize * 4)?;
        let table = bytes.chunks_exact(4).map(|entry| be32(entry, 0)).collect();
        let map = Self { size, block, table };
        let is_inside = |number| match map.at(number) {
            Some(at) => at.saturating_add(block.min(size - number * block)) <= file.size(),
            None => true,
        };
        if !(0..count).all(is_inside) {
            return Err(BadFormat::Damaged("a block is beyond its end"));
        }
        Ok(Mapped::new(file, map))
    }

    /// Where the bytes of a block are.
    fn at(&self, number: u64) -> Option<u64> {
        let sector = self.table.get(number as usize).copied().filter(|it| *it != UNUSED)?;
        let bitmap = (self.block / SECTOR / 8).next_multiple_of(SECTOR);
        Some(u64::from(sector) * SECTOR + bitmap)
    }
}

impl Map for Dynamic {
    fn size(&self) -> u64 {
        self.size
    }

    fn block(&self) -> u64 {
        self.block
    }

    fn place(&self, _: &dyn ReadAt, number: u64) -> io::Result<Place> {
        Ok(self.at(number).map_or(Place::Hole, Place::At))
    }

    fn unpack(&self, _: &[u8], _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
