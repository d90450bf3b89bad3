//! The hybrid MBR: a GPT's first sector that also names one of its partitions.
//!
//! In: the front of a disk with its protective MBR, and the ESP. Out: the same with an MBR that old
//! boot ROMs find the ESP in. No standard has it; what is here is what gdisk(8) makes and checks.

use super::{Lba, Partition, SECTOR};

/// Where the MBR's four entries stand.
const ENTRIES: usize = 446;
const ENTRY_LEN: usize = 16;
/// FAT32 with LBA.
const FAT32: u8 = 0x0c;
/// What GPT protects itself with (UEFI 2.10 §5.2.3).
const PROTECTIVE: u8 = 0xee;
/// The flag of an entry that a BIOS starts from.
const ACTIVE: u8 = 0x80;
/// Cylinder, head and sector of what lies too far for them.
const BEYOND: [u8; 3] = [0xfe, 0xff, 0xff];

/// Names `esp` in the MBR of `front`, first, since boot ROMs look for a FAT in the first entry and give
/// up on any other. The one protective entry after it covers what lies before the ESP: it starts at LBA 1,
/// which is how Linux and U-Boot know that a GPT follows, and a second one confuses some of them.
///
/// `front` is what [`super::Gpt::encode`] returned.
pub fn write_hybrid_mbr(front: &mut [u8], esp: &Partition) {
    let entries = [
        entry(FAT32, esp.start, esp.sectors),
        entry(PROTECTIVE, Lba(1), esp.start.0 - 1),
        [0; ENTRY_LEN],
        [0; ENTRY_LEN],
    ];
    debug_assert!(front.len() as u64 >= SECTOR, "an MBR is a sector");
    for (place, entry) in front[ENTRIES..].chunks_exact_mut(ENTRY_LEN).zip(entries) {
        place.copy_from_slice(&entry);
    }
}

/// Marks the first entry of the MBR of `front` as active: some BIOSes skip a disk without one. Firmware
/// that knows GPT does not look at it (UEFI 2.10 §5.2.3 ignores it in a protective MBR).
pub fn mark_active(front: &mut [u8]) {
    front[ENTRIES] = ACTIVE;
}

fn entry(kind: u8, start: Lba, sectors: u64) -> [u8; ENTRY_LEN] {
    let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let mut entry = [0; ENTRY_LEN];
    entry[1..4].copy_from_slice(&BEYOND);
    entry[4] = kind;
    entry[5..8].copy_from_slice(&BEYOND);
    entry[8..12].copy_from_slice(&word(start.0));
    entry[12..].copy_from_slice(&word(sectors));
    entry
}
