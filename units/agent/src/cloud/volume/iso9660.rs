//! ISO 9660 with the names of Rock Ridge or Joliet, read only.
//!
//! In: a volume. Out: files. Formats: ECMA-119; IEEE P1282 (`NM`); Microsoft's *Joliet Specification*.

use std::io;

use super::{Files, LARGEST_DIRECTORY, bad, bytes, le, within};
use crate::seed_place::Volume;

/// Bytes of a sector, and where descriptors begin.
const SECTOR: u64 = 2048;
const FIRST_DESCRIPTOR: u64 = 16;
/// Descriptors that are looked at.
const MOST_DESCRIPTORS: u64 = 32;
/// Types of descriptors (ECMA-119, 8.1.1).
const PRIMARY: u8 = 1;
const SUPPLEMENTARY: u8 = 2;
const LAST: u8 = 255;
/// Escape sequences of Joliet's three levels, at byte 88.
const JOLIET: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];

/// An open volume.
pub(super) struct Iso<'a> {
    volume: &'a dyn Volume,
    label: String,
    /// Root directories: with Joliet's names first, since Rock Ridge is found on the way.
    roots: Vec<Root>,
}

/// A root directory.
struct Root {
    at: u64,
    length: u64,
    is_joliet: bool,
}

impl<'a> Iso<'a> {
    /// Opens a volume; `None` where it is no ISO 9660.
    pub(super) fn open(volume: &'a dyn Volume) -> io::Result<Option<Self>> {
        let (mut label, mut roots) = (None, Vec::new());
        for number in 0..MOST_DESCRIPTORS {
            let descriptor = bytes(volume, (FIRST_DESCRIPTOR + number) * SECTOR, SECTOR as usize)?;
            if descriptor[1..6] != *b"CD001" || descriptor[0] == LAST {
                break;
            }
            let is_joliet = descriptor[0] == SUPPLEMENTARY
                && JOLIET.iter().any(|escape| descriptor[88..].starts_with(escape));
            if descriptor[0] == PRIMARY {
                label = Some(String::from_utf8_lossy(&descriptor[40..72]).trim_end().to_owned());
            }
            if descriptor[0] == PRIMARY || is_joliet {
                // The record of the root directory: ECMA-119, 8.4.18.
                let record = &descriptor[156..190];
                let root = Root { at: le(record, 2, 4), length: le(record, 10, 4), is_joliet };
                roots.insert(if is_joliet { 0 } else { roots.len() }, root);
            }
        }
        Ok(label.map(|label| Self { volume, label, roots }))
    }

    /// The record of a name in a directory: where it is, its length, whether it is a directory.
    fn find(&self, root: &Root, directory: (u64, u64), name: &str) -> io::Result<Option<Found>> {
        let (at, length) = directory;
        let length = length.min(LARGEST_DIRECTORY) as usize;
        let listing = bytes(self.volume, at.saturating_mul(SECTOR), length)?;
        for sector in listing.chunks(SECTOR as usize) {
            let mut rest = sector;
            while let Some(record) = record(rest) {
                let known = if root.is_joliet { joliet(record) } else { plain(record) };
                if known.eq_ignore_ascii_case(name) {
                    let is_directory = record[25] & 2 != 0;
                    let (at, length) = (le(record, 2, 4), le(record, 10, 4));
                    return Ok(Some(Found { at, length, is_directory }));
                }
                rest = &rest[record.len()..];
            }
        }
        Ok(None)
    }

    fn read(&self, root: &Root, path: &str) -> io::Result<Option<Vec<u8>>> {
        let mut directory = (root.at, root.length);
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let Some(found) = self.find(root, directory, name)? else { return Ok(None) };
            match (names.peek(), found.is_directory) {
                (Some(_), true) => directory = (found.at, found.length),
                (None, false) => {
                    let length = within(found.length)?;
                    let at = found.at.saturating_mul(SECTOR);
                    let content = bytes(self.volume, at, length);
                    return content.map(Some).map_err(|_| bad("a file on it is cut off"));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// What a record says.
struct Found {
    at: u64,
    length: u64,
    is_directory: bool,
}

/// The first record: ECMA-119, 9.1. A length of zero ends those of a sector.
fn record(rest: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*rest.first()?);
    let record = rest.get(..length).filter(|_| length >= 34)?;
    (usize::from(record[32]) + 33 <= length).then_some(record)
}

fn identifier(record: &[u8]) -> &[u8] {
    &record[33..33 + usize::from(record[32])]
}

/// UCS-2, big-endian.
fn joliet(record: &[u8]) -> String {
    let pairs = identifier(record).chunks_exact(2);
    let units: Vec<u16> = pairs.map(|it| u16::from_be_bytes([it[0], it[1]])).collect();
    without_version(&String::from_utf16_lossy(&units)).to_owned()
}

/// Rock Ridge's name where there is one, else the identifier without version.
fn plain(record: &[u8]) -> String {
    let identifier = identifier(record);
    // The system use area begins at an even byte.
    let start = 33 + identifier.len() + (identifier.len() + 1) % 2;
    let mut rest = record.get(start..).unwrap_or_default();
    let mut name = Vec::new();
    while let Some(length) = rest.get(2).map(|length| usize::from(*length)) {
        let Some(entry) = rest.get(..length).filter(|_| length >= 4) else { break };
        // `NM`: five bytes, the last of which says whether it is `.` or `..`, and the name.
        if entry.starts_with(b"NM") && length > 5 && entry[4] & 6 == 0 {
            name.extend_from_slice(&entry[5..]);
        }
        rest = &rest[length..];
    }
    let name = if name.is_empty() { identifier } else { &name };
    without_version(&String::from_utf8_lossy(name)).to_owned()
}

fn without_version(name: &str) -> &str {
    name.split(';').next().unwrap_or_default().trim_end_matches('.')
}

impl Files for Iso<'_> {
    fn label(&self) -> &str {
        &self.label
    }

    fn file(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        for root in &self.roots {
            if let Some(content) = self.read(root, path)? {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }
}
