//! Windows cabinets.

use super::Timed;
use crate::limits::Stop;
use crate::report::Class;
use crate::walk::{Walk, Within};

/// Hands every file to the walk, wherever in `data` the cabinet begins.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let data = data.get(crate::kind::Kind::cabinet(data).unwrap_or(0)..).unwrap_or_default();
    if is_sound(data) != Some(true) {
        return walk.find(Class::Ambiguous, "sizes in the cabinet contradict each other");
    }
    let size = data.len() as u64;
    let mut data = data.to_vec();
    let most = usize::try_from(walk.budget.limits.entries).unwrap_or(usize::MAX);
    let Some(names) = renamed(&mut data, most) else {
        return walk
            .find(Class::Ambiguous, "names of members repeat, and not all can be told apart");
    };
    // Reserved: programs ignore them, the crate doesn't ([MS-CAB] 2.1).
    for reserved in [4..8, 12..16, 20..24] {
        data.get_mut(reserved).unwrap_or_default().fill(0);
    }
    let source = Timed::new(&data, walk.budget.deadline);
    let mut cabinet = match cab::Cabinet::new(source) {
        Ok(cabinet) => cabinet,
        Err(error) => return walk.stopped(Some(Stop::Unseen(error.to_string()))),
    };
    for (name, shown) in names {
        if walk.is_over() {
            return;
        }
        let (content, stop) = match cabinet.read_file(&name) {
            Ok(reader) => walk.budget.unpack(reader, size),
            Err(error) => (Vec::new(), Some(Stop::Unseen(error.to_string()))),
        };
        walk.member(&[&shown], &content, stop, Within::Files);
    }
}

/// The crate finds a member by its name alone, so that the second of a name would never be read:
/// repeated names are written over with numbers of the same length. Each name in the file as it
/// is now, and as it was; nothing if there are more members of a short name than numbers.
fn renamed(data: &mut [u8], most: usize) -> Option<Vec<(String, String)>> {
    let files = usize::from(u16_at(data, 28)?);
    let mut at = usize::try_from(u32_at(data, 16)?).ok()?;
    let mut names: Vec<(String, String)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut number = 0usize;
    for _ in 0..files.min(most.saturating_add(1)) {
        let start = at + 16;
        let length = memchr::memchr(0, data.get(start..)?)?;
        let shown = String::from_utf8_lossy(data.get(start..start + length)?).into_owned();
        let place = data.get_mut(start..start + length)?;
        let is_plain = place.is_ascii();
        while !is_plain && number == 0 || !seen.insert(place.to_vec()) || !place.is_ascii() {
            number += 1;
            let digits = format!("{number:0length$}");
            if digits.len() != length || length == 0 {
                return None;
            }
            place.copy_from_slice(digits.as_bytes());
        }
        names.push((String::from_utf8_lossy(place).into_owned(), shown));
        at = start + length + 1;
    }
    Some(names)
}

/// Whether every file begins inside of its folder's data, and what is stored has the size that
/// its block names: the crate's reader panics where that is not so. Fields as in [MS-CAB] 2.1 to
/// 2.4; nothing if the headers end too early.
fn is_sound(data: &[u8]) -> Option<bool> {
    const HAS_PREVIOUS: u16 = 1;
    const HAS_NEXT: u16 = 2;
    const HAS_RESERVE: u16 = 4;
    const COMPRESSION: u16 = 0x000f;
    let (folders, files, flags) = (u16_at(data, 26)?, u16_at(data, 28)?, u16_at(data, 30)?);
    let (mut at, mut per_folder, mut per_block) = (36, 0, 0);
    if flags & HAS_RESERVE != 0 {
        per_folder = usize::from(*data.get(38)?);
        per_block = usize::from(*data.get(39)?);
        at = 40 + usize::from(u16_at(data, 36)?);
    }
    let names = [HAS_PREVIOUS, HAS_NEXT].iter().filter(|flag| flags & **flag != 0).count() * 2;
    for _ in 0..names {
        at += memchr::memchr(0, data.get(at..)?)? + 1;
    }
    let mut sizes = Vec::new();
    // Folders may claim the same blocks, but not more of them than fit.
    let mut left = data.len() / 8;
    for _ in 0..folders {
        let mut block = usize::try_from(u32_at(data, at)?).ok()?;
        let mut size = 0u64;
        let is_stored = u16_at(data, at + 6)? & COMPRESSION == 0;
        for _ in 0..u16_at(data, at + 4)? {
            left = left.checked_sub(1)?;
            let packed = u16_at(data, block.checked_add(4)?)?;
            let unpacked = u16_at(data, block + 6)?;
            if is_stored && packed != unpacked {
                return Some(false);
            }
            size += u64::from(unpacked);
            block = block + 8 + per_block + usize::from(packed);
        }
        sizes.push(size);
        at += 8 + per_folder;
    }
    at = usize::try_from(u32_at(data, 16)?).ok()?;
    for _ in 0..files {
        let offset = u64::from(u32_at(data, at.checked_add(4)?)?);
        let folder = usize::from(u16_at(data, at + 8)?);
        if sizes.get(folder).is_some_and(|size| offset > *size) {
            return Some(false);
        }
        at += 16 + memchr::memchr(0, data.get(at + 16..)?)? + 1;
    }
    Some(true)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}
