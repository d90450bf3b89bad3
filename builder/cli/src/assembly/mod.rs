//! From a checked `mail.toml` to a disk: the layers of the builder, called in the order in which data flows.
//!
//! In: an [`Order`]. Out: the disk's bytes in a file that the caller names, and the bill of materials. Each step is a file:
//! `materials` brings packages and compiled units, `root` makes the tree, `initrd` what opens it, `firmware` what a board needs before
//! that, `bill` the SBOM, `units` what unit caches have. `closure` makes a disk of a NixOS system in place of all that. `store` makes store paths of the same units instead of a disk.

mod bill;
mod closure;
mod firmware;
mod initrd;
mod materials;
mod microcode;
mod root;
mod store;
mod units;

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use mailkiln_compile::Toolchain;
use mailkiln_fetch::{Cache, Mirrors};
use mailkiln_image::disk::{self, Boot, Disk, DiskError, DiskInput, Sizes};
use mailkiln_image::grub::{self, Grub, GrubError};
use mailkiln_lock::Lock;
use mailkiln_pin::Arch;
use mailkiln_spec::Spec;
use mailkiln_spec::target::{BootChain, Target};
use mailkiln_squashfs::{Plan, PlanError};
use mailkiln_tree::{Contents as _, TreePath};

use crate::progress::Watch;
use crate::unit_caches::UnitCaches;
pub(crate) use closure::{ClosureOrder, assemble_closure};
pub(crate) use materials::{Materials, Pieces};
use root::Root;
pub(crate) use store::{Exported, store_objects};
pub(crate) use units::{Compared, Exportable, compare, exportable};

pub(crate) use root::SPAM_RULES;

/// Everything that decides an image's bytes, and where to find it.
pub(crate) struct Order<'a> {
    /// What the appliance shall be.
    pub spec: &'a Spec,
    /// What it shall run on.
    pub target: &'a Target,
    /// What may enter it.
    pub lock: &'a Lock,
    /// Where inputs and intermediate results are kept.
    pub cache: &'a Cache,
    /// Where inputs are fetched from.
    pub mirrors: &'a Mirrors,
    /// What units are compiled with.
    pub toolchain: &'a Toolchain,
    /// Where compiled units may be taken from instead.
    pub units: &'a UnitCaches,
    /// Who is told how it goes.
    pub watch: &'a dyn Watch,
}

/// What packages are fetched with and units are compiled with, for one architecture.
#[derive(Clone, Copy)]
pub(crate) struct Workbench<'a> {
    /// What the units run on.
    pub arch: Arch,
    /// What may be used.
    pub lock: &'a Lock,
    /// Where inputs and results are kept.
    pub cache: &'a Cache,
    /// Where inputs are fetched from.
    pub mirrors: &'a Mirrors,
    /// What units are compiled with.
    pub toolchain: &'a Toolchain,
    /// Where compiled units may be taken from instead.
    pub units: &'a UnitCaches,
    /// Who is told how it goes.
    pub watch: &'a dyn Watch,
}

impl<'a> Order<'a> {
    fn workbench(&self) -> Workbench<'a> {
        let Self { lock, cache, mirrors, toolchain, units, watch, .. } = *self;
        Workbench { arch: self.target.arch, lock, cache, mirrors, toolchain, units, watch }
    }
}

impl std::fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("target", &self.target.name).finish_non_exhaustive()
    }
}

/// What came out besides the disk itself.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// Partitions, root hash, extents.
    pub disk: Disk,
    /// The SPDX document.
    pub bill: String,
}

