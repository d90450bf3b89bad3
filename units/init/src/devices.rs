//! Devices: loads the drivers of what the machine has and waits for the root's partitions.
//!
//! In: sysfs, `/lib/modules/VERSION`, the GPTs of the disks. Out: nodes of the root and of the
//! verity partition. Polls the kernel's uevent counter; nothing else runs here, so that is enough.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cmdline::Boot;
use crate::console::{Console, Level};
use crate::gpt::{Guid, Header, Partition};
use crate::modules::ModuleIndex;
use crate::pci;

/// Longest wait for a disk, in seconds. A USB disk takes up to 10, a RAID controller up to 25.
const WAIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Looks again after this even if the kernel announced nothing.
const RESCAN: Duration = Duration::from_secs(1);
/// A directory for each PCI device (sysfs-bus-pci in the kernel's ABI documents).
const PCI_DEVICES: &str = "/sys/bus/pci/devices";
/// sysfs is at most a dozen levels deep; a bound makes the walk end on a broken one.
const SYSFS_DEPTH: usize = 32;

/// Loaded whatever the hardware: the root needs the first ones; the last two let systemd import
/// credentials that a hypervisor passes. Aliases are allowed (`crypto-sha256`), missing ones are
/// fine (they may be built in).
const ALWAYS: [&str; 6] =
    ["dm_mod", "crypto-sha256", "dm_verity", "squashfs", "qemu_fw_cfg", "dmi_sysfs"];

/// Why there is no root to open.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No disk holds the two partitions.
    #[error(
        "no disk has the partitions {root} (root) and {verity} (verity) after {} seconds; \
         disks seen: {seen}; {cause}", WAIT.as_secs()
    )]
    NotFound {
        /// PARTUUID of the root.
        root: Guid,
        /// PARTUUID of the hash tree.
        verity: Guid,
        /// What was found instead.
        seen: String,
        /// What may be the matter, and what to do.
        cause: String,
    },
    /// Two disks have the `/var` of this root: one is a copy of the other.
    #[error(
        "the disks {disks} both have the partition {var}, the state of this appliance: one is a copy; \
         unplug it, for mail must not go to the wrong one"
    )]
    TwoStates {
        /// GUID of `/var`.
        var: Guid,
        /// Names of the disks.
        disks: String,
    },
}

/// Type of a partition with `/var` (Discoverable Partitions Specification),
/// `4d21b016-b534-45c2-a9fb-5c16e091fd2d`.
const VAR: [u8; 16] = 0x4d21_b016_b534_45c2_a9fb_5c16_e091_fd2d_u128.to_be_bytes();

/// The two partitions of a root, both on one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootPartitions {
    /// Node of the squashfs.
    pub data: PathBuf,
    /// Node of the verity hash tree.
    pub hash: PathBuf,
    /// Unique GUID of `/var` on the same disk, which the first boot makes.
    pub var: Option<Guid>,
}

/// Loads modules, each once.
#[derive(Debug)]
pub struct Loader<'a> {
    console: &'a Console,
    directory: PathBuf,
    index: ModuleIndex,
    tried: BTreeSet<String>,
}

impl<'a> Loader<'a> {
    /// Reads the indexes of the running kernel. A kernel without modules is fine, so what is
    /// missing only makes a warning.
    pub fn open(console: &'a Console) -> Self {
        let release = rustix::system::uname();
        let release = release.release().to_string_lossy();
        let directory = Path::new("/lib/modules").join(&*release);
        let read = |name: &str| {
            fs::read_to_string(directory.join(name)).unwrap_or_else(|error| {
                let path = directory.join(name);
                console.say(Level::Warning, &format!("no {}: {error}", path.display()));
                String::new()
            })
        };
        let index = ModuleIndex::parse(
            &read("modules.dep"),
            &read("modules.alias"),
            &read("modules.softdep"),
        );
        Self { console, directory, index, tried: BTreeSet::new() }
    }

    /// Loads what every boot needs.
    pub fn load_always(&mut self) {
        for name in ALWAYS {
            self.load(name);
        }
    }

