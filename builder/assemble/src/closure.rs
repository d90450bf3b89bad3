//! From a NixOS system to a disk.
//!
//! In: a closure and a target. Out: the disk's bytes in a file that the caller names, and the bill of parts. The boot
//! partition is the system's own; what a board's firmware wants beside it comes from the lock's packages, as on an
//! appliance's disk, except for device trees, which belong to the kernel.

use std::io::{Seek, Write};

use mailkiln_closure::{BootEntry, Closure, ClosureError, Loader, Object, System, SystemError};
use mailkiln_image::Guid;
use mailkiln_image::disk::{self, DiskError, SystemDisk, SystemInput, assemble_system};
use mailkiln_image::ext4::{Draft, Ext4, Ext4Error, Ext4Options, File, Fill, Folder, Needs, Owned};
use mailkiln_image::fat::FatFile;
use mailkiln_image::grub::Grub;
use mailkiln_nix_store::Shape;
use mailkiln_pin::Sha256;
use mailkiln_spec::target::{DeviceTree, Target};

use crate::image::grub_files;
use crate::parts::Parts;
use crate::{AssembleError, ClosureInputs, Supply, firmware};

/// Room that the root has beyond its content until it grows over the disk: the first boot writes its database, logs and
/// state before that.
const FREE: u64 = 512 << 20;
/// The least that the boot partition has: each generation of NixOS keeps its kernel and initrd there.
const ESP: u64 = 512 << 20;
/// The label that nixpkgs' images and `nixosModules.image` mount `/` by.
const LABEL: &str = "nixos";
/// What Nix reads at the first boot.
const REGISTRATION: &str = "nix-path-registration";
/// The group of those who build, which NixOS gives the store.
const NIXBLD: u32 = 30_000;
/// What a device tree of a kernel may be long.
const MAX_DEVICE_TREE: u64 = 16 << 20;
/// Folders that the first programs of a system mount something on. Everything else makes itself.
const MOUNT_POINTS: [(&str, u16); 6] = [
    ("boot", 0o755),
    ("dev", 0o755),
    ("proc", 0o555),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
];

/// A disk can't be made from a closure.
#[derive(Debug, thiserror::Error)]
pub enum SystemDiskError {
    /// The closure can't be read.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// There is no system in it that the target boots.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The root can't be made.
    #[error(transparent)]
    Root(#[from] Ext4Error),
    /// The disk can't be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The board wants a device tree that the system does not bring.
    #[error(
        "{file}:{line} names the device tree {tree}, which {system} does not bring in `dtbs`: build the system with `hardware.deviceTree.enable = true` and a kernel that knows the board"
    )]
    NoDeviceTree {
        /// The target's file.
        file: String,
        /// The line.
        line: usize,
        /// The device tree.
        tree: String,
        /// The system.
        system: String,
    },
    /// GRUB can't be told the command line.
    #[error(
        "the kernel parameters of {system} hold a quote or a backslash, which GRUB hands on otherwise: the target {target} starts from a BIOS too; take them out of boot.kernelParams"
    )]
    Quotes {
        /// The system.
        system: String,
        /// The target.
        target: String,
    },
    /// There is no boot loader.
    #[error(
        "neither {system} nor the lock's packages bring {name}: set boot.loader.systemd-boot.enable in the system"
    )]
    NoLoader {
        /// The system.
        system: String,
        /// What it is called.
        name: String,
    },
}

