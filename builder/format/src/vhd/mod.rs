//! VHD, the disk of Azure and of Hyper-V's first generation: fixed and dynamic.
//!
//! In: a disk. Out: its bytes and a footer, or a table of blocks of 2 MiB and those that are not holes.
//! Format: Microsoft's *Virtual Hard Disk Image Format Specification* 1.0. Azure takes fixed ones of whole MiB
//! only ("Prepare a Windows VHD or VHDX to upload to Azure", "Resizing VHDs"), so the length is rounded
//! up. Time stamps are 0, identifiers are derived from the disk.

mod reader;
mod writer;

use crate::codec::Codec;
use crate::registry::{Description, Magic};

/// What a footer begins with ("Hard Disk Footer Format", Cookie).
const COOKIE: &[u8; 8] = b"conectix";

/// What the header of a dynamic disk begins with.
const DYNAMIC_COOKIE: &[u8; 8] = b"cxsparse";

/// Bytes of a footer and of a sector.
const SECTOR: u64 = 512;

/// Bytes of the header of a dynamic disk.
const DYNAMIC_HEADER: u64 = 1024;

/// Bytes of a block of a dynamic disk: the specification's default.
const BLOCK: u64 = 2 << 20;

/// Bytes of the bitmap before a block: one bit a sector.
const BITMAP: u64 = BLOCK / SECTOR / 8;

/// A block that is not there.
const UNUSED: u32 = u32::MAX;

/// Types of disks ("Disk Type").
const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;

/// Longest disk: offsets are counted in sectors of 32 bits, and Windows stops here.
const MOST: u64 = 2040 << 30;

/// For Azure.
pub(crate) static VHD: Description = Description {
    name: "vhd",
    suffix: "vhd",
    title: "Azure: fixed, of whole MiB",
    magic: Magic::LastSector(COOKIE),
    step: 1 << 20,
    most: MOST,
    qemu: Some("vpc"),
    stream: None,
    codec: Codec::Plain,
    start: writer::start_fixed,
    open: reader::open,
};

/// For Hyper-V.
pub(crate) static VHD_DYNAMIC: Description = Description {
    name: "vhd-dynamic",
    suffix: "dynamic.vhd",
    title: "Hyper-V, first generation: holes take no room",
    magic: Magic::Start(COOKIE),
    start: writer::start_dynamic,
    ..VHD
};

/// The ones' complement of the sum of all bytes but those of the checksum, which are at `at`.
fn checksum(bytes: &[u8], at: usize) -> u32 {
    let count = |(place, &byte): (usize, &u8)| {
        if (at..at + 4).contains(&place) { 0 } else { u32::from(byte) }
    };
    !bytes.iter().enumerate().map(count).fold(0, u32::wrapping_add)
}

/// Cylinders, heads and sectors a track of a disk of so many sectors (appendix "CHS Calculation").
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let total = sectors.min(65535 * 16 * 255);
    let (per_track, heads, rest);
    if total >= 65535 * 16 * 63 {
        (per_track, heads) = (255, 16);
        rest = total / per_track;
    } else {
        let mut track = 17;
        let mut lines = total / track;
        let mut high = lines.div_ceil(1024).max(4);
        if lines >= high * 1024 || high > 16 {
            track = 31;
            high = 16;
            lines = total / track;
        }
        if lines >= high * 1024 {
            track = 63;
            high = 16;
            lines = total / track;
        }
        (per_track, heads, rest) = (track, high, lines);
    }
    ((rest / heads) as u16, heads as u8, per_track as u8)
}

#[cfg(test)]
mod tests {
    use super::geometry;

    #[test]
    fn geometry_is_the_specification_s() {
        // As Virtual PC and QEMU give them for disks of these sizes.
        for (sectors, expected) in [
            (2_048, (30, 4, 17)),
            (204_800, (1003, 12, 17)),
            (819_200, (812, 16, 63)),
            (8_388_608, (8322, 16, 63)),
            (266_338_304, (65278, 16, 255)),
            (u64::MAX, (65535, 16, 255)),
        ] {
            assert_eq!(geometry(sectors), expected, "{sectors}");
        }
    }
}
