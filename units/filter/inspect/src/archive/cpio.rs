//! cpio (POSIX.1-1988, and SVR4's `newc`) and ar: members one after another, stored.

use crate::limits::Stop;
use crate::report::Class;
use crate::walk::{Walk, Within};

/// Names longer than this are no names.
const LONGEST_NAME: usize = 4096;

struct Member<'d> {
    name: String,
    content: &'d [u8],
    is_whole: bool,
    next: usize,
}

/// Hands every member of a cpio archive to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut at = 0;
    while let Some(member) = member(data, at) {
        if walk.is_over() {
            return;
        }
        at = member.next;
        if member.name == "TRAILER!!!" {
            break;
        }
        if member.content.is_empty() {
            walk.only_named(&member.name);
        } else {
            hand(walk, &[&member.name], member.content, member.is_whole);
        }
    }
    // Blocks are filled with zeros; anything else may be another archive's beginning.
    let rest = data.get(at..).unwrap_or_default();
    if rest.iter().any(|byte| *byte != 0) {
        walk.find(Class::Ambiguous, "something follows the end of the archive");
    }
}

fn hand(walk: &mut Walk<'_>, names: &[&str], content: &[u8], is_whole: bool) {
    let stop = (!is_whole).then(|| Stop::Damaged("the archive ends in the middle of it".into()));
    walk.member(names, content, stop, Within::Files);
}

fn member(data: &[u8], at: usize) -> Option<Member<'_>> {
    let rest = data.get(at..)?;
    let text = |from: usize, to: usize, radix: u32| {
        let digits = std::str::from_utf8(rest.get(from..to)?).ok()?;
        usize::from_str_radix(digits.trim(), radix).ok()
    };
    let (header, name_length, size, align) = match rest.get(..6)? {
        b"070701" | b"070702" => (110, text(94, 102, 16)?, text(54, 62, 16)?, 4),
        b"070707" => (76, text(59, 65, 8)?, text(65, 76, 8)?, 1),
        [a, b, ..] if matches!((a, b), (0xc7, 0x71) | (0x71, 0xc7)) => {
            let word = |at: usize| {
                let pair = rest.get(at..at + 2)?.try_into().ok()?;
                let is_little = *a == 0xc7;
                let word =
                    if is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
                Some(usize::from(word))
            };
            (26, word(20)?, word(22)? << 16 | word(24)?, 2)
        }
        _ => return None,
    };
    let raw = rest.get(header..header + name_length.min(LONGEST_NAME))?;
    let raw = raw.split(|byte| *byte == 0).next().unwrap_or_default();
    let start = (header + name_length).next_multiple_of(align);
    let body = rest.get(start..).unwrap_or_default();
    let content = body.get(..size).unwrap_or(body);
    Some(Member {
        name: String::from_utf8_lossy(raw).into_owned(),
        content,
        is_whole: content.len() == size,
        next: at.saturating_add(start).saturating_add(size).checked_next_multiple_of(align)?,
    })
}

/// Hands every member of an ar archive to the walk (ar(5): headers of 60 bytes).
pub(crate) fn ar(walk: &mut Walk<'_>, data: &[u8]) {
    let mut at = 8usize;
    let mut long_names: &[u8] = &[];
    while let Some(header) = data.get(at..at.saturating_add(60)) {
        if walk.is_over() {
            return;
        }
        let text = |from: usize, to: usize| {
            String::from_utf8_lossy(header.get(from..to).unwrap_or_default()).trim().to_owned()
        };
        let Ok(size) = text(48, 58).parse::<usize>() else {
            return walk.find(Class::Ambiguous, "a header of the archive is broken");
        };
        let rest = data.get(at + 60..).unwrap_or_default();
        let body = rest.get(..size).unwrap_or(rest);
        let raw = text(0, 16);
        let mut name = raw.trim_end_matches('/').to_owned();
        let mut content = body;
        if raw == "//" {
            long_names = body;
        } else if let Some(length) = raw.strip_prefix("#1/").and_then(|it| it.parse().ok()) {
            let (long, after) = body.split_at_checked(length).unwrap_or((body, &[]));
            name = String::from_utf8_lossy(long).trim_end_matches('\0').to_owned();
            content = after;
        } else if let Some(from) = raw.strip_prefix('/').and_then(|it| it.parse::<usize>().ok()) {
            let long = long_names.get(from..).unwrap_or_default();
            let long = long.split(|byte| *byte == b'\n').next().unwrap_or_default();
            name = String::from_utf8_lossy(long).trim_end_matches('/').to_owned();
        }
        if !raw.is_empty() && raw != "/" && raw != "//" {
            hand(walk, &[&name], content, body.len() == size);
        }
        at = at.saturating_add(60).saturating_add(size).next_multiple_of(2);
    }
}
