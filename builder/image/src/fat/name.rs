//! Names in a FAT directory: eleven upper-case bytes, and in front of them the long form.
//!
//! In: a name of up to 255 UTF-16 units. Out: its directory entries; or the name back from them.

use super::{ENTRY, attribute};

/// UTF-16 units that one long-name entry holds, and where they stand in it.
const UNITS: usize = 13;
const UNIT_PLACES: [usize; UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// Marks the entry that holds the end of a long name, which comes first on disk.
const LAST: u8 = 0x40;

/// Most entries that a long name can have (255 units).
const MOST_ENTRIES: usize = 20;

/// A short name as directories store it: eight bytes and three, padded with spaces.
pub(super) type Short = [u8; 11];

/// The short form of `name` if it can be written so without loss: upper-case 8.3.
pub(super) fn exact_short(name: &str) -> Option<Short> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let fits = |part: &str, most: usize| part.len() <= most && part.bytes().all(is_short_byte);
    let whole = !base.is_empty() && (!extension.is_empty() || !name.contains('.'));
    (whole && fits(base, 8) && fits(extension, 3))
        .then(|| pad(base.as_bytes(), extension.as_bytes()))
}

/// The short form of a name that needs a long one: the name itself where only its case is lost
/// (firmware that knows short names alone looks for `BOOTCODE.BIN`), else one like `LONGNA~1.EXT`,
/// numbered so that it is not one of `taken`.
pub(super) fn alias(name: &str, taken: &[Short]) -> Option<Short> {
    let same = exact_short(&name.to_ascii_uppercase()).filter(|short| !taken.contains(short));
    if same.is_some() {
        return same;
    }
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let clean = |part: &str, most: usize| -> Vec<u8> {
        part.bytes()
            .map(|byte| byte.to_ascii_uppercase())
            .filter(|&b| is_short_byte(b))
            .take(most)
            .collect()
    };
    let (base, extension) = (clean(base, 8), clean(extension, 3));
    (1..1_000_000_u32).find_map(|number| {
        let tail = format!("~{number}");
        let kept = base.len().min(8 - tail.len());
        let short = pad(&[&base[..kept], tail.as_bytes()].concat(), &extension);
        (!taken.contains(&short)).then_some(short)
    })
}

fn is_short_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"$%'-_@~`!(){}^#&".contains(&byte)
}

fn pad(base: &[u8], extension: &[u8]) -> Short {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base);
    short[8..8 + extension.len()].copy_from_slice(extension);
    short
}

/// Whether a long name can hold `name` at all.
pub(super) fn is_storable(name: &str) -> bool {
    let units = name.encode_utf16().count();
    (1..=255).contains(&units)
        && !name.ends_with(['.', ' '])
        && !name.chars().any(|c| c.is_control() || "\"*/:<>?\\|".contains(c))
}

/// The long-name entries of `name`, in the order they stand in front of the short entry.
pub(super) fn long_entries(name: &str, short: &Short) -> Vec<[u8; ENTRY]> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    if !units.len().is_multiple_of(UNITS) {
        units.push(0);
    }
    units.resize(units.len().next_multiple_of(UNITS), 0xffff);
    let pieces = units.len() / UNITS;
    let checksum = checksum(short);
    units
        .chunks(UNITS)
        .enumerate()
        .map(|(at, piece)| {
            let mut entry = [0; ENTRY];
            let last = if at + 1 == pieces { LAST } else { 0 };
            entry[0] = (at + 1) as u8 | last;
            entry[11] = attribute::LONG_NAME;
            entry[13] = checksum;
            for (place, unit) in UNIT_PLACES.iter().zip(piece) {
                entry[*place..place + 2].copy_from_slice(&unit.to_le_bytes());
            }
            entry
        })
        .rev()
        .collect()
}

/// Collects long-name entries while a directory is read.
#[derive(Debug, Default)]
pub(super) struct LongName {
    /// Units by entry, the last entry first, as they come.
    pieces: Vec<[u16; UNITS]>,
    /// Number that the next entry must have; 0 when the name is complete.
    next: u8,
    checksum: u8,
}

impl LongName {
    /// Takes a long-name entry; one that does not continue the name starts over.
    pub(super) fn push(&mut self, entry: &[u8; ENTRY]) {
        let number = entry[0] & !LAST;
        if entry[0] & LAST != 0 && (1..=MOST_ENTRIES).contains(&usize::from(number)) {
            *self = Self { pieces: Vec::new(), next: number, checksum: entry[13] };
        } else if number == 0 || number != self.next || entry[13] != self.checksum {
            *self = Self::default();
            return;
        }
        self.pieces.push(UNIT_PLACES.map(|at| u16::from_le_bytes([entry[at], entry[at + 1]])));
        self.next -= 1;
    }

    /// The name that stands before `short`: the long one if it is whole, else the short one.
    pub(super) fn finish(&mut self, short: &Short) -> String {
        let Self { pieces, next, checksum: sum } = std::mem::take(self);
        if pieces.is_empty() || next != 0 || sum != checksum(short) {
            return display(short);
        }
        let units: Vec<u16> =
            pieces.into_iter().rev().flatten().take_while(|&unit| unit != 0).collect();
        String::from_utf16_lossy(&units)
    }
}

fn display(short: &Short) -> String {
    let text = |part: &[u8]| String::from_utf8_lossy(part).trim_end_matches(' ').to_owned();
    let (base, extension) = (text(&short[..8]), text(&short[8..]));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

/// The sum that ties a long name to its short one (specification, "ChkSum").
fn checksum(short: &Short) -> u8 {
    short.iter().fold(0_u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_the_shortest_form_that_keeps_them() {
        let cases = [
            ("BOOTX64.EFI", Some(b"BOOTX64 EFI")),
            ("EFI", Some(b"EFI        ")),
            ("kiln", None),
            ("NINELONG9", None),
            ("A.LONG", None),
            (".HIDDEN", None),
            ("TRAIL.", None),
            ("TWO.DOT.S", None),
        ];
        for (name, short) in cases {
            assert_eq!(exact_short(name).as_ref(), short, "{name}");
        }
    }

    #[test]
    fn aliases_differ() {
        let mut taken = Vec::new();
        for name in ["grub.cfg", "grub.CFG", "a very long name.text", "a very long nose.text", "ä"]
        {
            let short = alias(name, &taken).unwrap();
            taken.push(short);
        }
        let shown: Vec<_> = taken.iter().map(display).collect();
        assert_eq!(shown, ["GRUB.CFG", "GRUB~1.CFG", "AVERYL~1.TEX", "AVERYL~2.TEX", "~1"]);
    }

    #[test]
    fn long_names_come_back() {
        for name in ["kiln", "exactly13unit", "fourteen units", "ä😀", &"x".repeat(255)] {
            let short = alias(name, &[]).unwrap();
            let mut long = LongName::default();
            for entry in long_entries(name, &short) {
                long.push(&entry);
            }
            assert_eq!(long.finish(&short), name);
            assert_eq!(long.finish(&short), display(&short), "a name is used once");
        }
    }
}
