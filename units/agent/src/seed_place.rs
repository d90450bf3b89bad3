//! The place for a seed: a file of fixed length in the root of the boot partition.
//!
//! In: a FAT32 volume, which may be anything. Out: which of its bytes are the file's. They are read
//! and overwritten where they are; nothing else of the volume is ever written. Format: Microsoft's
//! *FAT File System Specification* (version 1.03).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes of the file: `SEED_ROOM` of the builder.
pub const ROOM: u64 = 256 << 10;

/// The file's name as directories store it.
const NAME: &[u8; 11] = b"SEED    BIN";
/// Bytes of a sector; the builder makes no other volumes.
const SECTOR: u64 = 512;
/// Bytes of a directory entry.
const ENTRY: usize = 32;
/// Bytes of a root directory that are searched: some thousand names.
const LONGEST_DIRECTORY: u64 = 128 << 10;
/// Attributes of what is no plain file: volume label, part of a long name, directory.
const NO_FILE: u8 = 0x08 | 0x10;
/// Values from here on end a chain, and the bits of an entry that count.
const END_FROM: u32 = 0x0fff_fff8;
const MASK: u32 = 0x0fff_ffff;

/// Something that a volume is on.
pub trait Volume {
    /// Fills `buffer` from the offset `at`.
    ///
    /// # Errors
    /// What the medium says, and when the volume ends before.
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
}

impl Volume for File {
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(buffer, at)
    }
}

impl Volume for [u8] {
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let at = usize::try_from(at).ok();
        let bytes = at.and_then(|at| self.get(at..at.checked_add(buffer.len())?));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The bytes of the volume that are the file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedPlace {
    /// Offset and length of each piece, in the file's order; [`ROOM`] together.
    runs: Vec<(u64, u64)>,
}

impl SeedPlace {
    /// Looks for the file; `None` when there is none, as on a card of an older image.
    ///
    /// # Errors
    /// When the volume can't be read, or is no FAT32 in order.
    pub fn find(volume: &(impl Volume + ?Sized)) -> io::Result<Option<Self>> {
        let fat = Fat::open(volume)?;
        let Some((first, size)) = fat.root_entry()? else { return Ok(None) };
        if size != ROOM {
            return Ok(None);
        }
        Ok(Some(Self { runs: fat.runs(first, ROOM)? }))
    }

    /// What the file holds.
    ///
    /// # Errors
    /// When the volume can't be read.
    pub fn read(&self, volume: &(impl Volume + ?Sized)) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for &(at, length) in &self.runs {
            let start = bytes.len();
            // All runs together have `ROOM` bytes.
            bytes.resize(start + length as usize, 0);
            volume.read(&mut bytes[start..], at)?;
        }
        Ok(bytes)
    }

    /// Puts `bytes` there, as the builder does.
    #[cfg(test)]
    pub(crate) fn write_for_test(&self, volume: &File, mut bytes: &[u8]) {
        for &(at, length) in &self.runs {
            let (piece, rest) = bytes.split_at(length as usize);
            volume.write_all_at(piece, at).unwrap();
            bytes = rest;
        }
    }

    /// Overwrites it with zeros and waits until they are on the medium.
    ///
    /// # Errors
    /// When the volume can't be written.
    pub fn erase(&self, volume: &File) -> io::Result<()> {
        for &(at, length) in &self.runs {
            volume.write_all_at(&vec![0; length as usize], at)?;
        }
        volume.sync_all()
    }
}

/// An open volume.
struct Fat<'a, V: ?Sized> {
    volume: &'a V,
    cluster_bytes: u64,
    table_at: u64,
    data_at: u64,
    clusters: u64,
    root: u32,
}

