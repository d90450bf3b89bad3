//! Reads a foreign VHDX as a disk.

use std::io;

use mailkiln_bytes_at::ReadAt;
use mailkiln_image::Guid;

use super::{
    BAT, DISK_SIZE, FILE_PARAMETERS, FULLY_PRESENT, HEADER, HEADERS, LOGICAL_SECTOR, METADATA, MIB,
    MOST, NOT_PRESENT, REGIONS, TABLE, checksum, chunk,
};
use crate::mapped::{Map, Mapped, Place, le32, le64};
use crate::open::{BadFormat, Foreign, Opened};

/// Entries of a table of regions, and of metadata, that are looked at (§2.2.3.1, §2.6.1.1).
const MOST_REGIONS: u32 = 2047;
const MOST_ITEMS: u16 = 2047;

/// Bytes of the table of metadata, and of its longest item that is read.
const METADATA_TABLE: usize = 64 << 10;

/// Sizes of a block (§2.6.2.1).
const BLOCKS: std::ops::RangeInclusive<u64> = MIB..=256 * MIB;

/// In the file's parameters: it refers to another disk.
const HAS_PARENT: u32 = 2;

/// The blocks of a disk.
#[derive(Debug)]
struct Vhdx {
    size: u64,
    block: u64,
    /// Where each block is in the file; 0 for a hole.
    places: Vec<u64>,
}

/// Opens a disk.
pub(super) fn open(file: Foreign) -> Result<Opened, BadFormat> {
    let file = file.source;
    check_header(&file)?;
    let (bat, metadata) = regions(&file)?;
    let facts = Facts::read(&file, metadata)?;
    let count = facts.size.div_ceil(facts.block);
    let per_chunk = chunk(facts.block, facts.sector);
    let entries = count + count.saturating_sub(1) / per_chunk;
    if entries * 8 > bat.1 {
        return Err(BadFormat::Damaged("its table has too few blocks"));
    }
    // No more than the file has bytes: `read_vec_at` checks before it allocates.
    let table = file.read_vec_at(bat.0, entries as usize * 8)?;
    let mut places = Vec::with_capacity(count as usize);
    for number in 0..count {
        let entry = le64(&table, (number + number / per_chunk) as usize * 8);
        let (state, at) = (entry & 7, entry & !(MIB - 1));
        let wanted = facts.block.min(facts.size - number * facts.block);
        let is_inside = at >= MIB && at.checked_add(wanted).is_some_and(|end| end <= file.size());
        places.push(match state {
            // Undefined, zero and unmapped blocks (§2.5.1.1) read as zeros, like absent ones.
            NOT_PRESENT..=3 => 0,
            FULLY_PRESENT if is_inside => at,
            FULLY_PRESENT => return Err(BadFormat::Damaged("a block is beyond its end")),
            _ => return Err(BadFormat::Damaged("the state of a block is not valid")),
        });
    }
    let map = Vhdx { size: facts.size, block: facts.block, places };
    Ok(Box::new(Mapped::new(file, map)))
}

/// The header that counts is the one with the higher number (§2.2.2).
fn check_header(file: &dyn ReadAt) -> Result<(), BadFormat> {
    let mut current: Option<(u64, Vec<u8>)> = None;
    for at in HEADERS {
        let header = file.read_vec_at(at, HEADER)?;
        let is_whole = header.starts_with(b"head") && checksum(&header) == le32(&header, 4);
        let sequence = le64(&header, 8);
        if is_whole && current.as_ref().is_none_or(|(best, _)| *best < sequence) {
            current = Some((sequence, header));
        }
    }
    let Some((_, header)) = current else {
        return Err(BadFormat::Damaged("neither of its headers is right"));
    };
    if header[48..64].iter().any(|&byte| byte != 0) {
        return Err(BadFormat::Unsupported("was not closed: its log has to be replayed"));
    }
    Ok(())
}

/// Offset and length of a region.
type Region = (u64, u64);

/// The table of blocks, and the metadata.
fn regions(file: &dyn ReadAt) -> Result<(Region, Region), BadFormat> {
    for at in REGIONS {
        let table = file.read_vec_at(at, TABLE)?;
        let count = le32(&table, 8);
        let is_whole = table.starts_with(b"regi") && checksum(&table) == le32(&table, 4);
        if !is_whole || count > MOST_REGIONS {
            continue;
        }
        let find = |wanted: Guid| {
            let mut entries = table[16..].chunks_exact(32).take(count as usize);
            let entry = entries.find(|entry| entry[..16] == wanted.to_gpt())?;
            Some((le64(entry, 16), u64::from(le32(entry, 24))))
        };
        if let (Some(bat), Some(metadata)) = (find(BAT), find(METADATA)) {
            return Ok((bat, metadata));
        }
    }
    Err(BadFormat::Damaged("neither of its tables of regions is right"))
}

/// What the metadata say.
struct Facts {
    size: u64,
    block: u64,
    sector: u64,
}

impl Facts {
    fn read(file: &dyn ReadAt, region: Region) -> Result<Self, BadFormat> {
        let table = file.read_vec_at(region.0, METADATA_TABLE)?;
        let count = u16::from_le_bytes([table[10], table[11]]);
        if !table.starts_with(b"metadata") || count > MOST_ITEMS {
            return Err(BadFormat::Damaged("its metadata are not valid"));
        }
        let item = |wanted: Guid, length: usize| {
            let mut entries = table[32..].chunks_exact(32).take(usize::from(count));
            let entry = entries.find(|entry| entry[..16] == wanted.to_gpt());
            let entry = entry.ok_or(BadFormat::Damaged("its metadata lack something"))?;
            let at = region.0.checked_add(u64::from(le32(entry, 16)));
            let at = at.ok_or(BadFormat::Damaged("its metadata are not valid"))?;
            Ok::<_, BadFormat>(file.read_vec_at(at, length)?)
        };
        let parameters = item(FILE_PARAMETERS, 8)?;
        if le32(&parameters, 4) & HAS_PARENT != 0 {
            return Err(BadFormat::Unsupported("refers to another disk"));
        }
        let block = u64::from(le32(&parameters, 0));
        let size = le64(&item(DISK_SIZE, 8)?, 0);
        let sector = u64::from(le32(&item(LOGICAL_SECTOR, 4)?, 0));
        if !block.is_power_of_two() || !BLOCKS.contains(&block) || size > MOST {
            return Err(BadFormat::Damaged("its sizes are not valid"));
        }
        if !matches!(sector, 512 | 4096) {
            return Err(BadFormat::Damaged("the size of its sectors is not valid"));
        }
        Ok(Self { size, block, sector })
    }
}

impl Map for Vhdx {
    fn size(&self) -> u64 {
        self.size
    }

    fn block(&self) -> u64 {
        self.block
    }

    fn place(&self, _: &dyn ReadAt, number: u64) -> io::Result<Place> {
        let at = self.places.get(number as usize).copied().unwrap_or(0);
        Ok(if at == 0 { Place::Hole } else { Place::At(at) })
    }

    fn unpack(&self, _: &[u8], _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
