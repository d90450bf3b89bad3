//! Compares partition tables, and partitions that hold no files.

use std::io;

use mailkiln_bytes_at::ReadAt;
use mailkiln_pin::Sha256;
use sha2::Digest as _;

use super::{Aspect, Change, Difference, Group, Image, Side, Unreadable};
use crate::gpt::{SECTOR, kind};
use crate::guid::Guid;
use crate::inspect::BadDisk;

/// Bytes at the start of a disk that a BIOS runs: the boot code of an MBR (UEFI 2.10 §5.2.1).
const BOOT_CODE: usize = 440;

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// Compares the disks themselves.
pub(super) fn disk(first: &Image<'_>, second: &Image<'_>) -> Vec<Difference> {
    let (one, two) = (&first.inspection, &second.inspection);
    let aspects = [
        Aspect::of("size", one.size, two.size),
        Aspect::of("GUID", one.table.disk, two.table.disk),
    ];
    let mut differences: Vec<_> = differs("disk", aspects).into_iter().collect();
    let code = |image: &Image<'_>| image.disk.read_vec_at(0, BOOT_CODE).ok();
    if code(first) != code(second) {
        differences.push(other_bytes(Group::Boot, "boot sector"));
    }
    differences
}

/// A partition that one of the tables does not have.
pub(super) fn alone(image: &Image<'_>, place: usize, change: Change) -> Difference {
    let subject = image.inspection.table.partitions[place].name.clone();
    Difference { group: Group::Partitions, subject, change }
}

/// Compares what the tables say of a partition.
pub(super) fn partition(sides: [Side<'_, '_>; 2]) -> Option<Difference> {
    let [one, two] = sides.map(Side::partition);
    let kind = |guid: Guid| kind::name(guid).map_or_else(|| guid.to_string(), str::to_owned);
    let bytes = |sectors: u64| sectors.saturating_mul(SECTOR);
    let aspects = [
        Aspect::of("type", kind(one.kind), kind(two.kind)),
        Aspect::of("GUID", one.guid, two.guid),
        Aspect::of("start", bytes(one.start.0), bytes(two.start.0)),
        Aspect::of("size", bytes(one.sectors), bytes(two.sectors)),
        Aspect::of(
            "attributes",
            format_args!("{:#x}", one.attributes),
            format_args!("{:#x}", two.attributes),
        ),
    ];
    differs(&one.name, aspects)
}

/// Compares the bytes of partitions of the same size; other sizes are a difference already.
pub(super) fn bytes(sides: [Side<'_, '_>; 2]) -> Result<Option<Difference>, Unreadable> {
    let [one, two] = sides.map(Side::partition);
    if one.sectors != two.sectors {
        return Ok(None);
    }
    let digest = |side: Side<'_, '_>| {
        let failed = side.failed(|name, error| BadDisk::Partition { name, error });
        digest(&side.part()?).map_err(failed)
    };
    let same = digest(sides[0])? == digest(sides[1])?;
    let group = if one.kind == kind::BIOS_BOOT { Group::Boot } else { Group::Partitions };
    Ok((!same).then(|| other_bytes(group, &one.name)))
}

fn other_bytes(group: Group, subject: &str) -> Difference {
    let change = Change::Differs(vec![Aspect { what: "content", values: None }]);
    Difference { group, subject: subject.to_owned(), change }
}

fn digest(part: &impl ReadAt) -> io::Result<Sha256> {
    let mut hasher = sha2::Sha256::new();
    let mut at = 0;
    while at < part.size() {
        let length = (part.size() - at).min(PIECE);
        hasher.update(part.read_vec_at(at, length as usize)?);
        at += length;
    }
    Ok(Sha256::from_bytes(hasher.finalize().into()))
}

fn differs<const N: usize>(subject: &str, aspects: [Option<Aspect>; N]) -> Option<Difference> {
    let aspects: Vec<_> = aspects.into_iter().flatten().collect();
    (!aspects.is_empty()).then(|| Difference {
        group: Group::Partitions,
        subject: subject.to_owned(),
        change: Change::Differs(aspects),
    })
}
