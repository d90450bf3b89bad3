//! What a board's own firmware wants to find on the disk.
//!
//! In: the target's lists, the boot packages. Out: files for the ESP and
//! blobs with their sectors. What is named and not there is refused with its line.

use mailkiln_image::disk::{Blob, Firmware};
use mailkiln_image::fat::FatFile;
use mailkiln_image::gpt::Lba;
use mailkiln_spec::target::{BootContent, DeviceTree, Target};
use mailkiln_tree::TreePath;

use crate::AssembleError;
use crate::parts::Parts;

/// Gathers it; a device tree of the kernel is what `device_tree` says.
pub(crate) fn gather(
    target: &Target,
    parts: &Parts,
    device_tree: &dyn Fn(&DeviceTree) -> Result<Vec<u8>, AssembleError>,
) -> Result<Firmware<'static>, AssembleError> {
    let Target { boot, disk, .. } = target;
    let named = |path: &str, line: usize| {
        let lacking = || AssembleError::NoSuchFile {
            file: target.file(),
            line,
            path: path.to_owned(),
            packages: boot.packages.join(", "),
        };
        parts.boot_file(|at| at.as_str() == path)?.ok_or_else(lacking)
    };
    let mut firmware = Firmware { hybrid_mbr: disk.hybrid_mbr, ..Firmware::default() };
    for tree in &boot.device_trees {
        let content = device_tree(tree)?.into();
        firmware.files.push(FatFile { path: tree.path.clone(), content });
    }
    for file in &boot.files {
        let bytes = match &file.content {
            BootContent::Package(path) => named(path, file.line)?,
            BootContent::Text(text) => text.clone().into_bytes(),
        };
        firmware.files.push(FatFile { path: file.path.clone(), content: bytes.into() });
    }
    for blob in &boot.blobs {
        firmware.blobs.push(Blob {
            name: format!("{}:{}: {}", target.file(), blob.line, blob.source),
            start: Lba(blob.lba),
            content: named(&blob.source, blob.line)?.into(),
        });
    }
    Ok(firmware)
}

/// A device tree of the kernel's package.
pub(crate) fn packaged_device_tree(
    target: &Target,
    parts: &Parts,
    tree: &DeviceTree,
) -> Result<Vec<u8>, AssembleError> {
    let is_it = |at: &TreePath| device_tree(at) == Some(tree.source.as_str());
    parts.boot_file(is_it)?.ok_or_else(|| AssembleError::NoSuchFile {
        file: target.file(),
        line: tree.line,
        path: tree.source.clone(),
        packages: target.kernel.package.clone(),
    })
}

/// The name of a device tree below the folder for them, which the kernel's release names, and which
/// Debian has moved in 7.x.
fn device_tree(path: &TreePath) -> Option<&str> {
    let path = path.as_str();
    let before = path.strip_prefix("usr/lib/linux-image-").and_then(|at| at.split_once('/'));
    let since = path.strip_prefix("usr/lib/modules/").and_then(|at| at.split_once("/dtb/"));
    before.or(since).map(|(_, name)| name)
}
