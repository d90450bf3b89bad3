//! Compares the files of two boot partitions, and kernel images part by part.
//!
//! In: two FAT volumes. Out: differences. One file is in memory at a time.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::Sha256;

use super::{Aspect, Change, Difference, Group, Pair, Side, Unreadable, pair};
use crate::fat::Fat;
use crate::inspect::{BadDisk, MOST_BOOT_BYTES};
use crate::uki::Uki;

/// A boot file: its path, and its parts; a directory has none.
struct File {
    path: String,
    parts: BTreeMap<PartName, Piece>,
}

/// The parts of a kernel image, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PartName {
    /// All of a file that is no kernel image.
    Whole,
    Stub,
    CommandLine,
    Initrd,
    OsRelease,
    Release,
    Kernel,
}

/// A part of a boot file.
struct Piece {
    size: u64,
    digest: Sha256,
    /// What it says, where it is a line of text.
    text: Option<String>,
}

impl PartName {
    const fn what(self) -> &'static str {
        match self {
            Self::Whole => "content",
            Self::Stub => "stub",
            Self::CommandLine => "command line",
            Self::Initrd => "initrd",
            Self::OsRelease => "os-release",
            Self::Release => "release",
            Self::Kernel => "kernel",
        }
    }

    const fn group(self) -> Group {
        match self {
            Self::Release | Self::Kernel => Group::Kernel,
            Self::OsRelease => Group::Configuration,
            _ => Group::Boot,
        }
    }
}

pub(super) fn compare(sides: [Side<'_, '_>; 2]) -> Result<Vec<Difference>, Unreadable> {
    let [first, second] = sides;
    let mut differences = Vec::new();
    for pair in pair(files(first)?, files(second)?) {
        let alone =
            |file: File, change| Difference { group: Group::Boot, subject: file.path, change };
        match pair {
            Pair::First(file) => differences.push(alone(file, Change::OnlyFirst)),
            Pair::Second(file) => differences.push(alone(file, Change::OnlySecond)),
            Pair::Both(one, two) => differences.extend(both(&one, &two)),
        }
    }
    Ok(differences)
}

/// The files of a boot partition, by their neutral names.
fn files(side: Side<'_, '_>) -> Result<Vec<(String, File)>, Unreadable> {
    let failed = side.failed(|name, error| BadDisk::Boot { name, error });
    let esp = Fat::open(side.part()?).map_err(&failed)?;
    let mut files = Vec::new();
    for item in esp.items().map_err(&failed)? {
        let mut found = BTreeMap::new();
        if !item.directory {
            found = parts(&esp.read(&item, MOST_BOOT_BYTES).map_err(&failed)?);
        }
        let key = side.image.names.neutral(&item.path);
        files.push((key, File { path: item.path, parts: found }));
    }
    Ok(files)
}

/// A kernel image's parts, or the whole file.
fn parts(bytes: &[u8]) -> BTreeMap<PartName, Piece> {
    let bytes_of =
        |bytes: &[u8]| Piece { size: bytes.len() as u64, digest: Sha256::of(bytes), text: None };
    let Ok(uki) = Uki::parse(bytes) else {
        return BTreeMap::from([(PartName::Whole, bytes_of(bytes))]);
    };
    let line = |text: &str| Piece { text: Some(text.to_owned()), ..bytes_of(text.as_bytes()) };
    let mut parts = BTreeMap::from([
        (PartName::Stub, Piece { size: 0, digest: uki.stub, text: None }),
        (PartName::CommandLine, line(uki.command_line)),
        (PartName::Initrd, bytes_of(uki.initrd)),
        (PartName::Kernel, bytes_of(uki.kernel)),
    ]);
    parts.extend(uki.os_release.map(|text| (PartName::OsRelease, bytes_of(text.as_bytes()))));
    parts.extend(uki.uname.map(|text| (PartName::Release, line(text))));
    parts
}

/// One difference for each group that a file's parts belong to.
fn both(one: &File, two: &File) -> Vec<Difference> {
    let mut groups: BTreeMap<Group, Vec<Aspect>> = BTreeMap::new();
    let names: BTreeSet<_> = one.parts.keys().chain(two.parts.keys()).collect();
    for name in names {
        let aspect = match (one.parts.get(name), two.parts.get(name)) {
            (Some(one), Some(two)) => aspect(name.what(), one, two),
            // A part that only one file has, or a directory where the other has a file.
            (one, two) => Aspect::of(name.what(), is_there(one), is_there(two)),
        };
        if let Some(aspect) = aspect {
            groups.entry(name.group()).or_default().push(aspect);
        }
    }
    let difference = |(group, aspects)| Difference {
        group,
        subject: one.path.clone(),
        change: Change::Differs(aspects),
    };
    groups.into_iter().map(difference).collect()
}

fn aspect(what: &'static str, one: &Piece, two: &Piece) -> Option<Aspect> {
    if let (Some(one), Some(two)) = (&one.text, &two.text) {
        return Aspect::of(what, one, two);
    }
    Aspect::sized(what, [one.size, two.size], one.digest == two.digest)
}

const fn is_there(piece: Option<&Piece>) -> &'static str {
    if piece.is_some() { "there" } else { "missing" }
}
