//! FAT12, FAT16 and FAT32 with long names, read only.
//!
//! In: a volume. Out: files. Format: Microsoft's *FAT File System Specification* (version 1.03).

use std::io;

use super::{Files, LARGEST_DIRECTORY, bad, bytes, le, within};
use crate::seed_place::Volume;

/// Bytes of a directory entry.
const ENTRY: usize = 32;
/// Attributes: part of a long name; volume label; directory.
const LONG: u8 = 0x0f;
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
/// Fewer clusters are FAT12; fewer are FAT16 (section 3.5).
const FAT12_BELOW: u64 = 4085;
const FAT16_BELOW: u64 = 65_525;

/// An open volume.
pub(super) struct Fat<'a> {
    volume: &'a dyn Volume,
    bits: u8,
    cluster_bytes: u64,
    table_at: u64,
    data_at: u64,
    clusters: u64,
    root: Root,
    label: String,
}

/// Where the root directory is.
#[derive(Clone, Copy)]
enum Root {
    /// FAT12, FAT16: offset and length.
    Fixed(u64, u64),
    /// FAT32: its first cluster.
    Cluster(u64),
}

/// An entry of a directory.
struct Entry {
    name: String,
    is_directory: bool,
    cluster: u64,
    size: u64,
}

impl<'a> Fat<'a> {
    /// Opens a volume; `None` where it is no FAT.
    pub(super) fn open(volume: &'a dyn Volume) -> io::Result<Option<Self>> {
        let boot = bytes(volume, 0, 512)?;
        let sector = le(&boot, 11, 2);
        let (per_cluster, reserved, tables) =
            (le(&boot, 13, 1), le(&boot, 14, 2), le(&boot, 16, 1));
        let is_fat = boot[510..] == [0x55, 0xaa]
            && matches!(sector, 512 | 1024 | 2048 | 4096)
            && per_cluster.is_power_of_two()
            && reserved > 0
            && (1..=2).contains(&tables);
        if !is_fat {
            return Ok(None);
        }
        let root_bytes = le(&boot, 17, 2) * ENTRY as u64;
        let per_table = match le(&boot, 22, 2) {
            0 => le(&boot, 36, 4),
            short => short,
        };
        let total = match le(&boot, 19, 2) {
            0 => le(&boot, 32, 4),
            short => short,
        };
        let root_at = reserved + tables * per_table;
        let data = root_at + root_bytes.div_ceil(sector);
        let clusters = total.checked_sub(data).ok_or_else(|| bad("its sizes make no sense"))?;
        let clusters = clusters / per_cluster;
        let bits = match clusters {
            ..FAT12_BELOW => 12,
            FAT12_BELOW..FAT16_BELOW => 16,
            _ => 32,
        };
        let root = match bits {
            32 => Root::Cluster(le(&boot, 44, 4)),
            _ => Root::Fixed(root_at * sector, root_bytes),
        };
        let mut fat = Self {
            volume,
            bits,
            cluster_bytes: per_cluster * sector,
            table_at: reserved * sector,
            data_at: data * sector,
            clusters,
            root,
            label: String::new(),
        };
        let listing = fat.root()?;
        let is_label = |entry: &&[u8]| entry[0] != 0xe5 && entry[11] & (LONG | DIRECTORY) == LABEL;
        if let Some(entry) = entries(&listing).find(is_label) {
            fat.label = String::from_utf8_lossy(&entry[..11]).trim_end().to_owned();
        }
        Ok(Some(fat))
    }

    fn root(&self) -> io::Result<Vec<u8>> {
        match self.root {
            Root::Fixed(at, length) => {
                bytes(self.volume, at, length.min(LARGEST_DIRECTORY) as usize)
            }
            Root::Cluster(cluster) => self.chain(cluster, LARGEST_DIRECTORY),
        }
    }

    /// The bytes of a chain, `most` at most.
    fn chain(&self, first: u64, most: u64) -> io::Result<Vec<u8>> {
        let (mut cluster, mut all) = (first, Vec::new());
        while (all.len() as u64) < most {
            let number = cluster.checked_sub(2).filter(|number| *number < self.clusters);
            let Some(number) = number else { break };
            let length = self.cluster_bytes.min(most - all.len() as u64) as usize;
            all.extend(bytes(self.volume, self.data_at + number * self.cluster_bytes, length)?);
            cluster = self.next(cluster)?;
        }
        Ok(all)
    }

    fn next(&self, cluster: u64) -> io::Result<u64> {
        let (at, length) = match self.bits {
            12 => (cluster * 3 / 2, 2),
            16 => (cluster * 2, 2),
            _ => (cluster * 4, 4),
        };
        let value = le(&bytes(self.volume, self.table_at + at, length)?, 0, length);
        Ok(match (self.bits, cluster % 2) {
            (12, 0) => value & 0xfff,
            (12, _) => value >> 4,
            (16, _) => value,
            _ => value & 0x0fff_ffff,
        })
    }
}

/// Entries until the end of a directory.
fn entries(listing: &[u8]) -> impl Iterator<Item = &[u8]> {
    listing.chunks_exact(ENTRY).take_while(|entry| entry[0] != 0)
}

/// Files and directories of a listing, by their long names where they have one.
fn named(listing: &[u8]) -> Vec<Entry> {
    let (mut long, mut found) = (Vec::<u16>::new(), Vec::new());
    for entry in entries(listing) {
        if entry[0] == 0xe5 {
            long.clear();
        } else if entry[11] & 0x3f == LONG {
            // The last part comes first, and begins a new name.
            if entry[0] & 0x40 != 0 {
                long.clear();
            }
            let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
            let part: Vec<u16> = places.map(|at| le(entry, at, 2) as u16).collect();
            long.splice(0..0, part.into_iter().take_while(|unit| *unit != 0));
            long.truncate(255);
        } else {
            if entry[11] & LABEL == 0 {
                let name =
                    if long.is_empty() { short(entry) } else { String::from_utf16_lossy(&long) };
                found.push(Entry {
                    name,
                    is_directory: entry[11] & DIRECTORY != 0,
                    cluster: le(entry, 26, 2) | le(entry, 20, 2) << 16,
                    size: le(entry, 28, 4),
                });
            }
            long.clear();
        }
    }
    found
}

/// `NAME.EXT`.
fn short(entry: &[u8]) -> String {
    let text = |range| String::from_utf8_lossy(&entry[range]).trim_end().to_owned();
    let (name, extension) = (text(0..8), text(8..11));
    if extension.is_empty() { name } else { format!("{name}.{extension}") }
}

impl Files for Fat<'_> {
    fn label(&self) -> &str {
        &self.label
    }

    fn file(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let mut listing = self.root()?;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let entry = named(&listing).into_iter().find(|it| it.name.eq_ignore_ascii_case(name));
            let Some(entry) = entry else { return Ok(None) };
            if names.peek().is_some() {
                if !entry.is_directory {
                    return Ok(None);
                }
                // FAT12 and FAT16 leave the upper half of the number to others.
                listing = self.chain(self.number(entry.cluster), LARGEST_DIRECTORY)?;
            } else if !entry.is_directory {
                let size = within(entry.size)?;
                let content = self.chain(self.number(entry.cluster), size as u64)?;
                return if content.len() == size {
                    Ok(Some(content))
                } else {
                    Err(bad("a file on it is cut off"))
                };
            }
        }
        Ok(None)
    }
}

impl Fat<'_> {
    fn number(&self, cluster: u64) -> u64 {
        if self.bits == 32 { cluster } else { cluster & 0xffff }
    }
}