/// Assembles the disk into `out`, an empty file; with it comes the SPDX document.
///
/// # Errors
/// [`AssembleError`]; the contents of `out` are unspecified then.
pub fn assemble_closure(
    inputs: &ClosureInputs<'_>,
    supply: &Supply<'_>,
    out: impl Write + Seek,
) -> Result<(SystemDisk, String), AssembleError> {
    let ClosureInputs { closure, target, lock } = *inputs;
    let top = closure.top().to_absolute_path();
    let system = System::of(closure, &target.name, target.arch).map_err(SystemDiskError::from)?;
    let parts = Parts::of_boot(inputs, supply)?;
    let loader = match &system.boot_loader {
        Some(program) => program.clone(),
        None => locked_loader(target, &parts, &top)?,
    };
    let entry = BootEntry::of(&system);
    let files = entry.files(&system, Loader::new(target.arch, &loader));
    let files = files.into_iter().map(|(path, bytes)| FatFile { path, content: bytes.into() });
    let device_tree = |tree: &DeviceTree| device_tree(closure, target, tree);
    let firmware = firmware::gather(target, &parts, &device_tree)?;
    let grub_files = grub_files(target, &parts)?;
    let grub = grub_files.as_ref().map(Grub::new).transpose()?;
    if grub.is_some() && entry.command_line.contains(['\'', '"', '\\']) {
        let target = target.name.clone();
        return Err(SystemDiskError::Quotes { system: top, target }.into());
    }
    let root = Root::declare(closure).map_err(SystemDiskError::from)?;
    supply.progress.step("writing the disk");
    let input = SystemInput {
        arch: target.arch,
        start: target.disk.start.bytes(),
        esp: target.disk.esp.bytes().max(ESP),
        multiple: target.disk.multiple.bytes(),
        files: files.collect(),
        root: &root.volume,
        identity: root.identity,
        bios: grub.as_ref().map(|grub| disk::Loader {
            grub,
            size: target.disk.bios.map_or(disk::ALIGNMENT, |size| size.bytes()),
            kernel: &entry.kernel,
            initrd: entry.initrd.as_deref(),
            command_line: &entry.command_line,
        }),
        firmware,
    };
    let disk =
        assemble_system::<SystemDiskError>(&input, out, |filler| root.fill(closure, filler))?;
    let name = format!("{}-{}", closure.top().name(), target.name);
    let bill = parts.bill().to_spdx(name, closure.top().to_basename(), lock)?;
    Ok((disk, bill))
}

/// systemd-boot of the lock.
fn locked_loader(target: &Target, parts: &Parts, top: &str) -> Result<Vec<u8>, AssembleError> {
    let name = Loader::file_name(target.arch);
    let found = parts.boot_file(|path| path.name() == name)?;
    let lacking = || SystemDiskError::NoLoader { system: top.to_owned(), name };
    Ok(found.ok_or_else(lacking)?)
}

/// A device tree of the system's own kernel.
fn device_tree(
    closure: &Closure,
    target: &Target,
    tree: &DeviceTree,
) -> Result<Vec<u8>, AssembleError> {
    let system = closure.top().to_absolute_path();
    let path = format!("{system}/dtbs/{}", tree.source);
    if !closure.has(&path) {
        let (file, line) = (target.file(), tree.line);
        let lacking =
            SystemDiskError::NoDeviceTree { file, line, tree: tree.source.clone(), system };
        return Err(lacking.into());
    }
    Ok(closure.read(&path, MAX_DEVICE_TREE).map_err(SystemDiskError::from)?)
}

/// The root file system, declared: what is left are contents.
struct Root {
    volume: Ext4,
    registration: (String, File),
    /// Files with bytes of each store path, in the order in which contents come.
    files: Vec<(String, Vec<File>)>,
    identity: Sha256,
}

impl Root {
    fn declare(closure: &Closure) -> Result<Self, Ext4Error> {
        let registration = closure.registration();
        let mut needs = Needs::default();
        needs.file(registration.len() as u64);
        needs.folder(closure.objects().len() as u64);
        // Folders that are made here.
        (0..16).for_each(|_| needs.folder(8));
        closure.objects().values().for_each(|object| reckon(&object.shape, &mut needs));
        let size = needs.volume(FREE);
        let identity = Sha256::of(format!("mailkiln closure {size}\n{registration}").as_bytes());
        let uuid = Guid::derived("nixos", &identity);
        let label = LABEL.to_owned();
        let mut draft = Draft::new(&Ext4Options { size, uuid, label, entries: needs.entries })?;
        let root = draft.root();
        let store = skeleton(&mut draft, closure)?;
        let read_only = Owned::root(0o444);
        let length = registration.len() as u64;
        let file = draft.file(root, REGISTRATION, read_only, length, REGISTRATION)?;
        let mut files = Vec::new();
        for (name, object) in closure.objects() {
            let mut list = Vec::new();
            declare(&mut draft, store, name, &object.shape, &place(object), &mut list)?;
            files.push((name.clone(), list));
        }
        Ok(Self { volume: draft.seal()?, registration: (registration, file), files, identity })
    }