impl<'a, V: Volume + ?Sized> Fat<'a, V> {
    fn open(volume: &'a V) -> io::Result<Self> {
        let mut boot = [0; SECTOR as usize];
        volume.read(&mut boot, 0)?;
        let half = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let word = |at: usize| half(at) | half(at + 2) << 16;
        let (per_cluster, reserved, tables) = (u64::from(boot[13]), half(14), u64::from(boot[16]));
        let ours = boot[510..] == [0x55, 0xaa]
            && half(11) == SECTOR
            && per_cluster.is_power_of_two()
            && (half(17), half(19), half(22)) == (0, 0, 0)
            && reserved > 0
            && tables > 0;
        let data = reserved + tables * word(36);
        let sectors = word(32).checked_sub(data).filter(|_| ours);
        let sectors = sectors.ok_or_else(|| bad("it is not FAT32 with sectors of 512 bytes"))?;
        Ok(Self {
            volume,
            cluster_bytes: per_cluster * SECTOR,
            table_at: reserved * SECTOR,
            data_at: data * SECTOR,
            clusters: sectors / per_cluster,
            root: word(44) as u32,
        })
    }

    /// First cluster and length of the file.
    fn root_entry(&self) -> io::Result<Option<(u32, u64)>> {
        let (mut cluster, mut read) = (self.root, 0);
        while cluster < END_FROM && read < LONGEST_DIRECTORY {
            let (at, next) = self.cluster(cluster)?;
            let mut listing = vec![0; self.cluster_bytes as usize];
            self.volume.read(&mut listing, at)?;
            for entry in listing.chunks_exact(ENTRY) {
                if entry[0] == 0 {
                    return Ok(None);
                }
                if &entry[..11] == NAME && entry[11] & NO_FILE == 0 {
                    let half =
                        |at: usize| u32::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
                    let size = u64::from(half(28) | half(30) << 16);
                    return Ok(Some((half(26) | half(20) << 16, size)));
                }
            }
            read += self.cluster_bytes;
            cluster = next;
        }
        Ok(None)
    }

    /// The pieces of a chain of `length` bytes.
    fn runs(&self, first: u32, length: u64) -> io::Result<Vec<(u64, u64)>> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let (mut cluster, mut left) = (first, length);
        while left > 0 {
            let (at, next) = self.cluster(cluster)?;
            let piece = left.min(self.cluster_bytes);
            match runs.last_mut() {
                Some((start, known)) if *start + *known == at => *known += piece,
                _ => runs.push((at, piece)),
            }
            left -= piece;
            cluster = next;
        }
        Ok(runs)
    }

    /// Where a cluster is, and the next of its chain. Numbers count from 2.
    fn cluster(&self, cluster: u32) -> io::Result<(u64, u32)> {
        let number = u64::from(cluster).checked_sub(2).filter(|number| *number < self.clusters);
        let number = number.ok_or_else(|| bad("a chain of clusters does not end"))?;
        let mut next = [0; 4];
        self.volume.read(&mut next, self.table_at + u64::from(cluster) * 4)?;
        Ok((self.data_at + number * self.cluster_bytes, u32::from_le_bytes(next) & MASK))
    }
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Bytes, and zeros behind them: a fuzzer would be lost in those.
struct Padded<'a>(&'a [u8]);

impl Volume for Padded<'_> {
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        if at.checked_add(buffer.len() as u64).is_none_or(|end| end > 1 << 20) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let known = self.0.get(at as usize..).unwrap_or_default();
        let length = known.len().min(buffer.len());
        buffer[..length].copy_from_slice(&known[..length]);
        buffer[length..].fill(0);
        Ok(())
    }
}

