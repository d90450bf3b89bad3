//! Tar, in all its dialects (POSIX.1-2024 pax; GNU tar's manual, "Basic Tar Format").
//!
//! Written here because a library settles on one name, one size and one end, and programs do not
//! agree on which: every name that one of them would take counts, and what follows a broken
//! header is searched for.

use crate::limits::Stop;
use crate::report::Class;
use crate::walk::{Walk, Within};

const BLOCK: usize = 512;

/// What the headers before a member say about it.
#[derive(Debug, Default)]
struct Ahead {
    names: Vec<String>,
    size: Option<u64>,
}

/// Hands every member to the walk; links and devices count by their name.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut at = 0usize;
    let mut ahead = Ahead::default();
    let mut global = Ahead::default();
    let mut is_broken = false;
    while let Some(header) = data.get(at..at.saturating_add(BLOCK)) {
        if walk.is_over() {
            return;
        }
        at += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        if !is_header(header) {
            is_broken = true;
            continue;
        }
        let size = number(header.get(124..136).unwrap_or_default());
        let kind = header.get(156).copied().unwrap_or_default();
        match kind {
            b'x' | b'X' | b'g' | b'L' | b'K' => {
                let text = body(data, at, size);
                match kind {
                    b'x' | b'X' => pax(text, &mut ahead),
                    b'g' => pax(text, &mut global),
                    b'L' => ahead.names.push(string(text)),
                    _ => {}
                }
                at = after(at, size);
            }
            _ => {
                let ahead = std::mem::take(&mut ahead);
                at = member(walk, data, at, header, size, &ahead, &global);
            }
        }
    }
    if is_broken {
        walk.find(
            Class::Ambiguous,
            "a header of the archive is broken, and programs go on after it",
        );
    }
}

fn member(
    walk: &mut Walk<'_>,
    data: &[u8],
    mut at: usize,
    header: &[u8],
    size: u64,
    ahead: &Ahead,
    global: &Ahead,
) -> usize {
    let kind = header.get(156).copied().unwrap_or_default();
    let short = string(header.get(..100).unwrap_or_default());
    let prefix = string(header.get(345..500).unwrap_or_default());
    let mut names: Vec<String> = ahead.names.iter().chain(&global.names).cloned().collect();
    if !prefix.is_empty() && header.get(257..262) == Some(b"ustar") {
        names.push(format!("{prefix}/{short}"));
    }
    names.push(short);
    names.retain(|name| !name.is_empty());
    names.dedup();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Old sparse files have more headers before their data.
    if kind == b'S' {
        let mut more = header.get(482) == Some(&1);
        while more {
            more = data.get(at + 504) == Some(&1);
            at += BLOCK;
        }
    }
    let stated = ahead.size.or(global.size);
    let sizes = [Some(size), stated.filter(|it| *it != size)];
    if sizes[1].is_some() && size != 0 {
        let first = names.first().copied().unwrap_or_default();
        walk.find_in(first, Class::Ambiguous, "its two sizes differ");
    }
    let largest = sizes.iter().flatten().copied().max().unwrap_or(size);
    let content = body(data, at, largest);
    if matches!(kind, b'1'..=b'6') && content.is_empty() {
        if kind != b'5' {
            names.iter().for_each(|name| walk.only_named(name));
        }
        return at;
    }
    let is_short = (content.len() as u64) < largest;
    let stop = is_short.then(|| Stop::Damaged("the archive ends in the middle of it".to_owned()));
    walk.member(&names, content, stop, Within::Files);
    // Whatever the other size leaves in front is read as headers, too.
    after(
        at,
        stated.map_or(size, |stated| stated.min(size.max(if size == 0 { stated } else { 0 }))),
    )
}

fn body(data: &[u8], at: usize, size: u64) -> &[u8] {
    let rest = data.get(at..).unwrap_or_default();
    rest.get(..usize::try_from(size).unwrap_or(usize::MAX)).unwrap_or(rest)
}

fn after(at: usize, size: u64) -> usize {
    let blocks = size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64);
    at.saturating_add(usize::try_from(blocks).unwrap_or(usize::MAX))
}

/// The checksum counts bytes as unsigned; old tars took them as signed, and readers take both.
pub(crate) fn is_header(header: &[u8]) -> bool {
    let field = header.get(148..156).unwrap_or_default();
    let stated = i64::try_from(number(field)).unwrap_or(-1);
    let sum = |value: fn(u8) -> i64| -> i64 {
        let all: i64 = header.iter().map(|byte| value(*byte)).sum();
        all - field.iter().map(|byte| value(*byte)).sum::<i64>() + 8 * i64::from(b' ')
    };
    stated == sum(i64::from) || stated == sum(|byte| i64::from(byte.cast_signed()))
}

/// Octal digits between blanks, or GNU's base 256.
fn number(field: &[u8]) -> u64 {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        let bytes = field.iter().enumerate();
        return bytes.fold(0u64, |value, (index, byte)| {
            value.wrapping_shl(8) | u64::from(if index == 0 { byte & 0x7f } else { *byte })
        });
    }
    let digits = field.iter().skip_while(|byte| matches!(byte, b' ' | 0));
    digits
        .take_while(|byte| (b'0'..=b'7').contains(byte))
        .fold(0u64, |value, byte| value.wrapping_shl(3) | u64::from(byte - b'0'))
}

/// Records of `LENGTH KEY=VALUE`: every path counts, not the last alone.
fn pax(mut text: &[u8], into: &mut Ahead) {
    while let Some(space) = memchr::memchr(b' ', text) {
        let digits = std::str::from_utf8(text.get(..space).unwrap_or_default()).unwrap_or_default();
        let Ok(length) = digits.trim().parse::<usize>() else { return };
        let Some(record) = text.get(space + 1..length) else { return };
        text = text.get(length..).unwrap_or_default();
        let Some(equals) = memchr::memchr(b'=', record) else { continue };
        let (key, value) = record.split_at(equals);
        let value = string(value.get(1..).unwrap_or_default().trim_ascii_end());
        match key {
            b"path" | b"GNU.sparse.name" | b"LIBARCHIVE.path" => into.names.push(value),
            b"size" => into.size = value.parse().ok(),
            _ => {}
        }
    }
}

fn string(bytes: &[u8]) -> String {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}
