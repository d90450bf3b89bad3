//! Writes VHD front to back: which blocks are holes is known beforehand.

use std::io::{self, Write};

use super::{
    BITMAP, BLOCK, COOKIE, DYNAMIC, DYNAMIC_COOKIE, DYNAMIC_HEADER, FIXED, SECTOR, UNUSED,
    checksum, geometry,
};
use crate::codec::Block;
use crate::container::{Container, Plan, padded, zeros};
use crate::stretch::Stretch;

/// Where a footer says what.
const SUM: usize = 64;

/// Where the header of a dynamic disk has its checksum.
const DYNAMIC_SUM: usize = 36;

/// A program that readers believe: of others they take the length from the geometry, which can't name
/// every length (QEMU's `block/vpc.c`).
const CREATOR: &[u8; 4] = b"win ";

/// "Wi2k" ("Creator Host OS").
const HOST: &[u8; 4] = b"Wi2k";

/// Reserved, and always set ("Features").
const FEATURES: u32 = 2;

const VERSION: u32 = 0x0001_0000;

fn footer(plan: &Plan<'_>, kind: u32) -> [u8; SECTOR as usize] {
    let (cylinders, heads, track) = geometry(plan.size / SECTOR);
    let header_at = if kind == DYNAMIC { SECTOR } else { u64::MAX };
    let mut out = COOKIE.to_vec();
    out.extend(FEATURES.to_be_bytes());
    out.extend(VERSION.to_be_bytes());
    out.extend(header_at.to_be_bytes());
    out.extend([0; 4]); // time: 1 January 2000
    out.extend(CREATOR);
    out.extend(VERSION.to_be_bytes());
    out.extend(HOST);
    out.extend(plan.size.to_be_bytes());
    out.extend(plan.size.to_be_bytes());
    out.extend(cylinders.to_be_bytes());
    out.extend([heads, track]);
    out.extend(kind.to_be_bytes());
    out.extend([0; 4]);
    out.extend(plan.guid("vhd").as_bytes());
    let mut whole = [0; SECTOR as usize];
    whole[..out.len()].copy_from_slice(&out);
    let sum = checksum(&whole, SUM);
    whole[SUM..SUM + 4].copy_from_slice(&sum.to_be_bytes());
    whole
}

/// Starts a fixed disk: its bytes come first.
pub(super) fn start_fixed(plan: &Plan<'_>, _: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    Ok(Box::new(Fixed { size: plan.size, written: 0, footer: footer(plan, FIXED) }))
}

struct Fixed {
    size: u64,
    written: u64,
    footer: [u8; SECTOR as usize],
}

impl Container for Fixed {
    fn take(&mut self, stretch: &Stretch<'_>, _: &[Block], out: &mut dyn Write) -> io::Result<()> {
        self.written = stretch.end();
        stretch.pieces().try_for_each(|piece| out.write_all(&piece?.1))
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        zeros(out, self.size - self.written)?;
        out.write_all(&self.footer)
    }
}

/// Starts a dynamic disk: a copy of its footer, its header, and the table of blocks.
pub(super) fn start_dynamic(
    plan: &Plan<'_>,
    out: &mut dyn Write,
) -> io::Result<Box<dyn Container>> {
    let blocks = plan.size.div_ceil(BLOCK);
    let table_at = SECTOR + DYNAMIC_HEADER;
    let table_length = (blocks * 4).next_multiple_of(SECTOR);
    let mut header = DYNAMIC_COOKIE.to_vec();
    header.extend(u64::MAX.to_be_bytes());
    header.extend(table_at.to_be_bytes());
    header.extend(VERSION.to_be_bytes());
    header.extend((blocks as u32).to_be_bytes());
    header.extend((BLOCK as u32).to_be_bytes());
    header.resize(DYNAMIC_HEADER as usize, 0);
    let sum = checksum(&header, DYNAMIC_SUM);
    header[DYNAMIC_SUM..DYNAMIC_SUM + 4].copy_from_slice(&sum.to_be_bytes());
    let footer = footer(plan, DYNAMIC);
    out.write_all(&footer)?;
    out.write_all(&header)?;
    let mut table = vec![UNUSED; blocks as usize];
    for (place, number) in (0_u64..).zip(plan.used(BLOCK)) {
        let at = table_at + table_length + place * (BITMAP + BLOCK);
        table[number as usize] = (at / SECTOR) as u32;
    }
    let table: Vec<u8> = table.iter().flat_map(|entry| entry.to_be_bytes()).collect();
    out.write_all(&table)?;
    // What is after the last entry is not one: unused, like those.
    out.write_all(&vec![0xff; table_length as usize - table.len()])?;
    Ok(Box::new(Dynamic { end: plan.disk.size(), footer }))
}

struct Dynamic {
    /// Bytes of the disk before it is rounded up.
    end: u64,
    footer: [u8; SECTOR as usize],
}

impl Container for Dynamic {
    fn take(&mut self, stretch: &Stretch<'_>, _: &[Block], out: &mut dyn Write) -> io::Result<()> {
        for piece in stretch.pieces() {
            let (at, piece) = piece?;
            let block = at - at % BLOCK;
            if stretch.is_hole(block, block + BLOCK) {
                continue;
            }
            if at == block {
                // Every sector of the block is in it.
                out.write_all(&[0xff; BITMAP as usize])?;
            }
            let end = at + piece.len() as u64;
            let wanted = if end == self.end { block + BLOCK - at } else { piece.len() as u64 };
            padded(out, &piece, wanted)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.footer)
    }
}