    /// Loads what serves `name`; a module that does not want to (wrong platform) is skipped.
    pub fn load(&mut self, name: &str) {
        for path in self.index.plan(name) {
            if !self.tried.insert(path.to_owned()) {
                continue;
            }
            match insert(&self.directory.join(path)) {
                Ok(()) => self.console.detail(&format!("loaded {path}")),
                Err(error) => self.console.detail(&format!("skipped {path}: {error}")),
            }
        }
    }

    /// Loads the drivers of every device that sysfs shows and that was not seen before.
    fn coldplug(&mut self) {
        let mut aliases = BTreeSet::new();
        collect_modaliases(Path::new("/sys/devices"), SYSFS_DEPTH, &mut aliases);
        for alias in aliases {
            if self.tried.insert(alias.clone()) {
                self.load(&alias);
            }
        }
    }
}

fn insert(path: &Path) -> io::Result<()> {
    // linux/module.h: lets the kernel unpack .ko.xz and .ko.zst if it can.
    const MODULE_INIT_COMPRESSED_FILE: i32 = 4;
    let plain = path.extension().is_some_and(|extension| extension == "ko");
    let flags = if plain { 0 } else { MODULE_INIT_COMPRESSED_FILE };
    match rustix::system::finit_module(File::open(path)?, c"", flags) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Links are not followed: every device has its directory below `/sys/devices`.
fn collect_modaliases(directory: &Path, depth: usize, aliases: &mut BTreeSet<String>) {
    // A device can go away between two calls; there is nothing to do about it.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth > 0 {
            collect_modaliases(&entry.path(), depth - 1, aliases);
        } else if entry.file_name() == "modalias"
            && let Ok(alias) = fs::read_to_string(entry.path())
            && !alias.trim().is_empty()
        {
            aliases.insert(alias.trim().to_owned());
        }
    }
}

/// Loads drivers until one disk shows both partitions of the root.
///
/// # Errors
/// [`DeviceError::NotFound`] after 30 seconds, with the disks that were seen.
pub fn find_root(loader: &mut Loader<'_>, boot: &Boot) -> Result<RootPartitions, DeviceError> {
    let (root, verity) = (boot.root_hash.root_partition(), boot.root_hash.verity_partition());
    let start = Instant::now();
    let (mut counter, mut scanned) = (None, start);
    loop {
        // Read before the walk: what appears during it is seen at the next turn.
        let now = fs::read_to_string("/sys/kernel/uevent_seqnum").ok();
        if counter != now || scanned.elapsed() > RESCAN || counter.is_none() {
            (counter, scanned) = (now, Instant::now());
            loader.coldplug();
            let disks = Disk::all();
            if let Some(found) = disks.iter().find_map(|disk| disk.root(root, verity)) {
                refuse_copies(&disks, found.var)?;
                return Ok(found);
            }
            if start.elapsed() > WAIT {
                let seen = disks.iter().map(|disk| disk.summary.as_str()).collect::<Vec<_>>();
                let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
                let release = rustix::system::uname();
                let release = release.release().to_string_lossy();
                let cause = pci::cause(&pci::without_driver(Path::new(PCI_DEVICES)), &release);
                return Err(DeviceError::NotFound { root, verity, seen, cause });
            }
        }
        sleep(POLL);
    }
}

/// The root is verified, wherever it lies; which of two states is the right one nobody can tell.
fn refuse_copies(disks: &[Disk], var: Option<Guid>) -> Result<(), DeviceError> {
    let Some(var) = var else { return Ok(()) };
    let holders: Vec<_> = disks.iter().filter(|disk| disk.has(var)).map(Disk::name).collect();
    if holders.len() < 2 {
        return Ok(());
    }
    Err(DeviceError::TwoStates { var, disks: holders.join(" and ") })
}

/// A disk and the partitions in its table.
struct Disk {
    sysfs: PathBuf,
    partitions: Vec<Partition>,
    summary: String,
}

