//! Writes VHDX front to back: which blocks are holes is known beforehand.

use std::io::{self, Write};

use mailkiln_image::Guid;

use super::{
    BAT, DISK_ID, DISK_SIZE, FILE_PARAMETERS, FULLY_PRESENT, HEADER, HEADERS, LOGICAL_SECTOR,
    MAGIC, METADATA, MIB, PHYSICAL_SECTOR, REGIONS, TABLE, checksum, chunk,
};
use crate::codec::Block;
use crate::container::{Container, Plan, padded, zeros};
use crate::stretch::Stretch;

/// Bytes of a block: the smallest, so that holes take least room.
const BLOCK: u64 = MIB;

/// Bytes of a sector, and of what the disk says that its sectors really are.
const LOGICAL: u32 = 512;
const PHYSICAL: u32 = 4096;

/// Where the log is, which is empty, and how long.
const LOG: (u64, u64) = (MIB, MIB);

/// Where the metadata are, and how long.
const METADATA_PLACE: (u64, u64) = (2 * MIB, MIB);

/// Where the table of blocks is.
const BAT_AT: u64 = 3 * MIB;

/// Items of the metadata begin here, after their table.
const ITEMS: usize = 64 << 10;

/// An item is needed to read the disk, and belongs to the disk rather than the file (§2.6.1.2).
const REQUIRED: u32 = 4;
const OF_DISK: u32 = 2;

/// Starts a disk: everything before its blocks.
pub(super) fn start(plan: &Plan<'_>, out: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    let blocks = plan.size.div_ceil(BLOCK);
    let per_chunk = chunk(BLOCK, u64::from(LOGICAL));
    // After each chunk of entries one of a bitmap, which only a disk that refers to another has.
    let entries = blocks + blocks.saturating_sub(1) / per_chunk;
    let bat = (entries * 8).next_multiple_of(MIB).max(MIB);
    let mut front = vec![0; MIB as usize];
    let mut put = |at: u64, bytes: &[u8]| {
        front[at as usize..][..bytes.len()].copy_from_slice(bytes);
    };
    put(0, MAGIC);
    let creator: Vec<u8> = "mailkiln".encode_utf16().flat_map(u16::to_le_bytes).collect();
    put(MAGIC.len() as u64, &creator);
    for (sequence, at) in (1..).zip(HEADERS) {
        put(at, &header(plan, sequence));
    }
    for at in REGIONS {
        put(at, &regions(bat));
    }
    out.write_all(&front)?;
    zeros(out, LOG.1)?;
    padded(out, &metadata(plan), METADATA_PLACE.1)?;
    let mut table = vec![0_u64; entries as usize];
    for (place, number) in (0_u64..).zip(plan.used(BLOCK)) {
        let at = BAT_AT + bat + place * BLOCK;
        // Offsets are whole MiB, in the bits from 20 on.
        table[(number + number / per_chunk) as usize] = at | FULLY_PRESENT;
    }
    let table: Vec<u8> = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    padded(out, &table, bat)?;
    Ok(Box::new(Blocks))
}

fn header(plan: &Plan<'_>, sequence: u64) -> Vec<u8> {
    let mut out = b"head".to_vec();
    out.extend([0; 4]);
    out.extend(sequence.to_le_bytes());
    out.extend(plan.guid("vhdx file").to_gpt());
    out.extend(plan.guid("vhdx data").to_gpt());
    out.extend([0; 16]); // no log
    out.extend(0_u16.to_le_bytes()); // version of the log
    out.extend(1_u16.to_le_bytes()); // version of the format
    out.extend((LOG.1 as u32).to_le_bytes());
    out.extend(LOG.0.to_le_bytes());
    sealed(out, HEADER)
}

fn regions(bat: u64) -> Vec<u8> {
    let mut out = b"regi".to_vec();
    out.extend([0; 4]);
    out.extend(2_u32.to_le_bytes());
    out.extend([0; 4]);
    for (guid, at, length) in [(BAT, BAT_AT, bat), (METADATA, METADATA_PLACE.0, METADATA_PLACE.1)] {
        out.extend(guid.to_gpt());
        out.extend(at.to_le_bytes());
        out.extend((length as u32).to_le_bytes());
        out.extend(1_u32.to_le_bytes()); // required
    }
    sealed(out, TABLE)
}

/// Fills up to `length`, and puts the checksum where it belongs.
fn sealed(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes.resize(length, 0);
    let sum = checksum(&bytes);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn metadata(plan: &Plan<'_>) -> Vec<u8> {
    let parameters = [(BLOCK as u32).to_le_bytes(), [0; 4]].concat();
    let items: [(Guid, u32, Vec<u8>); 5] = [
        (FILE_PARAMETERS, REQUIRED, parameters),
        (DISK_SIZE, REQUIRED | OF_DISK, plan.size.to_le_bytes().to_vec()),
        (DISK_ID, REQUIRED | OF_DISK, plan.guid("vhdx disk").to_gpt().to_vec()),
        (LOGICAL_SECTOR, REQUIRED | OF_DISK, LOGICAL.to_le_bytes().to_vec()),
        (PHYSICAL_SECTOR, REQUIRED | OF_DISK, PHYSICAL.to_le_bytes().to_vec()),
    ];
    let mut table = b"metadata".to_vec();
    table.extend([0; 2]);
    table.extend((items.len() as u16).to_le_bytes());
    table.extend([0; 20]);
    let mut content = Vec::new();
    for (guid, flags, item) in items {
        table.extend(guid.to_gpt());
        table.extend(((ITEMS + content.len()) as u32).to_le_bytes());
        table.extend((item.len() as u32).to_le_bytes());
        table.extend(flags.to_le_bytes());
        table.extend([0; 4]);
        content.extend(item);
    }
    table.resize(ITEMS, 0);
    table.extend(content);
    table
}

struct Blocks;

impl Container for Blocks {
    fn take(&mut self, stretch: &Stretch<'_>, _: &[Block], out: &mut dyn Write) -> io::Result<()> {
        stretch.each_block(BLOCK, |_, block| match block {
            Some(bytes) => padded(out, bytes, BLOCK),
            None => Ok(()),
        })
    }

    fn finish(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
