//! Lays out a FAT32 volume and gives its bytes as pieces.
//!
//! In: geometry and files. Out: boot sectors, allocation tables, directories and file contents,
//! each with its offset. Nothing reads what lies between them: it may hold anything.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::name::{self, Short};
use super::{
    CLUSTER_MASK, END_OF_CHAIN, ENTRY, FIRST_CLUSTER, LEAST_CLUSTERS, MOST_CLUSTERS, SECTOR,
    attribute,
};

/// Sectors before the first allocation table.
const RESERVED: u64 = 32;
/// Where the copy of the boot sector stands.
const BACKUP: u64 = 6;
/// 1980-01-01, FAT's first day: times exist in the format, but mean nothing here.
const DATE: u16 = 1 << 5 | 1;

/// A file to be stored.
#[derive(Debug, Clone)]
pub struct FatFile<'a> {
    /// Path from the root, `/`-separated, no leading slash. Directories above it are made.
    pub path: String,
    /// The bytes.
    pub content: Cow<'a, [u8]>,
}

/// The volume's geometry and name.
#[derive(Debug, Clone, Copy)]
pub struct FatVolume<'a> {
    /// Bytes of the partition: whole sectors.
    pub size: u64,
    /// First sector of the partition on its disk; boot code may look for it.
    pub first_sector: u64,
    /// Serial number.
    pub id: u32,
    /// Label: upper-case, at most eleven bytes.
    pub label: &'a str,
}

/// Bytes that belong at an offset of the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Offset from the partition's start.
    pub offset: u64,
    /// What stands there.
    pub bytes: Cow<'a, [u8]>,
}

/// Files can't be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FatError {
    /// The partition is too small or too large for FAT32.
    #[error("a FAT32 partition can't have {size} bytes; 33 MiB to 2 TiB are possible")]
    Size {
        /// Bytes of the partition.
        size: u64,
    },
    /// The files need more room.
    #[error(
        "the files of the boot partition need {needed} bytes, but it has room for {room}; \
         make it larger in the target's file"
    )]
    Full {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that there are.
        room: u64,
    },
    /// A path that FAT can't store, or that is there twice.
    #[error("`{path}` can't be stored on the boot partition: {why}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file of 4 GiB or more.
    #[error("`{path}` has 4 GiB or more, which FAT can't store")]
    TooLong {
        /// The path.
        path: String,
    },
}

/// Sizes in sectors, derived from the partition's size.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    sectors: u64,
    per_cluster: u64,
    table: u64,
    clusters: u64,
}

impl Geometry {
    fn new(size: u64) -> Result<Self, FatError> {
        let sectors = size / SECTOR;
        let wrong = FatError::Size { size };
        if sectors > u64::from(u32::MAX) {
            return Err(wrong);
        }
        // The largest cluster of up to a page that still gives enough of them.
        [8, 4, 2, 1]
            .into_iter()
            .filter_map(|per_cluster| Self::with_clusters(sectors, per_cluster))
            .find(|geometry| (LEAST_CLUSTERS + 16..=MOST_CLUSTERS).contains(&geometry.clusters))
            .ok_or(wrong)
    }

    /// The allocation tables fill whole pages, so that the clusters start on one.
    fn with_clusters(sectors: u64, per_cluster: u64) -> Option<Self> {
        let most = sectors.checked_sub(RESERVED)? / per_cluster;
        let table = ((most + 2) * 4).div_ceil(SECTOR).next_multiple_of(8);
        let clusters = sectors.checked_sub(RESERVED + 2 * table)? / per_cluster;
        Some(Self { sectors, per_cluster, table, clusters })
    }

    const fn cluster_bytes(self) -> u64 {
        self.per_cluster * SECTOR
    }

    const fn offset(self, cluster: u32) -> u64 {
        (RESERVED + 2 * self.table) * SECTOR
            + (cluster - FIRST_CLUSTER) as u64 * self.cluster_bytes()
    }
}

/// A directory while it is built: its entries, and the names that are taken.
#[derive(Debug, Default)]
struct Directory {
    entries: Vec<u8>,
    shorts: Vec<Short>,
}

/// Something with clusters.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    first: u32,
    count: u32,
}

