//! The block devices of this machine, and who uses them.
//!
//! In: `/sys`, `/proc` and what udev has found (`/run/udev/data`), all readable by every user. Out:
//! disks with their size, model and contents, and the reasons for not writing to one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::mounts::{Use, mounts, swaps};
use crate::{FlashError, Image, Medium, Target};

/// Bytes that `/sys` counts sizes in, whatever the device's blocks are.
const SECTOR: u64 = 512;

/// Where the kernel tells about its devices. Tests have their own.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The kernel's name: `sdb`.
    pub name: String,
    /// Bytes that it holds.
    pub size: u64,
    /// Who made it and what it is, as it says itself; foreign text.
    pub model: String,
    /// Whether it can be pulled out: a card, or something on USB.
    pub removable: bool,
    /// Whether it can't be written to.
    pub read_only: bool,
    /// Bytes of its blocks.
    pub block: usize,
    /// What udev has found on it where it has no partitions; foreign text.
    pub contents: String,
    /// What it is divided into.
    pub partitions: Vec<Partition>,
    /// Who uses it.
    pub uses: Vec<Use>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The kernel's name: `sdb1`.
    pub name: String,
    /// Bytes that it holds.
    pub size: u64,
    /// File system and label, as far as udev has found them; foreign text.
    pub contents: String,
}

impl Device {
    /// The path of the device.
    pub fn path(&self) -> PathBuf {
        // The kernel writes the slash of `cciss/c0d0` so.
        Path::new("/dev").join(self.name.replace('!', "/"))
    }

    /// Why the disk must not be written to, if that is so.
    ///
    /// # Errors
    /// [`FlashError`] with the reason.
    pub fn check(&self) -> Result<(), FlashError> {
        let device = self.path();
        if let Some(place) = self.uses.iter().find_map(Use::system_place) {
            return Err(FlashError::SystemDisk { device, place: place.to_owned() });
        }
        check_uses(&device, &self.uses)?;
        if self.read_only { Err(FlashError::WriteProtected { device }) } else { Ok(()) }
    }
}

fn check_uses(device: &Path, uses: &[Use]) -> Result<(), FlashError> {
    let Some(first) = uses.last() else { return Ok(()) };
    let words: Vec<_> = uses.iter().map(ToString::to_string).collect();
    let uses = format!("{}. End that first: {}", words.join(", "), first.cure());
    Err(FlashError::InUse { device: device.to_owned(), uses })
}

impl System {
    /// This machine.
    pub fn this() -> Self {
        Self::at(Path::new("/"))
    }

    /// The machine whose `/sys`, `/proc` and `/run` are below `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Disks that can be pulled out and hold something, by name; also those in use.
    ///
    /// # Errors
    /// [`FlashError::System`] when `/sys` or `/proc` can't be read.
    pub fn removable(&self) -> Result<Vec<Device>, FlashError> {
        let mut devices = Vec::new();
        for name in self.names(&self.entry(""))? {
            let entry = self.entry(&name);
            // Optical drives and floppies; what only exists in memory has no `device`.
            let other = name.starts_with("sr") || name.starts_with("fd");
            if other || entry.join("partition").exists() || !entry.join("device").exists() {
                continue;
            }
            let device = self.disk(&name)?;
            if device.removable && device.size > 0 {
                devices.push(device);
            }
        }
        Ok(devices)
    }

    /// Opens what `path` names for an image of `needed` bytes, once it is certain that nobody misses what
    /// is there.
    ///
    /// # Errors
    /// [`FlashError`] with the reason for not doing so.
    pub fn open(
        &self,
        path: &Path,
        image: &Image,
        needed: u64,
    ) -> Result<(Box<dyn Target>, Option<Device>), FlashError> {
        self.opened(path, Some(image), needed)
    }

    /// Opens what `path` names to change some bytes of it, once it is certain that nobody else uses it.
    ///
    /// # Errors
    /// [`FlashError`] with the reason for not doing so.
    pub fn open_in_place(&self, path: &Path) -> Result<Box<dyn Target>, FlashError> {
        self.opened(path, None, 0).map(|(target, _)| target)
    }

