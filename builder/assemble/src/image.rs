//! The disk of an appliance.
//!
//! In: spec, target and lock. Out: the disk's bytes in a file that the caller opened, and the bill of parts.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use mailkiln_image::disk::{self, Boot, Disk, DiskInput, Sizes};
use mailkiln_image::grub::{self, Grub};
use mailkiln_spec::target::{BootChain, Target};
use mailkiln_squashfs::Plan;
use mailkiln_tree::TreePath;

use crate::parts::Parts;
use crate::root::Root;
use crate::{AssembleError, Inputs, Supply, Tools, Wanted, firmware, initrd, microcode};

/// A disk and what is in it.
#[derive(Debug)]
pub struct Assembled {
    /// Partitions, root hash, extents.
    pub disk: Disk,
    /// The SPDX document.
    pub bill: String,
}

/// Assembles the disk that `inputs` describe into `out`, an empty file.
///
/// # Errors
/// [`AssembleError`]; the contents of `out` are unspecified then.
pub fn assemble(
    inputs: &Inputs<'_>,
    tools: &Tools<'_>,
    out: impl Write + Seek,
) -> Result<Assembled, AssembleError> {
    let wanted = inputs.wanted()?;
    let parts = Parts::gather(inputs, &wanted, tools)?;
    from_parts(inputs, wanted, &parts, &tools.supply, out)
}

/// As [`assemble`], from parts that are there already.
///
/// # Errors
/// [`AssembleError`]; the contents of `out` are unspecified then.
pub fn assemble_from(
    inputs: &Inputs<'_>,
    parts: &Parts,
    supply: &Supply<'_>,
    out: impl Write + Seek,
) -> Result<Assembled, AssembleError> {
    from_parts(inputs, inputs.wanted()?, parts, supply, out)
}

fn from_parts(
    inputs: &Inputs<'_>,
    wanted: Wanted,
    parts: &Parts,
    supply: &Supply<'_>,
    out: impl Write + Seek,
) -> Result<Assembled, AssembleError> {
    let Inputs { target, lock, .. } = *inputs;
    supply.progress.step("assembling the root file system");
    let root = Root::build(inputs, wanted, parts)?;
    let mut initrd = microcode::early(parts)?;
    initrd.extend(initrd::build(inputs, &root, parts, supply.cache)?);
    let stub = parts
        .boot_file(|path| path.name().starts_with("linux") && path.name().ends_with(".efi.stub"))?
        .ok_or_else(|| AssembleError::Lacking("systemd's EFI stub".to_owned()))?;
    let grub_files = grub_files(target, parts)?;
    let grub = grub_files.as_ref().map(Grub::new).transpose()?;
    let mtime = u32::try_from(lock.snapshot.as_second()).unwrap_or(u32::MAX);
    let plan = Plan::new(&root.tree, parts.packs(), mtime)?;
    supply.progress.step("writing the disk");
    let disk = disk::assemble(
        &DiskInput {
            arch: target.arch,
            sizes: sizes(target),
            root: &plan,
            boot: Boot {
                stub: &stub,
                kernel: &root.kernel,
                initrd: &initrd,
                os_release: &root.os_release,
                uname: &root.release,
                command_line: &command_line(target),
            },
            bios: grub.as_ref(),
            firmware: firmware::gather(target, parts, &|tree| {
                firmware::packaged_device_tree(target, parts, tree)
            })?,
        },
        out,
    )?;
    let bill = parts.bill().to_spdx(inputs.name(), inputs.version(), lock)?;
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
        bios: disk.bios.map_or(disk::ALIGNMENT, |size| size.bytes()),
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
pub(crate) fn grub_files(
    target: &Target,
    parts: &Parts,
) -> Result<Option<BTreeMap<String, Vec<u8>>>, AssembleError> {
    if !target.boot.chain.contains(&BootChain::GrubBios) {
        return Ok(None);
    }
    parts.boot_folder(&TreePath::parse(grub::FOLDER)?).map(Some)
}
