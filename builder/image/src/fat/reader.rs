//! Reads a foreign FAT32 volume: lists its files, reads their contents.

use std::collections::BTreeSet;
use std::io;

use mailkiln_bytes_at::ReadAt;

use super::name::{LongName, Short};
use super::{CLUSTER_MASK, END_FROM, ENTRY, FIRST_CLUSTER, MOST_CLUSTERS, SECTOR, attribute};

/// Longer directories are not read: 65,536 entries are the specification's limit.
const MOST_DIRECTORY_BYTES: u64 = 65_536 * ENTRY as u64;

/// More files than this are not listed.
const MOST_ITEMS: usize = 65_536;

/// More bytes of paths are not kept.
const MOST_TEXT: usize = 64 << 20;

/// Deeper trees are not walked.
const MOST_DEPTH: usize = 32;

/// Why a volume can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BadFat {
    /// The medium failed, or the volume ends too early.
    #[error("the FAT file system can't be read: {0}")]
    Io(#[from] io::Error),
    /// Not FAT32 with sectors of 512 bytes.
    #[error("it holds no FAT32 file system with 512-byte sectors")]
    NotFat32,
    /// A chain of clusters leaves the volume, or does not end.
    #[error("the FAT file system is damaged: a chain of clusters does not end")]
    Chain,
    /// A directory is reached twice, so the tree would not end.
    #[error("the FAT file system is damaged: a directory is inside itself or linked twice")]
    Loop,
    /// Too many files or too deep a tree.
    #[error("the FAT file system holds more than is read here")]
    TooMuch,
    /// The file is longer than the caller's limit.
    #[error("{path} has {size} bytes; at most {limit} are read here")]
    TooLong {
        /// The file.
        path: String,
        /// Its length in bytes.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FatItem {
    /// Path from the root, without a leading slash. Foreign text: escape it before printing.
    pub path: String,
    /// Length in bytes; 0 for directories.
    pub size: u32,
    /// Whether it is a directory.
    pub directory: bool,
    cluster: u32,
}

/// An open volume.
#[derive(Debug)]
pub struct Fat<S> {
    source: S,
    cluster_bytes: u64,
    table_at: u64,
    data_at: u64,
    clusters: u64,
    root: u32,
}

impl<S: ReadAt> Fat<S> {
    /// Reads the boot sector.
    ///
    /// # Errors
    /// [`BadFat`] when it is not a FAT32 volume's.
    pub fn open(source: S) -> Result<Self, BadFat> {
        let boot = source.read_vec_at(0, SECTOR as usize)?;
        let half = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let word = |at: usize| half(at) | half(at + 2) << 16;
        let per_cluster = u64::from(boot[13]);
        let fat32 = boot[510..] == [0x55, 0xaa]
            && half(11) == SECTOR
            && per_cluster.is_power_of_two()
            && (half(17), half(19), half(22)) == (0, 0, 0);
        if !fat32 {
            return Err(BadFat::NotFat32);
        }
        let (reserved, tables, table) = (half(14), u64::from(boot[16]), word(36));
        let data = reserved + tables * table;
        let clusters = word(32).checked_sub(data).ok_or(BadFat::NotFat32)? / per_cluster;
        let fits = clusters <= MOST_CLUSTERS
            && table.saturating_mul(SECTOR / 4) >= clusters + 2
            && word(32).saturating_mul(SECTOR) <= source.size()
            && tables > 0;
        if !fits {
            return Err(BadFat::NotFat32);
        }
        Ok(Self {
            source,
            cluster_bytes: per_cluster * SECTOR,
            table_at: reserved * SECTOR,
            data_at: data * SECTOR,
            clusters,
            root: word(44) as u32,
        })
    }

    /// Every file and directory, in path order.
    ///
    /// # Errors
    /// [`BadFat`] when a directory is damaged or there are too many.
    pub fn items(&self) -> Result<Vec<FatItem>, BadFat> {
        let mut items = Vec::new();
        let mut open = vec![(String::new(), self.root, 0)];
        let mut seen = BTreeSet::from([self.root]);
        let mut text = 0;
        while let Some((above, cluster, depth)) = open.pop() {
            if depth > MOST_DEPTH {
                return Err(BadFat::TooMuch);
            }
            for item in self.directory(&above, cluster)? {
                text += item.path.len();
                if item.directory {
                    if !seen.insert(item.cluster) {
                        return Err(BadFat::Loop);
                    }
                    open.push((item.path.clone(), item.cluster, depth + 1));
                }
                items.push(item);
                if items.len() > MOST_ITEMS || text > MOST_TEXT {
                    return Err(BadFat::TooMuch);
                }
            }
        }
        items.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(items)
    }

    /// The content of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`BadFat`] when the file is longer or its clusters are damaged.
    pub fn read(&self, item: &FatItem, limit: u64) -> Result<Vec<u8>, BadFat> {
        let size = u64::from(item.size);
        if size > limit {
            return Err(BadFat::TooLong { path: item.path.clone(), size, limit });
        }
        let mut content = self.chain(item.cluster, size)?;
        if content.len() < size as usize {
            return Err(BadFat::Chain);
        }
        content.truncate(size as usize);
        Ok(content)
    }

    /// Where the content of a file lies, in bytes of the volume: offset and length of each run of
    /// clusters that follow each other, the file's order. Together they are as long as the file.
    ///
    /// # Errors
    /// [`BadFat`] when its clusters are damaged.
    pub fn runs(&self, item: &FatItem) -> Result<Vec<(u64, u64)>, BadFat> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let (mut cluster, mut left) = (item.cluster, u64::from(item.size));
        // With fewer clusters than that, the chain would run in a circle.
        if left > self.clusters * self.cluster_bytes {
            return Err(BadFat::Chain);
        }
        while left > 0 {
            let (at, next) = self.cluster(cluster)?;
            let length = left.min(self.cluster_bytes);
            match runs.last_mut() {
                Some((start, known)) if *start + *known == at => *known += length,
                _ => runs.push((at, length)),
            }
            left -= length;
            cluster = next;
        }
        Ok(runs)
    }

    /// Where a cluster lies, and the one that follows it in its chain.
    fn cluster(&self, cluster: u32) -> Result<(u64, u32), BadFat> {
        let number = u64::from(cluster.checked_sub(FIRST_CLUSTER).ok_or(BadFat::Chain)?);
        if number >= self.clusters {
            return Err(BadFat::Chain);
        }
        let mut next = [0; 4];
        self.source.read_exact_at(&mut next, self.table_at + u64::from(cluster) * 4)?;
        let at = self.data_at + number * self.cluster_bytes;
        Ok((at, u32::from_le_bytes(next) & CLUSTER_MASK))
    }

    fn directory(&self, above: &str, cluster: u32) -> Result<Vec<FatItem>, BadFat> {
        let listing = self.chain(cluster, MOST_DIRECTORY_BYTES)?;
        let mut items = Vec::new();
        let mut long = LongName::default();
        let (entries, _) = listing.as_chunks::<ENTRY>();
        for entry in entries.iter().take_while(|entry| entry[0] != 0) {
            let attributes = entry[11];
            if entry[0] == 0xe5 {
                long = LongName::default();
            } else if attributes & attribute::LONG_NAME == attribute::LONG_NAME {
                long.push(entry);
            } else {
                let mut short: Short = [0; 11];
                short.copy_from_slice(&entry[..11]);
                let name = long.finish(&short);
                if attributes & attribute::VOLUME == 0 && !matches!(name.as_str(), "." | "..") {
                    items.push(item(above, &name, entry));
                }
            }
        }
        Ok(items)
    }

    /// The bytes of a chain, whole clusters, reading stops once `enough` bytes are there.
    fn chain(&self, first: u32, enough: u64) -> Result<Vec<u8>, BadFat> {
        let mut bytes = Vec::new();
        let mut cluster = first;
        let mut left = self.clusters;
        while (bytes.len() as u64) < enough && cluster < END_FROM {
            // A chain of more clusters than there are runs in a circle.
            if left == 0 {
                return Err(BadFat::Chain);
            }
            left -= 1;
            let (at, next) = self.cluster(cluster)?;
            bytes.extend(self.source.read_vec_at(at, self.cluster_bytes as usize)?);
            cluster = next;
        }
        Ok(bytes)
    }
}

fn item(above: &str, name: &str, entry: &[u8; ENTRY]) -> FatItem {
    let half = |at: usize| u32::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
    let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
    let directory = entry[11] & attribute::DIRECTORY != 0;
    let size = if directory { 0 } else { half(28) | half(30) << 16 };
    FatItem { path, size, directory, cluster: half(26) | half(20) << 16 }
}
