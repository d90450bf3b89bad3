//! Disc images: ISO 9660 (ECMA-119) with Joliet's names and those of Rock Ridge (NM).
//!
//! Written here: no kept crate reads them without a seekable device and trust in every extent.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::Class;
use crate::walk::{Walk, Within};

const SECTOR: usize = 2048;
const FIRST_DESCRIPTOR: usize = 16;
const DIRECTORY: u8 = 2;
const DEEPEST: u32 = 16;

/// Every name of every file, by where its bytes are.
type Files = BTreeMap<(usize, usize), Vec<String>>;

/// Hands every file of every tree to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut tree = Tree { data, files: Files::new(), seen: BTreeSet::new(), is_broken: false };
    let most = usize::try_from(walk.budget.limits.entries).unwrap_or(usize::MAX);
    for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + 32 {
        let Some(descriptor) = data.get(sector * SECTOR..(sector + 1) * SECTOR) else { break };
        if descriptor.get(1..6) != Some(b"CD001") {
            continue;
        }
        // 1 is the primary tree; 2 is another, Joliet's if its escape sequence says UCS-2.
        let is_joliet = match descriptor.first() {
            Some(1) => false,
            Some(2) => descriptor.get(88..90) == Some(b"%/"),
            _ => continue,
        };
        if let Some((at, length, _)) = descriptor.get(156..190).and_then(extent) {
            tree.directory(at, length, is_joliet, "", 0, most);
        }
    }
    if tree.is_broken {
        walk.find(Class::Ambiguous, "a directory of the disc image is broken");
    }
    // Windows shows the UDF tree where there is one, and it need not be the same.
    let is_udf = (FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + 64).any(|sector| {
        let at = sector * SECTOR;
        matches!(data.get(at + 1..at + 6), Some(b"NSR02" | b"NSR03"))
    });
    if is_udf {
        walk.find(Class::Ambiguous, "a UDF file system is in it, which can't be opened here");
    } else if tree.files.is_empty() && memchr::memmem::find(data, b"BEA01").is_some() {
        walk.find(Class::Opaque, "a disc image that can't be opened here");
    }
    for ((start, length), names) in tree.files {
        if walk.is_over() {
            return;
        }
        let end = start.saturating_add(length);
        let (content, is_short) = match data.get(start..end) {
            Some(content) => (content, false),
            None => (data.get(start..).unwrap_or_default(), true),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if is_short {
            walk.find_in(
                names.first().copied().unwrap_or_default(),
                Class::Damaged,
                "it ends behind the end of the image",
            );
        }
        walk.thing(&names, content, Within::Files);
    }
}

struct Tree<'a> {
    data: &'a [u8],
    files: Files,
    seen: BTreeSet<(usize, bool)>,
    is_broken: bool,
}

impl Tree<'_> {
    fn directory(
        &mut self,
        at: usize,
        length: usize,
        is_joliet: bool,
        path: &str,
        depth: u32,
        most: usize,
    ) {
        if depth > DEEPEST || !self.seen.insert((at, is_joliet)) || self.files.len() > most {
            return;
        }
        let data = self.data;
        let Some(records) = data.get(at..at.saturating_add(length)) else {
            self.is_broken = true;
            return;
        };
        for sector in records.chunks(SECTOR) {
            let mut rest = sector;
            while let Some((length, _)) = rest.split_first().filter(|(length, _)| **length > 0) {
                let Some(record) =
                    rest.get(..usize::from(*length)).filter(|record| record.len() > 33)
                else {
                    self.is_broken = true;
                    break;
                };
                rest = rest.get(usize::from(*length)..).unwrap_or_default();
                self.record(record, is_joliet, path, depth, most);
            }
        }
    }

    fn record(&mut self, record: &[u8], is_joliet: bool, path: &str, depth: u32, most: usize) {
        let Some((at, length, flags)) = extent(record) else { return };
        let name_length = usize::from(record.get(32).copied().unwrap_or_default());
        let Some(raw) = record.get(33..33 + name_length) else { return };
        if matches!(raw, [0] | [1]) {
            return;
        }
        let system_use =
            record.get(33 + name_length + usize::from(name_length % 2 == 0)..).unwrap_or_default();
        let own = plain(raw, is_joliet);
        let name = rock_ridge(system_use).unwrap_or_else(|| own.clone());
        if name != own && flags & DIRECTORY == 0 {
            let names = self.files.entry((at, length)).or_default();
            let own = format!("{path}{own}");
            if names.len() < 1000 && !names.contains(&own) {
                names.push(own);
            }
        }
        let path = format!("{path}{name}");
        if flags & DIRECTORY != 0 {
            return self.directory(at, length, is_joliet, &format!("{path}/"), depth + 1, most);
        }
        let names = self.files.entry((at, length)).or_default();
        if names.len() < 1000 && !names.contains(&path) {
            names.push(path);
        }
    }
}

/// Offset and length in bytes, and the flags, of a directory record (ECMA-119, 9.1).
fn extent(record: &[u8]) -> Option<(usize, usize, u8)> {
    let number = |at: usize| record.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let at = usize::try_from(number(2)?).ok()?.checked_mul(SECTOR)?;
    Some((at, usize::try_from(number(10)?).ok()?, *record.get(25)?))
}

fn plain(raw: &[u8], is_joliet: bool) -> String {
    let name = match is_joliet {
        true => {
            let units =
                raw.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(u16::from_be_bytes);
            char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect()
        }
        false => String::from_utf8_lossy(raw).into_owned(),
    };
    // The version number that nobody sees.
    name.split(';').next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// The name in the field NM (RRIP, 4.1.4).
fn rock_ridge(mut fields: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    while let [a, b, length, _, ..] = fields {
        let field = fields.get(..usize::from(*length)).filter(|field| field.len() >= 4)?;
        if (*a, *b) == (b'N', b'M') {
            name.extend_from_slice(field.get(5..)?);
        }
        fields = fields.get(field.len()..).unwrap_or_default();
    }
    (!name.is_empty()).then(|| String::from_utf8_lossy(&name).into_owned())
}