impl FatVolume<'_> {
    /// The pieces of a volume that holds `files`, in ascending order of offset.
    ///
    /// Contents lie one after the other in the order of `files`, none fragmented.
    ///
    /// # Errors
    /// [`FatError`] when a path can't be stored, or the files don't fit.
    pub fn write<'f>(&self, files: &'f [FatFile<'_>]) -> Result<Vec<Piece<'f>>, FatError> {
        let geometry = Geometry::new(self.size)?;
        let mut directories = plan_directories(files)?;
        let mut next = FIRST_CLUSTER;
        let mut chains = Vec::new();
        let mut take = |bytes: u64| {
            let count = bytes.div_ceil(geometry.cluster_bytes()) as u32;
            let chain = Chain { first: if count > 0 { next } else { 0 }, count };
            next = next.saturating_add(count);
            chains.push(chain);
            chain
        };
        let places: BTreeMap<String, Chain> = directories
            .iter()
            .map(|(path, names)| (path.clone(), take(directory_len(path, names) as u64)))
            .collect();
        let contents: Vec<Chain> =
            files.iter().map(|file| take(file.content.len() as u64)).collect();
        let used = u64::from(next - FIRST_CLUSTER);
        if used > geometry.clusters {
            let bytes = geometry.cluster_bytes();
            return Err(FatError::Full { needed: used * bytes, room: geometry.clusters * bytes });
        }
        let mut pieces = self.boot_sectors(geometry, used);
        pieces.extend(tables(geometry, &chains));
        for (path, names) in &mut directories {
            let listing = self.directory(path, names, &places, files, &contents)?;
            let Chain { first, count } = places[path];
            // A zero ends a directory, so its last cluster has to be written to its end.
            let mut bytes = listing.entries;
            bytes.resize(count as usize * geometry.cluster_bytes() as usize, 0);
            pieces.push(Piece { offset: geometry.offset(first), bytes: bytes.into() });
        }
        for (file, chain) in files.iter().zip(contents).filter(|(_, chain)| chain.count > 0) {
            let offset = geometry.offset(chain.first);
            pieces.push(Piece { offset, bytes: Cow::Borrowed(&*file.content) });
        }
        Ok(pieces)
    }

    /// Boot sector and FSInfo, and their copies.
    fn boot_sectors(&self, geometry: Geometry, used: u64) -> Vec<Piece<'static>> {
        let mut boot = vec![0; SECTOR as usize];
        // Not bootable by itself: an endless loop where boot code would be.
        boot[..3].copy_from_slice(&[0xeb, 0xfe, 0x90]);
        boot[3..11].copy_from_slice(b"MAILKILN");
        boot[11..13].copy_from_slice(&(SECTOR as u16).to_le_bytes());
        boot[13] = geometry.per_cluster as u8;
        boot[14..16].copy_from_slice(&(RESERVED as u16).to_le_bytes());
        boot[16] = 2;
        boot[21] = 0xf8;
        boot[24..26].copy_from_slice(&32_u16.to_le_bytes());
        boot[26..28].copy_from_slice(&64_u16.to_le_bytes());
        let hidden = u32::try_from(self.first_sector).unwrap_or(u32::MAX);
        boot[28..32].copy_from_slice(&hidden.to_le_bytes());
        boot[32..36].copy_from_slice(&(geometry.sectors as u32).to_le_bytes());
        boot[36..40].copy_from_slice(&(geometry.table as u32).to_le_bytes());
        boot[44..48].copy_from_slice(&FIRST_CLUSTER.to_le_bytes());
        boot[48..50].copy_from_slice(&1_u16.to_le_bytes());
        boot[50..52].copy_from_slice(&(BACKUP as u16).to_le_bytes());
        boot[64] = 0x80;
        boot[66] = 0x29;
        boot[67..71].copy_from_slice(&self.id.to_le_bytes());
        boot[71..82].copy_from_slice(&self.padded_label());
        boot[82..90].copy_from_slice(b"FAT32   ");
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        let mut info = vec![0; SECTOR as usize];
        info[..4].copy_from_slice(b"RRaA");
        info[484..488].copy_from_slice(b"rrAa");
        info[488..492].copy_from_slice(&((geometry.clusters - used) as u32).to_le_bytes());
        info[492..496].copy_from_slice(&(FIRST_CLUSTER + used as u32 - 1).to_le_bytes());
        info[510..].copy_from_slice(&[0x55, 0xaa]);
        let both = [boot, info].concat();
        [0, BACKUP]
            .map(|sector| Piece { offset: sector * SECTOR, bytes: both.clone().into() })
            .into()
    }

    fn padded_label(&self) -> [u8; 11] {
        let mut label = [b' '; 11];
        for (place, byte) in label.iter_mut().zip(self.label.bytes()) {
            *place = byte.to_ascii_uppercase();
        }
        label
    }

    fn directory(
        &self,
        path: &str,
        names: &BTreeMap<String, Held>,
        places: &BTreeMap<String, Chain>,
        files: &[FatFile<'_>],
        contents: &[Chain],
    ) -> Result<Directory, FatError> {
        let mut directory = Directory::default();
        if path.is_empty() {
            directory.entries.extend(entry(&self.padded_label(), attribute::VOLUME, 0, 0));
        } else {
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            // The root is cluster 0 when a sub-directory points back to it.
            let up = if above.is_empty() { 0 } else { places[above].first };
            let (dot, dots) = (b".          ", b"..         ");
            directory.entries.extend(entry(dot, attribute::DIRECTORY, places[path].first, 0));
            directory.entries.extend(entry(dots, attribute::DIRECTORY, up, 0));
        }
        for (name, held) in names {
            match held {
                Held::Directory => {
                    let inner = join(path, name);
                    directory.add(&inner, name, attribute::DIRECTORY, places[&inner].first, 0)?;
                }
                Held::File(number) => {
                    let FatFile { path, content } = &files[*number];
                    let size = u32::try_from(content.len())
                        .map_err(|_| FatError::TooLong { path: path.clone() })?;
                    directory.add(path, name, attribute::ARCHIVE, contents[*number].first, size)?;
                }
            }
        }
        Ok(directory)
    }
}

