//! Cuts that keep a message from costing more than it is worth, made before it is parsed.

use std::borrow::Cow;

use super::Notice;

/// Header bytes of a message that are read. Servers refuse long before.
const HEADER_LIMIT: usize = 256 << 10;
/// Parts that are read, by the lines that could begin one.
const PART_LIMIT: usize = 10_000;
/// Multiparts and messages inside one another that are read, by the fields that could begin one.
const NESTING_LIMIT: usize = 200;

/// The message with what is over the limits cut off, and what was cut.
pub(super) fn bounded(message: &[u8]) -> (Cow<'_, [u8]>, Vec<Notice>) {
    let mut notices = Vec::new();
    let end = match cut(message) {
        Some((at, notice)) => {
            notices.push(notice);
            at
        }
        None => message.len(),
    };
    let message = &message[..end];
    let header = header_end(message);
    if header <= HEADER_LIMIT {
        return (Cow::Borrowed(message), notices);
    }
    notices.push(Notice::HeadersCut);
    let kept = message[..HEADER_LIMIT].iter().rposition(|one| *one == b'\n').map_or(0, |at| at + 1);
    let mut out = message[..kept].to_vec();
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&message[header..]);
    (Cow::Owned(out), notices)
}

/// Where the body begins.
fn header_end(message: &[u8]) -> usize {
    let mut at = 0;
    for line in message.split_inclusive(|one| *one == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
    }
    at
}

/// The place where a limit is passed, if one is.
fn cut(message: &[u8]) -> Option<(usize, Notice)> {
    let mut boundaries = 0;
    let mut nested = 0;
    let mut field = 0;
    let mut at = 0;
    for line in message.split_inclusive(|one| *one == b'\n') {
        if line.starts_with(b"--") && line.len() > 2 {
            boundaries += 1;
            if boundaries > PART_LIMIT {
                return Some((at, Notice::TooManyParts));
            }
            field = 0;
        }
        let continued = line.first().is_some_and(|one| matches!(one, b' ' | b'\t'));
        field = if continued { field + line.len() } else { line.len() };
        // A field of parameters in thousands of pieces takes quadratic time to put together.
        if field > HEADER_LIMIT && continued {
            return Some((at, Notice::HeadersCut));
        }
        if line.len() >= 13 && line[..13].eq_ignore_ascii_case(b"content-type:") {
            let lower = line[..line.len().min(80)].to_ascii_lowercase();
            let holds = |what: &[u8]| lower.windows(what.len()).any(|one| one == what);
            if holds(b"multipart/") || holds(b"message/") {
                nested += 1;
                if nested > NESTING_LIMIT {
                    return Some((at, Notice::TooDeep));
                }
            }
        }
        at += line.len();
    }
    None
}