impl Disk {
    /// Every disk with a medium in it, by name.
    fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/sys/class/block") else { return Vec::new() };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.retain(|path| !path.join("partition").exists() && number(path, "size") > 0);
        paths.into_iter().map(Self::open).collect()
    }

    fn open(sysfs: PathBuf) -> Self {
        let name = sysfs.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let block = number(&sysfs, "queue/logical_block_size").max(512);
        // Only the first copy of the table: the kernel makes no nodes from the second one.
        let table = File::open(node(&name))
            .map_err(|error| error.to_string())
            .and_then(|disk| read_table(&disk, block));
        let summary = match &table {
            Ok(partitions) => format!("{name} ({} partitions)", partitions.len()),
            Err(error) => format!("{name} ({error})"),
        };
        Self { sysfs, partitions: table.unwrap_or_default(), summary }
    }

    fn name(&self) -> String {
        self.sysfs.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn has(&self, guid: Guid) -> bool {
        self.partitions.iter().any(|partition| partition.unique == guid)
    }

    fn root(&self, root: Guid, verity: Guid) -> Option<RootPartitions> {
        let kind = Guid::from_text_order(VAR);
        let var = self.partitions.iter().find(|partition| partition.kind == kind);
        Some(RootPartitions {
            data: self.partition(root)?,
            hash: self.partition(verity)?,
            var: var.map(|partition| partition.unique),
        })
    }

    /// Node of the partition with this GUID, once the kernel has made it.
    fn partition(&self, guid: Guid) -> Option<PathBuf> {
        let wanted = self.partitions.iter().find(|found| found.unique == guid)?.number;
        let entries = fs::read_dir(&self.sysfs).ok()?;
        let mut names = entries
            .flatten()
            .filter(|entry| number(&entry.path(), "partition") == u64::from(wanted));
        let path = node(&names.next()?.file_name().to_string_lossy());
        path.exists().then_some(path)
    }
}

fn read_table(disk: &File, block: u64) -> Result<Vec<Partition>, String> {
    let read = |lba: u64, length: usize| {
        let mut bytes = vec![0; length];
        let at = lba.checked_mul(block).ok_or("GPT beyond the end of the disk")?;
        disk.read_exact_at(&mut bytes, at).map_err(|error| error.to_string())?;
        Ok::<_, String>(bytes)
    };
    let header = Header::parse(&read(1, 512)?).map_err(|error| error.to_string())?;
    let entries = read(header.entries_lba, header.entries_len())?;
    header.partitions(&entries).map_err(|error| error.to_string())
}

/// `/sys/class/block/cciss!c0d0` is `/dev/cciss/c0d0`.
fn node(name: &str) -> PathBuf {
    Path::new("/dev").join(name.replace('!', "/"))
}

/// A number in a file of sysfs; 0 when there is none.
fn number(directory: &Path, file: &str) -> u64 {
    let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, guids: &[u8]) -> Disk {
        let guid = |byte: u8| Guid::from_text_order([byte; 16]);
        let partitions = guids.iter().zip(1..).map(|(&byte, number)| Partition {
            number,
            kind: Guid::from_text_order(VAR),
            unique: guid(byte),
        });
        Disk {
            sysfs: Path::new("/sys/class/block").join(name),
            partitions: partitions.collect(),
            summary: name.to_owned(),
        }
    }

    #[test]
    fn a_copy_of_the_state_stops_the_boot_and_a_strangers_does_not() {
        let var = Some(Guid::from_text_order([1; 16]));
        for (disks, fine) in [
            (vec![disk("sda", &[1])], true),
            (vec![disk("sda", &[1]), disk("sdb", &[2])], true),
            (vec![disk("sda", &[1]), disk("sdb", &[2, 1])], false),
        ] {
            let refused = refuse_copies(&disks, var);
            assert_eq!(refused.is_ok(), fine);
            if let Err(error) = refused {
                assert!(error.to_string().contains("sda and sdb"), "{error}");
            }
        }
        refuse_copies(&[disk("sda", &[1]), disk("sdb", &[1])], None).unwrap();
    }
}
