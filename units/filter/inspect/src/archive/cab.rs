//! Windows cabinets.

use super::Timed;
use crate::limits::Stop;
use crate::report::Class;
use crate::walk::{Walk, Within};

/// Hands every file to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    if is_sound(data) != Some(true) {
        return walk.find(Class::Damaged, "sizes in the cabinet contradict each other");
    }
    let size = data.len() as u64;
    let source = Timed::new(data, walk.budget.deadline);
    let mut cabinet = match cab::Cabinet::new(source) {
        Ok(cabinet) => cabinet,
        Err(error) => return walk.stopped(Some(Stop::Damaged(error.to_string()))),
    };
    let names: Vec<String> = cabinet
        .folder_entries()
        .flat_map(|folder| folder.file_entries())
        .take(usize::try_from(walk.budget.limits.entries).unwrap_or(usize::MAX).saturating_add(1))
        .map(|file| file.name().to_owned())
        .collect();
    for name in names {
        if walk.is_over() {
            return;
        }
        let (content, stop) = match cabinet.read_file(&name) {
            Ok(reader) => walk.budget.unpack(reader, size),
            Err(error) => (Vec::new(), Some(Stop::Damaged(error.to_string()))),
        };
        walk.member(&[&name], &content, stop, Within::Files);
    }
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
