//! Encodes a GPT: what stands at the front of the disk and what at its end.

use super::{ARRAY_SECTORS, ENTRIES, ENTRY_LEN, Gpt, Lba, RESERVED, SECTOR};
use crate::guid::Guid;

const HEADER_LEN: usize = 92;
const REVISION: u32 = 0x0001_0000;
/// UTF-16 units of a label.
const NAME_UNITS: usize = 36;

/// Where the protective MBR's partition entry and signature stand.
const MBR_ENTRY: usize = 446;
const MBR_SIGNATURE: usize = 510;

/// Partitions do not fit the disk, or overlap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the partition `{name}` (sectors {first} to {last}) overlaps another one or leaves the \
     disk's {sectors} sectors; check the sizes in the target's file"
)]
pub struct TooSmall {
    /// Label of the partition.
    pub name: String,
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
    /// Sectors of the disk.
    pub sectors: u64,
}

impl Gpt {
    /// The table as bytes: what stands at sector 0 (MBR, header, entries), and what in the last
    /// 33 sectors (entries, header). The MBR's first 446 bytes are zero: boot code goes there.
    ///
    /// # Errors
    /// [`TooSmall`] for a partition that overlaps another one or the table itself.
    pub fn encode(&self) -> Result<(Vec<u8>, Vec<u8>), TooSmall> {
        self.check()?;
        let array = self.array();
        let last = self.sectors - 1;
        let mut front = self.protective_mbr();
        front.extend(self.header(1, last, 2, &array));
        front.extend(&array);
        let mut back = array.clone();
        back.extend(self.header(last, 1, last - ARRAY_SECTORS, &array));
        Ok((front, back))
    }

    /// Where the bytes for the end of the disk go.
    pub fn backup_at(&self) -> Lba {
        Lba(self.sectors.saturating_sub(ARRAY_SECTORS + 1))
    }

    /// The first sector that a partition may have. Where the table is made, nothing goes below the
    /// partitions that are there: a board's loader lies in that gap, and no partition names it.
    fn first_usable(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.start.0).min().unwrap_or(RESERVED)
    }

    fn check(&self) -> Result<(), TooSmall> {
        if self.sectors <= 2 * RESERVED {
            let name = "partition table".to_owned();
            return Err(TooSmall { name, first: 0, last: 2 * RESERVED, sectors: self.sectors });
        }
        let usable = RESERVED..self.sectors.saturating_sub(ARRAY_SECTORS + 1);
        let mut taken = Vec::new();
        for partition in &self.partitions {
            let first = partition.start.0;
            let last = first.saturating_add(partition.sectors).saturating_sub(1);
            let free = taken.iter().all(|&(from, to)| last < from || first > to);
            let inside = first <= last && usable.contains(&first) && usable.contains(&last);
            if !free || !inside || taken.len() >= ENTRIES {
                let name = partition.name.clone();
                return Err(TooSmall { name, first, last, sectors: self.sectors });
            }
            taken.push((first, last));
        }
        Ok(())
    }

    fn array(&self) -> Vec<u8> {
        let mut array = vec![0; ENTRIES * ENTRY_LEN];
        for (slot, partition) in array.chunks_exact_mut(ENTRY_LEN).zip(&self.partitions) {
            slot[..16].copy_from_slice(&partition.kind.to_gpt());
            slot[16..32].copy_from_slice(&partition.guid.to_gpt());
            slot[32..40].copy_from_slice(&partition.start.0.to_le_bytes());
            let last = partition.start.0 + partition.sectors - 1;
            slot[40..48].copy_from_slice(&last.to_le_bytes());
            slot[48..56].copy_from_slice(&partition.attributes.to_le_bytes());
            let units = partition.name.encode_utf16().take(NAME_UNITS);
            for (place, unit) in slot[56..].chunks_exact_mut(2).zip(units) {
                place.copy_from_slice(&unit.to_le_bytes());
            }
        }
        array
    }

    fn header(&self, here: u64, other: u64, array_at: u64, array: &[u8]) -> Vec<u8> {
        let mut header = b"EFI PART".to_vec();
        for word in [REVISION, HEADER_LEN as u32, 0, 0] {
            header.extend(word.to_le_bytes());
        }
        for long in [here, other, self.first_usable(), self.sectors - RESERVED] {
            header.extend(long.to_le_bytes());
        }
        header.extend(Guid::to_gpt(self.disk));
        header.extend(array_at.to_le_bytes());
        for word in [ENTRIES as u32, ENTRY_LEN as u32, crc32fast::hash(array)] {
            header.extend(word.to_le_bytes());
        }
        let checksum = crc32fast::hash(&header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        header.resize(SECTOR as usize, 0);
        header
    }

    /// One partition of type 0xee over the whole disk (UEFI 2.10 §5.2.3), so that tools that
    /// don't know GPT see a full disk.
    fn protective_mbr(&self) -> Vec<u8> {
        let mut mbr = vec![0; SECTOR as usize];
        let sectors = u32::try_from(self.sectors - 1).unwrap_or(u32::MAX);
        let entry = &mut mbr[MBR_ENTRY..MBR_ENTRY + 16];
        entry[1..8].copy_from_slice(&[0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff]);
        entry[8..12].copy_from_slice(&1_u32.to_le_bytes());
        entry[12..].copy_from_slice(&sectors.to_le_bytes());
        mbr[MBR_SIGNATURE..].copy_from_slice(&[0x55, 0xaa]);
        mbr
    }
}
