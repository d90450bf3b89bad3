//! Where the partitions of a target are, and how large.

use std::ops::RangeInclusive;

use super::super::file::DiskTable;
use super::super::{Boot, BootChain, DiskSizes, Mib};
use crate::document::Located;
use crate::problem::{Flaw, Problems, Reported};

/// Sizes of one partition that make sense, in MiB.
const SIZES: RangeInclusive<i64> = 1..=1 << 20;
/// Least size of an ESP in MiB: below, its clusters are too few for FAT32 (65525, Microsoft's FAT
/// specification, 3.5).
const LEAST_ESP: u32 = 34;

pub(super) fn judge(
    table: Located<DiskTable>,
    boot: Option<&Boot>,
    problems: &mut Problems,
) -> Result<DiskSizes, Reported> {
    let Located { value: table, span } = table;
    let mut size = |size: Option<&Located<i64>>, key: &str| match size {
        Some(size) => problems.check(&size.span, mib(size.value)),
        None => Err(problems.absent(&span, key)),
    };
    let start = table.start.as_ref().map(|start| size(Some(start), "disk.start")).transpose();
    let bios = table.bios.as_ref().map(|bios| size(Some(bios), "disk.bios")).transpose();
    let esp = size(table.esp.as_ref(), "disk.esp");
    let root = size(table.root.as_ref(), "disk.root");
    let verity = size(table.verity.as_ref(), "disk.verity");
    let multiple = table.size_multiple.as_ref();
    let multiple = multiple.map(|it| size(Some(it), "disk.size_multiple")).transpose();
    let sizes = DiskSizes {
        // Room for the partition table, and what every tool aligns to.
        start: start?.unwrap_or(Mib(1)),
        hybrid_mbr: table.hybrid_mbr.unwrap_or(false),
        bios: bios?,
        esp: esp?,
        root: root?,
        verity: verity?,
        multiple: multiple?.unwrap_or(Mib(1)),
    };
    match contradiction(&sizes, boot) {
        Some(flaw) => Err(problems.add(flaw.at(&span))),
        None => Ok(sizes),
    }
}

fn mib(size: i64) -> Result<Mib, Flaw> {
    let fits = SIZES.contains(&size).then(|| u32::try_from(size).ok()).flatten();
    fits.map(Mib).ok_or_else(|| {
        let message = format!("{size} MiB can't be the size of a partition");
        Flaw::new(message, "out of range", format!("write MiB between 1 and {}", SIZES.end()))
    })
}

/// What is wrong with sizes that are each in range.
fn contradiction(sizes: &DiskSizes, boot: Option<&Boot>) -> Option<Flaw> {
    let grub = |boot: &Boot| boot.chain.contains(&BootChain::GrubBios);
    if boot.is_some_and(|boot| grub(boot) != sizes.bios.is_some()) {
        return Some(Flaw::new(
            "`disk.bios` and `boot.chain` disagree",
            "a BIOS boot partition belongs to `grub-bios`",
            "write `bios = 1` and `\"grub-bios\"`, or neither",
        ));
    }
    let first = sizes.start.bytes() / 512;
    let blobs = boot.map(|boot| boot.blobs.as_slice()).unwrap_or_default();
    if let Some(blob) = blobs.iter().find(|blob| blob.lba >= first) {
        return Some(Flaw::new(
            format!("the blob at sector {} is where the first partition starts", blob.lba),
            "`disk.start` is too small",
            format!("write `start = {}` or more", (blob.lba * 512).div_ceil(1 << 20) + 1),
        ));
    }
    if sizes.hybrid_mbr && sizes.bios.is_some() {
        return Some(Flaw::new(
            "`disk.hybrid_mbr` and `disk.bios` want the same sector",
            "GRUB's boot sector needs a plain one",
            "take one of them out",
        ));
    }
    if sizes.esp.0 < LEAST_ESP {
        return Some(Flaw::new(
            format!("an ESP of {} MiB is too small", sizes.esp.0),
            "too few clusters for FAT32",
            format!("write {LEAST_ESP} or more"),
        ));
    }
    let tree = hash_tree_bytes(sizes.root.bytes());
    if tree > sizes.verity.bytes() {
        let needed = tree.div_ceil(1 << 20);
        return Some(Flaw::new(
            format!("{} MiB can't hold the hash tree of {} MiB", sizes.verity.0, sizes.root.0),
            "`disk.verity` is too small for `disk.root`",
            format!("write `verity = {needed}` or more"),
        ));
    }
    None
}

/// Bytes of dm-verity's tree over a root of so many bytes, with its superblock: SHA-256, blocks of
/// 4096 bytes (kernel documentation, device-mapper/verity).
fn hash_tree_bytes(root: u64) -> u64 {
    let mut level = root.div_ceil(4096);
    let mut blocks = 1;
    while level > 1 {
        level = level.div_ceil(4096 / 32);
        blocks += level;
    }
    blocks * 4096
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_trees_have_the_size_that_veritysetup_gives_them() {
        // `veritysetup format` on files of these sizes, in blocks, the superblock included.
        for (root, blocks) in
            [(4096, 1), (8192, 2), (128 * 4096, 2), (129 * 4096, 4), (256 << 20, 518)]
        {
            assert_eq!(hash_tree_bytes(root), blocks * 4096, "{root}");
        }
    }
}