/// Reads `bytes` as the start of a volume of 1 MiB.
pub(crate) fn fuzz(bytes: &[u8]) {
    let volume = Padded(bytes);
    if let Ok(Some(place)) = SeedPlace::find(&volume) {
        assert_eq!(place.runs.iter().map(|(_, length)| *length).sum::<u64>(), ROOM);
        let _ = place.read(&volume);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small volume with the file in two pieces, behind a directory of two clusters.
    pub(crate) fn volume() -> Vec<u8> {
        const CLUSTER: usize = 4096;
        let (table_at, data_at) = (512, 512 + 2 * 512);
        let clusters = 2 + ROOM as usize / CLUSTER + 10;
        let mut volume = vec![0; data_at + clusters * CLUSTER];
        let mut put = |at: usize, bytes: &[u8]| volume[at..at + bytes.len()].copy_from_slice(bytes);
        let sectors = 3 + clusters * 8;
        for (at, value) in [(11, 512_u16), (14, 1), (510, 0xaa55)] {
            put(at, &value.to_le_bytes());
        }
        put(13, &[8]);
        put(16, &[2]);
        put(32, &(sectors as u32).to_le_bytes());
        put(36, &1_u32.to_le_bytes());
        put(44, &2_u32.to_le_bytes());
        // The directory is 2 → 5; the file 3 → 4 → 7 → 8 …
        let count = ROOM as u32 / CLUSTER as u32;
        let chain: Vec<u32> = [3, 4].into_iter().chain(7..7 + count - 2).collect();
        let mut link = |from: u32, to: u32| put(table_at + from as usize * 4, &to.to_le_bytes());
        link(2, 5);
        link(5, MASK);
        for pair in chain.windows(2) {
            link(pair[0], pair[1]);
        }
        link(chain[chain.len() - 1], MASK);
        // The first cluster of the directory is full of names that are not it: one is too long,
        // one is a directory, one was removed.
        let entry = |name: &[u8; 11], attributes: u8, cluster: u16, size: u32| {
            let mut entry = [0; ENTRY];
            entry[..11].copy_from_slice(name);
            entry[11] = attributes;
            entry[26..28].copy_from_slice(&cluster.to_le_bytes());
            entry[28..].copy_from_slice(&size.to_le_bytes());
            entry
        };
        for at in 0..CLUSTER / ENTRY {
            put(data_at + at * ENTRY, &entry(b"OTHER   BIN", 0x20, 9, 7));
        }
        put(data_at, &entry(NAME, 0x10, 9, 0));
        put(data_at + ENTRY, &entry(NAME, 0x0f, 9, 0));
        put(data_at + 2 * ENTRY, &entry(b"\xe5EED    BIN", 0x20, 9, ROOM as u32));
        put(data_at + 3 * CLUSTER, &entry(NAME, 0x20, 3, ROOM as u32));
        volume
    }

    #[test]
    fn the_file_is_found_read_and_erased_and_nothing_else_is_touched() {
        let mut volume = volume();
        let place = SeedPlace::find(&volume[..]).unwrap().unwrap();
        assert_eq!(place.runs.len(), 2);
        assert_eq!(place.read(&volume[..]).unwrap(), vec![0; ROOM as usize]);
        let clean = volume.clone();
        for &(at, length) in &place.runs {
            volume[at as usize..(at + length) as usize].fill(7);
        }
        assert_eq!(place.read(&volume[..]).unwrap(), vec![7; ROOM as usize]);
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&volume, 0).unwrap();
        let place = SeedPlace::find(&file).unwrap().unwrap();
        place.erase(&file).unwrap();
        let mut erased = vec![0; volume.len()];
        file.read(&mut erased, 0).unwrap();
        assert!(erased == clean);
    }

    #[test]
    fn a_volume_without_it_and_a_damaged_one_are_told_apart() {
        let whole = volume();
        let altered = |at: usize, byte: u8| {
            let mut volume = whole.clone();
            volume[at] = byte;
            SeedPlace::find(&volume[..])
        };
        let name = whole.windows(12).position(|bytes| bytes == b"SEED    BIN\x20").unwrap();
        assert_eq!(altered(name, b'X').unwrap(), None);
        assert_eq!(altered(name + 28, 1).unwrap(), None, "another length");
        // The chain of the file ends in the middle, the directory's runs in a circle.
        altered(512 + 8 * 4, 0xff).unwrap_err();
        assert_eq!(altered(512 + 2 * 4, 2).unwrap(), None);
        altered(510, 0).unwrap_err();
        altered(13, 3).unwrap_err();
        SeedPlace::find(&whole[..100]).unwrap_err();
    }
}
