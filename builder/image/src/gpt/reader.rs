//! Reads a GPT from a foreign disk.

use std::io;

use mailkiln_bytes_at::ReadAt;

use super::{Gpt, Lba, Partition, SECTOR};
use crate::guid::Guid;

/// A table may have more than 128 entries; more than this is not read.
const MOST_ENTRIES: u32 = 1024;

/// Why a disk's partition table can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BadGpt {
    /// The medium failed, or the disk ends too early.
    #[error("the partition table can't be read: {0}")]
    Io(#[from] io::Error),
    /// No header at sector 1.
    #[error("there is no GPT on it (no `EFI PART` in sector 1)")]
    Magic,
    /// A checksum is wrong.
    #[error("the GPT's {0} is damaged (its checksum is wrong)")]
    Checksum(&'static str),
    /// Numbers that no table can have.
    #[error("the GPT's {0} is not valid")]
    Invalid(&'static str),
    /// A partition lies outside the disk.
    #[error("partition {number} lies outside the disk")]
    Outside {
        /// Its number, from 1.
        number: usize,
    },
}

/// Reads the primary table of `disk`.
///
/// # Errors
/// [`BadGpt`] when there is none, or it is damaged.
pub fn read(disk: &dyn ReadAt) -> Result<Gpt, BadGpt> {
    let header = disk.read_vec_at(SECTOR, SECTOR as usize)?;
    if !header.starts_with(b"EFI PART") {
        return Err(BadGpt::Magic);
    }
    let length = word(&header, 12) as usize;
    let mut summed = header.get(..length).ok_or(BadGpt::Invalid("header"))?.to_vec();
    if length < 92 {
        return Err(BadGpt::Invalid("header"));
    }
    summed[16..20].fill(0);
    if crc32fast::hash(&summed) != word(&header, 16) {
        return Err(BadGpt::Checksum("header"));
    }
    let (count, size) = (word(&header, 80), word(&header, 84));
    if count > MOST_ENTRIES || !(128..=4096).contains(&size) {
        return Err(BadGpt::Invalid("number of entries"));
    }
    let at = Lba(long(&header, 72)).bytes().ok_or(BadGpt::Invalid("place of the entries"))?;
    let array = disk.read_vec_at(at, (count * size) as usize)?;
    if crc32fast::hash(&array) != word(&header, 88) {
        return Err(BadGpt::Checksum("array of entries"));
    }
    let sectors = disk.size() / SECTOR;
    let mut partitions = Vec::new();
    for (number, slot) in array.chunks_exact(size as usize).enumerate() {
        if slot[..16].iter().any(|&byte| byte != 0) {
            let outside = BadGpt::Outside { number: number + 1 };
            partitions.push(entry(slot, sectors).ok_or(outside)?);
        }
    }
    Ok(Gpt { disk: guid(&header, 56), sectors, partitions })
}

fn entry(slot: &[u8], disk: u64) -> Option<Partition> {
    let (first, last) = (long(slot, 32), long(slot, 40));
    let sectors = last.checked_sub(first)?.checked_add(1)?;
    let units: Vec<u16> = slot[56..128]
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|&unit| unit != 0)
        .collect();
    (last < disk).then(|| Partition {
        kind: guid(slot, 0),
        guid: guid(slot, 16),
        start: Lba(first),
        sectors,
        attributes: long(slot, 48),
        name: String::from_utf16_lossy(&units),
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

fn guid(bytes: &[u8], at: usize) -> Guid {
    let mut raw = [0; 16];
    raw.copy_from_slice(&bytes[at..at + 16]);
    Guid::from_gpt(raw)
}