impl Directory {
    fn add(
        &mut self,
        path: &str,
        name: &str,
        attributes: u8,
        cluster: u32,
        size: u32,
    ) -> Result<(), FatError> {
        let short = match name::exact_short(name) {
            Some(short) => short,
            None => {
                let why = "there are too many names like it";
                let short = name::alias(name, &self.shorts)
                    .ok_or_else(|| FatError::Path { path: path.to_owned(), why })?;
                self.entries.extend(name::long_entries(name, &short).concat());
                short
            }
        };
        self.shorts.push(short);
        self.entries.extend(entry(&short, attributes, cluster, size));
        Ok(())
    }
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy)]
enum Held {
    Directory,
    /// Place in the list of files.
    File(usize),
}

/// Every directory by path, the root first, with the names in it.
fn plan_directories(
    files: &[FatFile<'_>],
) -> Result<BTreeMap<String, BTreeMap<String, Held>>, FatError> {
    let mut directories = BTreeMap::from([(String::new(), BTreeMap::new())]);
    for (number, file) in files.iter().enumerate() {
        let bad = |why| FatError::Path { path: file.path.clone(), why };
        let mut above = String::new();
        let mut parts = file.path.split('/').peekable();
        while let Some(part) = parts.next() {
            if !name::is_storable(part) {
                return Err(bad("a name in it is empty, too long, or has a forbidden character"));
            }
            let held = if parts.peek().is_some() { Held::Directory } else { Held::File(number) };
            let names: &mut BTreeMap<String, Held> = directories.entry(above.clone()).or_default();
            // FAT does not tell upper from lower case, so names must differ in more than that.
            let same = names.keys().find(|name| name.eq_ignore_ascii_case(part)).cloned();
            match (same, held) {
                (None, _) => drop(names.insert(part.to_owned(), held)),
                (Some(name), Held::Directory)
                    if name == part && matches!(names.get(&name), Some(Held::Directory)) => {}
                (Some(_), _) => return Err(bad("its name is taken already")),
            }
            above = join(&above, part);
        }
    }
    Ok(directories)
}

fn directory_len(path: &str, names: &BTreeMap<String, Held>) -> usize {
    let own = if path.is_empty() { 1 } else { 2 };
    let entries: usize = names
        .keys()
        .map(|name| match name::exact_short(name) {
            Some(_) => 1,
            None => 1 + name.encode_utf16().count().div_ceil(13),
        })
        .sum();
    // An entry of zeros ends the directory, unless the cluster is full.
    (own + entries) * ENTRY
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

fn entry(short: &Short, attributes: u8, cluster: u32, size: u32) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..11].copy_from_slice(short);
    entry[11] = attributes;
    for at in [16, 18, 24] {
        entry[at..at + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    entry[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
    entry[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    entry[28..].copy_from_slice(&size.to_le_bytes());
    entry
}

/// Both copies of the allocation table, whole: in them a zero says that a cluster is free.
fn tables(geometry: Geometry, chains: &[Chain]) -> Vec<Piece<'static>> {
    let mut table: Vec<u8> = [CLUSTER_MASK & !7, CLUSTER_MASK].map(u32::to_le_bytes).concat();
    for chain in chains {
        for cluster in chain.first..chain.first + chain.count {
            let last = cluster + 1 == chain.first + chain.count;
            let next = if last { END_OF_CHAIN } else { cluster + 1 };
            table.extend(next.to_le_bytes());
        }
    }
    table.resize((geometry.table * SECTOR) as usize, 0);
    [RESERVED, RESERVED + geometry.table]
        .map(|sector| Piece { offset: sector * SECTOR, bytes: table.clone().into() })
        .into()
}
