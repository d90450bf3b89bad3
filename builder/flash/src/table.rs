//! What an image's own partition table says about the disk that it needs.
//!
//! In: the first bytes of an image. Out: how long the disk has to be to hold the whole image, and how long
//! for the first boot to make what it makes. UEFI 2.10 §5.3; sectors of 512 bytes.

use std::io;

use mailkiln_bytes_at::ReadAt;

/// Bytes of a sector of the table.
pub(crate) const SECTOR: u64 = 512;
/// Bytes of an image that are looked at: MBR, header and the usual 128 entries.
pub(crate) const FRONT: usize = 34 * SECTOR as usize;
/// Bytes of an entry.
const ENTRY: usize = 128;
/// What the first boot makes beside the second slot: `/var` of at least 256 MiB, on whole mebibytes, and the
/// table's copy at the end.
const VAR: u64 = 258 << 20;

/// What a GPT says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table {
    /// Bytes up to the end of its copy, which is the end of the disk that was made.
    pub(crate) end: u64,
    /// Bytes of the least disk on which the first boot has room, where the image is an appliance's.
    pub(crate) least: Option<u64>,
}

/// Bytes of the least disk on which the first boot of an appliance has room; `None` where `disk` holds none, or one that
/// has started before.
///
/// # Errors
/// What reading the disk reports.
pub fn least_disk(disk: &dyn ReadAt) -> io::Result<Option<u64>> {
    let length = usize::try_from(disk.size()).unwrap_or(FRONT).min(FRONT);
    let table = Table::read(&disk.read_vec_at(0, length)?);
    Ok(table.and_then(|table| Some(table.least?.max(table.end))))
}

impl Table {
    /// Reads the front of an image; `None` where it has no GPT.
    pub(crate) fn read(front: &[u8]) -> Option<Self> {
        let header = front.get(SECTOR as usize..2 * SECTOR as usize)?;
        if !header.starts_with(b"EFI PART") {
            return None;
        }
        let end = long(header, 32)?.checked_add(1)?.checked_mul(SECTOR)?;
        let entries = front.get(2 * SECTOR as usize..).unwrap_or_default().chunks_exact(ENTRY);
        let (mut last, mut root, mut verity, mut has_var) = (0, None, None, false);
        for entry in entries.filter(|entry| entry[..16].iter().any(|&byte| byte != 0)) {
            let (first, final_one) = (long(entry, 32)?, long(entry, 40)?);
            let after = final_one.checked_add(1)?;
            let size = after.checked_sub(first)?;
            last = last.max(after);
            match label(entry).as_str() {
                "root-a" => root = Some(size),
                "root-a-verity" => verity = Some(size),
                "var" => has_var = true,
                _ => {}
            }
        }
        let least = || {
            let sectors = last.checked_add(root?)?.checked_add(verity?)?;
            sectors.checked_mul(SECTOR)?.checked_add(VAR)
        };
        Some(Self { end, least: if has_var { None } else { least() } })
    }
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The label as far as it is ASCII.
fn label(entry: &[u8]) -> String {
    let units = entry[56..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(partitions: &[(&str, u64, u64)]) -> Vec<u8> {
        let mut front = vec![0; FRONT];
        front[512..520].copy_from_slice(b"EFI PART");
        front[512 + 32..512 + 40].copy_from_slice(&1_000_000_u64.to_le_bytes());
        for ((name, first, last), entry) in
            partitions.iter().zip(front[1024..].chunks_exact_mut(ENTRY))
        {
            entry[..16].fill(7);
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
            for (unit, place) in name.encode_utf16().zip(entry[56..].chunks_exact_mut(2)) {
                place.copy_from_slice(&unit.to_le_bytes());
            }
        }
        front
    }

    #[test]
    fn an_appliance_needs_its_second_slot_and_var() {
        let image =
            front(&[("esp", 2048, 4095), ("root-a", 4096, 8191), ("root-a-verity", 8192, 10_239)]);
        let table = Table::read(&image).unwrap();
        assert_eq!(table.end, 1_000_001 * 512);
        assert_eq!(table.least, Some((10_240 + 4096 + 2048) * 512 + VAR));
        let grown =
            front(&[("root-a", 4096, 8191), ("root-a-verity", 8192, 9000), ("var", 9001, 9100)]);
        assert_eq!(Table::read(&grown).unwrap().least, None);
        assert_eq!(Table::read(&front(&[("nixos", 1, 2)])).unwrap().least, None);
        // The disk itself may be longer: clouds want whole gibibytes.
        let long = front(&[("root-a", 4096, 8191), ("root-a-verity", 8192, 10_239)]);
        let end = (1_000_001) * 512;
        assert_eq!(least_disk(&long.as_slice()).unwrap(), Some(end.max((16_384) * 512 + VAR)));
        assert_eq!(least_disk(&[0; 20].as_slice()).unwrap(), None);
    }

    #[test]
    fn what_is_no_table_says_nothing() {
        for bytes in [&[][..], &[0; 512], &[0; FRONT], &front(&[("x", 9, 1)])] {
            assert_eq!(Table::read(bytes), None);
        }
        let mut endless = front(&[]);
        endless[512 + 32..512 + 40].fill(0xff);
        assert_eq!(Table::read(&endless), None);
    }
}