/// An image can't be assembled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssemblyError {
    /// The lock does not hold what is needed.
    #[error(transparent)]
    Lock(#[from] mailkiln_lock::LockError),
    /// An input can't be had.
    #[error(transparent)]
    Fetch(#[from] mailkiln_fetch::FetchError),
    /// The cache fails.
    #[error(transparent)]
    Cache(#[from] mailkiln_fetch::CacheError),
    /// A package can't be unpacked.
    #[error(transparent)]
    Library(#[from] mailkiln_sources::LibraryError),
    /// Packages do not make a tree.
    #[error(transparent)]
    Tree(#[from] mailkiln_sources::AssembleError),
    /// Two parts want the same path.
    #[error(transparent)]
    Conflict(#[from] mailkiln_tree::Conflict),
    /// A unit can't be compiled.
    #[error(transparent)]
    Compile(#[from] mailkiln_compile::CompileError),
    /// A component of the lock is not what this program carries.
    #[error("the lock's component `{name}` can't be used: {why}")]
    Component {
        /// Its name.
        name: String,
        /// Why, and what to do.
        why: String,
    },
    /// A file that maintainer scripts would have written can't be.
    #[error(transparent)]
    Fixup(#[from] mailkiln_tree::FixupError),
    /// The services can't be rendered.
    #[error(transparent)]
    Render(#[from] mailkiln_services::RenderError),
    /// The root file system can't be laid out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A path is not possible.
    #[error(transparent)]
    Path(#[from] mailkiln_tree::BadPath),
    /// GRUB's files can't be used.
    #[error(transparent)]
    Grub(#[from] GrubError),
    /// The disk can't be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A unit can't be brought into a Nix store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A disk can't be made from a NixOS system.
    #[error(transparent)]
    System(#[from] closure::SystemDiskError),
    /// The packages lack something that booting needs.
    #[error("no package of the lock brings {0}; run `mailkiln lock --update`")]
    Lacking(String),
    /// The target names a package that its lock does not have where it belongs.
    #[error(
        "{file} names the package {package}, which is not in the lock's set `{set}`: add it to \
         `wanted.toml` and run `mailkiln lock`, or take it out"
    )]
    NotLocked {
        /// The target's file.
        file: String,
        /// The package.
        package: String,
        /// The set.
        set: String,
    },
    /// The target names a file that no package has.
    #[error(
        "{file}:{line} names {path}, which is in none of the packages it is taken from ({packages}): correct it"
    )]
    NoSuchFile {
        /// The target's file.
        file: String,
        /// The line.
        line: usize,
        /// The path in a package.
        path: String,
        /// The packages that were looked into.
        packages: String,
    },
    /// The initrd shall have modules that there are not.
    #[error(
        "{file} gives the initrd {patterns}, and the root has no such module: correct \
         `kernel.initrd`"
    )]
    NoSuchModule {
        /// The target's file.
        file: String,
        /// Its patterns.
        patterns: String,
    },
    /// A file of ours can't be read or written.
    #[error("{what}: {source}")]
    File {
        /// Which, and what was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The SBOM can't be written down.
    #[error("the bill of materials can't be written: {0}")]
    Bill(#[from] serde_json::Error),
}

/// Assembles the disk that `order` describes into `out`, an empty file.
///
/// # Errors
/// [`AssemblyError`]; what is in `out` then is void.
pub(crate) fn assemble(
    order: &Order<'_>,
    out: impl Write + Seek,
) -> Result<Assembled, AssemblyError> {
    assemble_from(order, &gather(order)?, out)
}

/// What `order` and every other order with the same [`Pieces`] is assembled from.
///
/// # Errors
/// [`AssemblyError`] when something can't be fetched, unpacked or compiled.
pub(crate) fn gather(order: &Order<'_>) -> Result<Materials, AssemblyError> {
    Materials::gather(order, root::services(order).kernel_modules())
}

/// As [`assemble`], from materials that are there.
///
/// # Errors
/// [`AssemblyError`]; what is in `out` then is void.
pub(crate) fn assemble_from(
    order: &Order<'_>,
    materials: &Materials,
    out: impl Write + Seek,
) -> Result<Assembled, AssemblyError> {
    let services = root::services(order);
    order.watch.step("assembling the root file system");
    let root = Root::build(order, &services, materials)?;
    let mut initrd = microcode::early(materials)?;
    initrd.extend(initrd::build(order, &root, materials)?);
    let stub = materials
        .boot_file(|path| path.name().starts_with("linux") && path.name().ends_with(".efi.stub"))?
        .ok_or_else(|| AssemblyError::Lacking("systemd's EFI stub".to_owned()))?;
    let grub_files = grub_files(order.target, materials)?;
    let grub = grub_files.as_ref().map(Grub::new).transpose()?;
    let mtime = u32::try_from(order.lock.snapshot.as_second()).unwrap_or(u32::MAX);
    let plan = Plan::new(&root.tree, &materials.packs, mtime)?;
    order.watch.step("writing the disk");
    let command_line = command_line(order.target);
    let disk = disk::assemble(
        &DiskInput {
            arch: order.target.arch,
            sizes: sizes(order.target),
            root: &plan,
            boot: Boot {
                stub: &stub,
                kernel: &root.kernel,
                initrd: &initrd,
                os_release: &root.os_release,
                uname: &root.release,
                command_line: &command_line,
            },
            bios: grub.as_ref(),
            firmware: firmware::gather(order.target, materials, &|tree| {
                firmware::packaged_device_tree(order.target, materials, tree)
            })?,
        },
        out,
    )?;
    let bill = bill::write(order, materials)?;
    Ok(Assembled { disk, bill })
}

/// Sizes of the partitions in bytes.
fn sizes(target: &Target) -> Sizes {
    let disk = target.disk;
    Sizes {
        start: disk.start.bytes(),
        esp: disk.esp.bytes(),
        root: disk.root.bytes(),
        verity: disk.verity.bytes(),
        multiple: disk.multiple.bytes(),
    }
}

/// Words of every kernel's command line. Without `ro`, systemd-gpt-auto-generator asks for a writable root
/// where it finds one by itself. With huge pages for all, khugepaged keeps 45 MiB free whatever the machine
/// has (and the watermarks above that twice as much), for which no program here is large enough.
const ALWAYS: [&str; 2] = ["ro", "transparent_hugepage=never"];

/// The kernel's command line, before the root hash.
fn command_line(target: &Target) -> String {
    let consoles = target.consoles.iter().map(|console| console.argument());
    let words = consoles.chain(ALWAYS.map(str::to_owned));
    words.chain(target.kernel.arguments.iter().cloned()).collect::<Vec<_>>().join(" ")
}

/// GRUB's files by name, when the target starts from a BIOS too.
fn grub_files(
    target: &Target,
    materials: &Materials,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, AssemblyError> {
    if !target.boot.chain.contains(&BootChain::GrubBios) {
        return Ok(None);
    }
    let folder = TreePath::parse(grub::FOLDER)?;
    let mut files = BTreeMap::new();
    for (path, sha256) in materials.boot_files() {
        if path.parent().as_ref() == Some(&folder) {
            let bytes = materials.read(&sha256).map_err(|source| AssemblyError::File {
                what: format!("can't read {path} of grub-pc-bin"),
                source,
            })?;
            files.insert(path.name().to_owned(), bytes);
        }
    }
    Ok(Some(files))
}