    /// Brings the contents.
    fn fill(&self, closure: &Closure, filler: &mut dyn Fill) -> Result<(), SystemDiskError> {
        let (registration, file) = &self.registration;
        filler.fill(*file, &mut registration.as_bytes(), REGISTRATION)?;
        for (name, files) in &self.files {
            let Some(object) = closure.objects().get(name) else { continue };
            let mut files = files.iter();
            let mut unwritten = None;
            let read = closure.each_file(object, &mut |inside, _, contents| {
                // The shape was read from the same bytes. Were there more files than then, the last ones have no place.
                let file = files.next().ok_or("it has changed meanwhile")?;
                let filled = filler.fill(*file, contents, &format!("{}/{inside}", place(object)));
                filled.map_err(|error| unwritten.insert(error).to_string().into())
            });
            match unwritten {
                // That the image can't be written is no fault of what was read.
                Some(error) => return Err(error.into()),
                None => read?,
            }
        }
        Ok(())
    }
}

fn place(object: &Object) -> String {
    object.path.to_absolute_path()
}

/// Everything but store paths: mount points, the tag by which tools know NixOS, the system's profile. Returns the folder of
/// the store.
fn skeleton(draft: &mut Draft, closure: &Closure) -> Result<Folder, Ext4Error> {
    let root = draft.root();
    let usual = Owned::root(0o755);
    for (name, mode) in MOUNT_POINTS {
        draft.folder(root, name, Owned::root(mode), name)?;
    }
    let etc = draft.folder(root, "etc", usual, "etc")?;
    draft.file(etc, "NIXOS", Owned::root(0o644), 0, "etc/NIXOS")?;
    let nix = draft.folder(root, "nix", usual, "nix")?;
    let mut inner = draft.folder(nix, "var", usual, "nix/var")?;
    for name in ["nix", "profiles"] {
        inner = draft.folder(inner, name, usual, name)?;
    }
    // As `nix-env --profile /nix/var/nix/profiles/system --set` makes them.
    draft.symlink(inner, "system", "system-1-link", "the system's profile")?;
    let top = closure.top().to_absolute_path();
    draft.symlink(inner, "system-1-link", &top, "the system's profile")?;
    draft.folder(nix, "store", Owned { mode: 0o1775, group: NIXBLD }, "nix/store")
}

fn reckon(shape: &Shape, needs: &mut Needs) {
    let mut left = vec![shape];
    while let Some(shape) = left.pop() {
        match shape {
            Shape::File { size, .. } => needs.file(*size),
            Shape::Symlink(_) => needs.symlink(),
            Shape::Directory(entries) => {
                needs.folder(entries.len() as u64);
                left.extend(entries.values());
            }
        }
    }
}

/// Declares a store path, or what is in one, and lists files that have bytes. Modes are those that Nix gives.
fn declare(
    draft: &mut Draft,
    parent: Folder,
    name: &str,
    shape: &Shape,
    place: &str,
    files: &mut Vec<File>,
) -> Result<(), Ext4Error> {
    match shape {
        Shape::Symlink(target) => draft.symlink(parent, name, target, place),
        Shape::File { executable, size } => {
            let mode = if *executable { 0o555 } else { 0o444 };
            let file = draft.file(parent, name, Owned::root(mode), *size, place)?;
            if *size > 0 {
                files.push(file);
            }
            Ok(())
        }
        Shape::Directory(entries) => {
            let folder = draft.folder(parent, name, Owned::root(0o555), place)?;
            for (name, shape) in entries {
                declare(draft, folder, name, shape, &format!("{place}/{name}"), files)?;
            }
            Ok(())
        }
    }
}
