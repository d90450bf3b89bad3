//! Sizes in bytes, as people write them.
//!
//! In: `5 GiB`, `500 MB`, `1073741824`. Out: bytes; and bytes as people read them.

use std::ops::RangeInclusive;

use crate::problem::{Flaw, shown};

/// Units with their bytes, in the order in which a message lists them. Binary ones double for the
/// everyday short forms; decimal ones are what disks are sold by (IEC 80000-13).
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Bytes out of a whole number and a unit, with or without a space between. Case does not matter.
pub(crate) fn parse(text: &str) -> Result<u64, Flaw> {
    let flaw = |label: &str| {
        let message = format!("`{}` is not a size", shown(text));
        Flaw::new(message, label, "write it like `5 GiB`, `500 MB` or as a number of bytes")
    };
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() {
        return Err(flaw("it does not start with a whole number"));
    }
    let unit = unit.trim_start();
    let bytes = match UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
        Some((_, bytes)) => *bytes,
        None if unit.is_empty() => 1,
        None if unit.starts_with(['.', ',']) => return Err(flaw("it is not a whole number")),
        None => return Err(flaw("the unit is none of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB")),
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(bytes));
    size.ok_or_else(|| flaw("it is too large"))
}

/// The size, if it is within `range`; `what` names it: "a quota".
pub(crate) fn within(size: u64, range: RangeInclusive<u64>, what: &str) -> Result<u64, Flaw> {
    if range.contains(&size) {
        return Ok(size);
    }
    let label = if size < *range.start() { "too small" } else { "too large" };
    let help =
        format!("{what} is between {} and {}", display(*range.start()), display(*range.end()));
    Err(Flaw::new(format!("{} is {label} for {what}", display(size)), label, help))
}

/// A size in the largest binary unit that keeps it whole: `5 GiB`, `1500 B`.
pub fn display(bytes: u64) -> String {
    let units = UNITS.iter().take(5).rev();
    let whole = |&&(_, unit): &&(&str, u64)| bytes >= unit && bytes.is_multiple_of(unit);
    let (name, unit) = units.into_iter().find(whole).copied().unwrap_or(("B", 1));
    format!("{} {name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("5 GiB", 5 << 30),
            ("5GiB", 5 << 30),
            (" 500 mb ", 500_000_000),
            ("1 TB", 1_000_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "does not start"),
            ("-1", "does not start"),
            ("GiB", "does not start"),
            ("1.5 GiB", "not a whole number"),
            ("1,5 GiB", "not a whole number"),
            ("5 GiBi", "unit"),
            ("5 potatoes", "unit"),
            ("18446744073709551616", "too large"),
            ("99999999 TiB", "too large"),
        ] {
            assert!(parse(text).unwrap_err().label.contains(reason), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_whole() {
        for (bytes, text) in [
            (0, "0 B"),
            (1500, "1500 B"),
            (1 << 20, "1 MiB"),
            (3 << 29, "1536 MiB"),
            (1 << 40, "1 TiB"),
        ] {
            assert_eq!(display(bytes), text);
        }
        assert!(within(5, 1..=4, "it").is_err());
        assert_eq!(within(4, 1..=4, "it"), Ok(4));
    }
}
