//! Compares two root file systems, file by file.
//!
//! In: two trees. Out: differences in kind, mode, owner, target and content. Of time stamps only the
//! root's is compared: an image has one for all. Contents are read only where lengths are the same.

use mailkiln_pin::Sha256;
use mailkiln_squashfs::{BadSquashfs, FileKind, Item, Squashfs};
use sha2::Digest as _;

use super::{Aspect, Change, Difference, Group, Pair, Side, Unreadable, pair};
use crate::inspect::{BadDisk, Part, Root};

/// First bytes of machine code (System V ABI, "ELF Header").
const ELF: &[u8] = b"\x7fELF";

pub(super) fn compare(
    sides: [Side<'_, '_>; 2],
    roots: [&Root<'_>; 2],
) -> Result<Vec<Difference>, Unreadable> {
    let trees = [0, 1].map(|at| Tree { side: sides[at], files: &roots[at].files });
    let mut differences = Vec::new();
    for pair in pair(trees[0].items(), trees[1].items()) {
        match pair {
            Pair::First(item) => differences.push(trees[0].alone(item, Change::OnlyFirst)?),
            Pair::Second(item) => differences.push(trees[1].alone(item, Change::OnlySecond)?),
            Pair::Both(one, two) => differences.extend(both(&trees, [one, two])?),
        }
    }
    Ok(differences)
}

/// One of the two trees.
struct Tree<'t> {
    side: Side<'t, 't>,
    files: &'t Squashfs<Part<'t>>,
}

impl<'t> Tree<'t> {
    /// Everything in it, by neutral names.
    fn items(&self) -> impl Iterator<Item = (String, &'t Item)> {
        let names = &self.side.image.names;
        self.files.items().iter().map(|item| (names.neutral(item.path.as_str()), item))
    }

    fn neutral(&self, text: &str) -> String {
        self.side.image.names.neutral(text)
    }

    fn alone(&self, item: &Item, change: Change) -> Result<Difference, Unreadable> {
        let group = Group::of(&item.path, self.found(item)?);
        Ok(Difference { group, subject: item.path.to_string(), change })
    }

    /// What its content tells of its group; of what has none, its name and where it leads.
    fn found(&self, item: &Item) -> Result<Option<Group>, Unreadable> {
        let names = &self.side.image.names;
        match &item.kind {
            FileKind::File(_) if self.is_machine_code(item)? => Ok(Some(Group::MachineCode)),
            FileKind::File(_) => {
                Ok(names.group(item.path.as_str()).filter(|group| *group == Group::Kernel))
            }
            FileKind::Symlink(target) => {
                Ok(names.group(item.path.as_str()).or_else(|| names.group(target)))
            }
            _ => Ok(names.group(item.path.as_str())),
        }
    }

    fn is_machine_code(&self, item: &Item) -> Result<bool, Unreadable> {
        let mut is_elf = false;
        self.each_piece(item, &mut |piece| {
            is_elf = piece.starts_with(ELF);
            false
        })?;
        Ok(is_elf)
    }

    fn digest(&self, item: &Item) -> Result<Sha256, Unreadable> {
        let mut hasher = sha2::Sha256::new();
        self.each_piece(item, &mut |piece| {
            hasher.update(piece);
            true
        })?;
        Ok(Sha256::from_bytes(hasher.finalize().into()))
    }

    fn each_piece(
        &self,
        item: &Item,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), Unreadable> {
        let failed = self.side.failed(|name, error: BadSquashfs| BadDisk::Root { name, error });
        self.files.each_piece(item, take).map_err(failed)
    }
}

fn both(trees: &[Tree<'_>; 2], items: [&Item; 2]) -> Result<Option<Difference>, Unreadable> {
    let [one, two] = items;
    let mut aspects: Vec<_> = [
        Aspect::of("name", one.path.name(), two.path.name()),
        Aspect::of("mode", format_args!("{:04o}", one.mode), format_args!("{:04o}", two.mode)),
        Aspect::of(
            "owner",
            format_args!("{}:{}", one.uid, one.gid),
            format_args!("{}:{}", two.uid, two.gid),
        ),
        Aspect::of("type", kind(one), kind(two)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if one.path.as_str().is_empty() {
        aspects.extend(Aspect::of("time", one.mtime, two.mtime));
    }
    match (&one.kind, &two.kind) {
        (FileKind::Symlink(first), FileKind::Symlink(second))
            if trees[0].neutral(first) != trees[1].neutral(second) =>
        {
            aspects.extend(Aspect::of("target", first, second));
        }
        (FileKind::File(first), FileKind::File(second)) => {
            let same =
                first.size == second.size && trees[0].digest(one)? == trees[1].digest(two)?;
            aspects.extend(Aspect::sized("content", [first.size, second.size], same));
        }
        _ => {}
    }
    if aspects.is_empty() {
        return Ok(None);
    }
    // A script in place of a program is more than other machine code.
    let (first, second) = (trees[0].found(one)?, trees[1].found(two)?);
    let group = Group::of(&one.path, first.filter(|_| first == second));
    let subject = one.path.to_string();
    Ok(Some(Difference { group, subject, change: Change::Differs(aspects) }))
}

const fn kind(item: &Item) -> &'static str {
    match item.kind {
        FileKind::Directory => "directory",
        FileKind::File(_) => "file",
        FileKind::Symlink(_) => "symlink",
        FileKind::Special(_) => "special",
    }
}
