//! What a foreign disk image holds, found without root and without mounting anything.
//!
//! In: random access to a disk. Out: partitions, boot files, kernel command line, root file
//! systems with their packages, and whether each root matches the hash that boots it.

pub(crate) mod packages;

use std::collections::BTreeMap;
use std::io;

use mailkiln_bytes_at::{ReadAt, Window};
use mailkiln_pin::{Arch, Sha256};
use mailkiln_squashfs::{BadSquashfs, Item, Squashfs};
use mailkiln_tree::TreePath;

use crate::disk::SYSTEM_LABEL;
use crate::fat::{BadFat, Fat, FatItem};
use crate::gpt::{self, BadGpt, Gpt, Partition};
use crate::guid::Guid;
use crate::uki::{BadUki, Uki};
use crate::verity::{self, BadVerity};

pub use packages::Package;

/// Longest boot file that is read: kernel and initrd have some ten megabytes.
pub const MOST_BOOT_BYTES: u64 = 512 << 20;

/// Longest `dpkg` status that is read.
const MOST_STATUS_BYTES: u64 = 64 << 20;

/// A partition's bytes.
pub type Part<'a> = Window<&'a (dyn ReadAt + Sync)>;

/// What a disk holds.
#[derive(Debug)]
pub struct Inspection<'a> {
    /// Length of the disk in bytes.
    pub size: u64,
    /// The partition table.
    pub table: Gpt,
    /// Files of the EFI system partition, in path order; empty when there is none.
    pub boot_files: Vec<FatItem>,
    /// The kernels that firmware can start.
    pub kernels: Vec<Kernel>,
    /// The root file systems.
    pub roots: Vec<Root<'a>>,
}

/// A Unified Kernel Image on the boot partition. Its texts are foreign: escape them for print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// Path on the boot partition.
    pub path: String,
    /// Release of the kernel.
    pub uname: Option<String>,
    /// The kernel command line.
    pub command_line: String,
    /// The root hash in it.
    pub root_hash: Option<Sha256>,
    /// Names and lengths in bytes of its sections.
    pub sections: Vec<(String, u64)>,
}

/// A root file system.
#[derive(Debug)]
pub struct Root<'a> {
    /// Place of its partition in the table, from 0.
    pub partition: usize,
    /// The file system.
    pub files: Squashfs<Part<'a>>,
    /// Packages that `/var/lib/dpkg/status` lists, by name.
    pub packages: Vec<Package>,
    /// The root hash that its partition's GUID and a kernel's command line agree upon.
    pub root_hash: Option<Sha256>,
    /// Place of the partition with its hash tree in the table, from 0.
    pub hashes: Option<usize>,
}

/// Why a disk can't be inspected.
#[derive(Debug, thiserror::Error)]
pub enum BadDisk {
    /// The partition table.
    #[error(transparent)]
    Table(#[from] BadGpt),
    /// The image of a NixOS system.
    #[error(
        "it holds a NixOS system, whose root is written to: only images of appliances are taken apart; `nix-store --verify --check-contents` on the machine says whether the store is whole"
    )]
    System,
    /// A partition whose bytes are all that is known of it.
    #[error("partition `{name}` can't be read: {error}")]
    Partition {
        /// Its label, escaped.
        name: String,
        /// What the medium said.
        error: io::Error,
    },
    /// The boot partition.
    #[error("partition `{name}`: {error}")]
    Boot {
        /// Label of the partition, escaped.
        name: String,
        /// What is wrong.
        error: BadFat,
    },
    /// A boot program.
    #[error("`{path}` on the boot partition: {error}")]
    Kernel {
        /// Its path, escaped.
        path: String,
        /// What is wrong.
        error: BadUki,
    },
    /// A root partition.
    #[error("partition `{name}`: {error}")]
    Root {
        /// Label of the partition, escaped.
        name: String,
        /// What is wrong.
        error: BadSquashfs,
    },
}

/// Reads what `disk` holds. Contents are not verified here: see [`Root::verify`].
///
/// # Errors
/// [`BadDisk`] when a part that is there can't be read.
pub fn inspect(disk: &(dyn ReadAt + Sync)) -> Result<Inspection<'_>, BadDisk> {
    let table = gpt::read(&disk)?;
    if table.partitions.iter().any(|partition| partition.name == SYSTEM_LABEL) {
        return Err(BadDisk::System);
    }
    let (mut boot_files, mut kernels) = (Vec::new(), Vec::new());
    for partition in table.partitions.iter().filter(|part| part.kind == gpt::kind::ESP) {
        let failed = |error| BadDisk::Boot { name: escaped(&partition.name), error };
        let esp = Fat::open(window(disk, partition)?).map_err(failed)?;
        let items = esp.items().map_err(failed)?;
        kernels.extend(read_kernels(&esp, &items, &partition.name)?);
        boot_files.extend(items);
    }
    let mut roots = Vec::new();
    for (place, partition) in table.partitions.iter().enumerate() {
        if Arch::ALL.iter().any(|&arch| gpt::kind::root(arch) == partition.kind)
            // A slot that was never written holds zeros.
            && window(disk, partition)?.read_vec_at(0, 4).is_ok_and(|magic| magic == b"hsqs")
        {
            roots.push(read_root(disk, &table, place, &kernels)?);
        }
    }
    Ok(Inspection { size: disk.size(), table, boot_files, kernels, roots })
}