    fn opened(
        &self,
        path: &Path,
        image: Option<&Image>,
        needed: u64,
    ) -> Result<(Box<dyn Target>, Option<Device>), FlashError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => FlashError::NoDevice { device: path.to_owned() },
            _ => FlashError::Open { device: path.to_owned(), error },
        };
        let metadata = fs::metadata(path).map_err(failed)?;
        let least = image.and_then(Image::least_device).filter(|least| *least > needed);
        let fits = |size: u64| match (size < needed, least) {
            (true, _) => Err(FlashError::TooSmall { device: path.to_owned(), size, needed }),
            (false, Some(least)) if size < least => {
                Err(FlashError::NoRoomToGrow { device: path.to_owned(), size, least })
            }
            _ => Ok(()),
        };
        if metadata.is_file() {
            if image.is_some_and(|image| image.is(&metadata)) {
                return Err(FlashError::Itself { device: path.to_owned() });
            }
            check_uses(path, &self.uses_of_file(path)?)?;
            fits(metadata.len())?;
            return Ok((Box::new(Medium::file(path)?), None));
        }
        if !metadata.file_type().is_block_device() {
            return Err(FlashError::NotADevice { device: path.to_owned() });
        }
        let number = metadata.rdev();
        let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
        let device = self.by_number(&format!("{major}:{minor}"), path)?;
        device.check()?;
        if image.is_some_and(Image::has_table) && device.block as u64 != SECTOR {
            return Err(FlashError::Sectors { device: path.to_owned(), block: device.block });
        }
        fits(device.size)?;
        let map = image.and_then(Image::map);
        let aligned = map.is_none_or(|map| map.block_size >= device.block as u64);
        let target = Medium::device(path, device.block, aligned)?;
        fits(target.size())?;
        Ok((Box::new(target), Some(device)))
    }

    /// The disk with a number; `path` is what it was called.
    fn by_number(&self, number: &str, path: &Path) -> Result<Device, FlashError> {
        let entry = self.root.join("sys/dev/block").join(number);
        let failed = |error| FlashError::System { path: entry.clone(), error };
        let real = entry.canonicalize().map_err(failed)?;
        let name = |path: &Path| {
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        if real.join("partition").exists() {
            let disk = real.parent().map(name).unwrap_or_default();
            let disk = Path::new("/dev").join(disk.replace('!', "/"));
            return Err(FlashError::Partition { device: path.to_owned(), disk });
        }
        self.disk(&name(&real))
    }

    /// Everything about one disk.
    ///
    /// # Errors
    /// [`FlashError::System`] when `/sys` or `/proc` can't be read.
    pub fn disk(&self, name: &str) -> Result<Device, FlashError> {
        let entry = self.entry(name);
        let mut partitions = Vec::new();
        for part in self.names(&entry)? {
            if entry.join(&part).join("partition").exists() {
                let size = self.number(&part, "size") * SECTOR;
                let contents = self.contents(&part);
                partitions.push(Partition { name: part, size, contents });
            }
        }
        partitions.sort_by_key(|part| self.number(&part.name, "partition"));
        let real = entry.canonicalize().unwrap_or_else(|_| entry.clone());
        let on_usb = real.iter().any(|part| part.to_string_lossy().starts_with("usb"));
        let is_card = self.text(name, "device/type") == "SD";
        let words = ["device/vendor", "device/model", "device/name"].map(|at| self.text(name, at));
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        Ok(Device {
            name: name.to_owned(),
            size: self.number(name, "size") * SECTOR,
            model: words.join(" "),
            removable: on_usb || is_card || self.number(name, "removable") == 1,
            read_only: self.number(name, "ro") == 1,
            block: usize::try_from(self.number(name, "queue/logical_block_size"))
                .ok()
                .filter(|block| block.is_power_of_two() && (512..=1 << 20).contains(block))
                .unwrap_or(4096),
            contents: self.contents(name),
            uses: self.uses(name, &partitions)?,
            partitions,
        })
    }

    /// Who uses a disk, its partitions, or what is made of them.
    fn uses(&self, name: &str, partitions: &[Partition]) -> Result<Vec<Use>, FlashError> {
        let mut uses = Vec::new();
        let mut family = BTreeSet::new();
        let mut queue = vec![name.to_owned()];
        queue.extend(partitions.iter().map(|part| part.name.clone()));
        while let Some(device) = queue.pop() {
            if !family.insert(device.clone()) {
                continue;
            }
            let entry = self.entry(&device);
            for by in self.names_or_none(&entry.join("holders")) {
                // A disk that is made of this one may have partitions itself.
                let parts = self.names_or_none(&self.entry(&by)).into_iter();
                let parts = parts.filter(|it| self.entry(&by).join(it).join("partition").exists());
                queue.extend(parts);
                uses.push(Use::Held { device: device.clone(), by: by.clone() });
                queue.push(by);
            }
        }
        for swap in swaps(&self.read("proc/swaps")?) {
            uses.extend(self.member(&family, "", &swap).map(|device| Use::Swap { device }));
        }
        for mount in mounts(&self.read("proc/self/mountinfo")?) {
            let device = self.member(&family, &mount.number, &mount.source);
            uses.extend(device.map(|device| Use::Mounted { device, place: mount.place }));
        }
        Ok(uses)
    }

    /// The member of the family that has this number or path.
    fn member(&self, family: &BTreeSet<String>, number: &str, path: &str) -> Option<String> {
        let by_number = family.iter().find(|name| self.text(name, "dev") == number);
        let by_path = || {
            // Not joined: the path is absolute, and the root is `/` but for tests.
            let path = self.root.join(path.trim_start_matches('/'));
            let real = path.canonicalize().unwrap_or(path);
            let name =
                real.strip_prefix(self.root.join("dev")).ok()?.to_string_lossy().replace('/', "!");
            family.get(&name)
        };
        by_number.filter(|_| !number.is_empty()).or_else(by_path).cloned()
    }

    /// Who uses a plain file as a disk.
    fn uses_of_file(&self, path: &Path) -> Result<Vec<Use>, FlashError> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut uses = Vec::new();
        for name in self.names(&self.entry(""))? {
            if self.text(&name, "loop/backing_file") == real.to_string_lossy() {
                uses.push(Use::Loop { device: name });
            }
        }
        let swaps = swaps(&self.read("proc/swaps")?);
        let swap = swaps.into_iter().find(|swap| Path::new(swap) == real);
        uses.extend(swap.map(|swap| Use::Swap { device: swap }));
        Ok(uses)
    }

    /// File system and label that udev has found.
    fn contents(&self, name: &str) -> String {
        let path = self.root.join("run/udev/data").join(format!("b{}", self.text(name, "dev")));
        let text = fs::read_to_string(path).unwrap_or_default();
        let find = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(key));
            line.and_then(|line| line.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        let label = [find("ID_FS_LABEL"), find("ID_PART_ENTRY_NAME"), self.partition_name(name)];
        let label = label.into_iter().find(|label| !label.is_empty());
        let words = [Some(find("ID_FS_TYPE")), label.map(|label| format!("\"{label}\""))];
        let words: Vec<_> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }

    fn partition_name(&self, name: &str) -> String {
        let text = self.text(name, "uevent");
        let line = text.lines().find_map(|line| line.strip_prefix("PARTNAME="));
        line.unwrap_or_default().to_owned()
    }

    fn entry(&self, name: &str) -> PathBuf {
        self.root.join("sys/class/block").join(name)
    }

    /// An attribute of a device; empty where it has none.
    fn text(&self, name: &str, attribute: &str) -> String {
        let text = fs::read_to_string(self.entry(name).join(attribute)).unwrap_or_default();
        text.trim().to_owned()
    }

    fn number(&self, name: &str, attribute: &str) -> u64 {
        self.text(name, attribute).parse().unwrap_or(0)
    }

    fn read(&self, path: &str) -> Result<String, FlashError> {
        let path = self.root.join(path);
        match fs::read_to_string(&path) {
            // A kernel without swap has no list of it.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && path.ends_with("proc/swaps") =>
            {
                Ok(String::new())
            }
            other => other.map_err(|error| FlashError::System { path, error }),
        }
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>, FlashError> {
        let failed = |error| FlashError::System { path: folder.to_owned(), error };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn names_or_none(&self, folder: &Path) -> Vec<String> {
        self.names(folder).unwrap_or_default()
    }
}