/// A file of the first root file system on `disk`, of at most `limit` bytes; `None` when there is no
/// such file, or no root. Nothing is verified.
///
/// # Errors
/// [`BadDisk`] when the partition table or the root can't be read.
pub fn root_file(
    disk: &dyn ReadAt,
    path: &TreePath,
    limit: u64,
) -> Result<Option<Vec<u8>>, BadDisk> {
    let table = gpt::read(disk)?;
    for partition in &table.partitions {
        let (start, size) = bytes(partition)?;
        let part = Window::new(disk, start, size).ok_or(BadGpt::Invalid("place of a partition"))?;
        let is_root = Arch::ALL.iter().any(|&arch| gpt::kind::root(arch) == partition.kind);
        if !is_root || part.read_vec_at(0, 4).is_ok_and(|magic| magic != b"hsqs") {
            continue;
        }
        let failed = |error| BadDisk::Root { name: escaped(&partition.name), error };
        let files = Squashfs::open(part).map_err(failed)?;
        let item = files.item(path);
        return item.map(|item| files.read(item, limit)).transpose().map_err(failed);
    }
    Ok(None)
}

/// Where a partition begins, and its size.
fn bytes(partition: &Partition) -> Result<(u64, u64), BadGpt> {
    let size = partition.sectors.checked_mul(gpt::SECTOR);
    partition.start.bytes().zip(size).ok_or(BadGpt::Invalid("place of a partition"))
}

impl Inspection<'_> {
    /// The bytes of a partition.
    ///
    /// # Errors
    /// [`BadGpt::Outside`] when there is no such partition on the disk.
    pub fn part<'d>(
        &self,
        disk: &'d (dyn ReadAt + Sync),
        place: usize,
    ) -> Result<Part<'d>, BadGpt> {
        let partition =
            self.table.partitions.get(place).ok_or(BadGpt::Outside { number: place + 1 })?;
        window(disk, partition)
    }
}

impl Root<'_> {
    /// Checks every block of the root partition against the root hash. `Ok(None)` when no
    /// kernel names a hash for it, or its hash tree is not there: then nothing protects it.
    ///
    /// # Errors
    /// [`BadVerity`] says what does not match.
    pub fn verify(
        &self,
        disk: &(dyn ReadAt + Sync),
        inspection: &Inspection<'_>,
    ) -> Result<Option<Sha256>, BadVerity> {
        let (Some(root_hash), Some(hashes)) = (self.root_hash, self.hashes) else {
            return Ok(None);
        };
        let part = |place| inspection.part(disk, place).map_err(io::Error::other);
        verity::check(&part(self.partition)?, &part(hashes)?, &root_hash)?;
        Ok(Some(root_hash))
    }

    /// Everything at or below `path`.
    pub fn below<'s>(&'s self, path: &'s TreePath) -> impl Iterator<Item = &'s Item> {
        self.files.items().iter().filter(move |item| item.path.is_within(path))
    }
}

fn window<'a>(disk: &'a (dyn ReadAt + Sync), partition: &Partition) -> Result<Part<'a>, BadGpt> {
    let (start, size) = bytes(partition)?;
    Window::new(disk, start, size).ok_or(BadGpt::Invalid("place of a partition"))
}

/// Boot programs that are UKIs; other EFI programs are left alone.
fn read_kernels(
    esp: &Fat<Part<'_>>,
    items: &[FatItem],
    name: &str,
) -> Result<Vec<Kernel>, BadDisk> {
    let mut kernels = Vec::new();
    let programs = items
        .iter()
        .filter(|item| !item.directory && item.path.to_ascii_lowercase().ends_with(".efi"));
    for item in programs {
        let bytes = esp
            .read(item, MOST_BOOT_BYTES)
            .map_err(|error| BadDisk::Boot { name: escaped(name), error })?;
        match Uki::parse(&bytes) {
            Ok(uki) => kernels.push(Kernel {
                path: item.path.clone(),
                uname: uki.uname.map(str::to_owned),
                command_line: uki.command_line.to_owned(),
                root_hash: root_hash(uki.command_line),
                sections: uki.sections.clone(),
            }),
            Err(BadUki::NoSection(_)) => {}
            Err(error) => {
                return Err(BadDisk::Kernel { path: escaped(&item.path), error });
            }
        }
    }
    Ok(kernels)
}

fn read_root<'a>(
    disk: &'a (dyn ReadAt + Sync),
    table: &Gpt,
    place: usize,
    kernels: &[Kernel],
) -> Result<Root<'a>, BadDisk> {
    let partition = &table.partitions[place];
    let failed = |error| BadDisk::Root { name: escaped(&partition.name), error };
    let files = Squashfs::open(window(disk, partition)?).map_err(failed)?;
    let status = TreePath::parse("var/lib/dpkg/status").ok();
    let packages = match status.and_then(|path| files.item(&path)) {
        Some(item) => {
            let bytes = files.read(item, MOST_STATUS_BYTES).map_err(failed)?;
            packages::parse(&String::from_utf8_lossy(&bytes))
        }
        None => Vec::new(),
    };
    let by_guid: BTreeMap<Guid, Sha256> = kernels
        .iter()
        .filter_map(|kernel| kernel.root_hash)
        .map(|hash| (Guid::halves(&hash).0, hash))
        .collect();
    let root_hash = by_guid.get(&partition.guid).copied();
    let hashes = root_hash.and_then(|hash| {
        let guid = Guid::halves(&hash).1;
        table.partitions.iter().position(|other| other.guid == guid)
    });
    Ok(Root { partition: place, files, packages, root_hash, hashes })
}

fn root_hash(command_line: &str) -> Option<Sha256> {
    command_line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("roothash="))
        .and_then(|hash| hash.parse().ok())
}

fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests;
