//! The outer archive of a package.
//!
//! In: the bytes of a `.deb`. Out: its three members, borrowed. Format: deb(5) and the header in
//! GNU's `<ar.h>`: 16 bytes of name, 12 time, 6 uid, 6 gid, 8 mode, 10 size, all text, then 0x60 0x0A.

use super::DebError;

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// One member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) bytes: &'a [u8],
}

/// The members, of which there must be three and nothing after them.
pub(super) fn parts(bytes: &[u8]) -> Result<[Part<'_>; 3], DebError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(DebError::NotADeb("it is not an ar archive"))?;
    let (first, rest) = part(rest)?;
    let (second, rest) = part(rest)?;
    let (third, rest) = part(rest)?;
    if rest.is_empty() {
        Ok([first, second, third])
    } else {
        Err(DebError::NotADeb("something follows data.tar"))
    }
}

fn part(bytes: &[u8]) -> Result<(Part<'_>, &[u8]), DebError> {
    const SHORT: DebError = DebError::NotADeb("it ends early; download it again");
    const HEADER_DAMAGED: DebError = DebError::NotADeb("a member's header is damaged");
    let (header, rest) = bytes.split_at_checked(HEADER).ok_or(SHORT)?;
    if header[58..] != *b"`\n" {
        return Err(HEADER_DAMAGED);
    }
    let field = |range: std::ops::Range<usize>| {
        std::str::from_utf8(&header[range]).map(str::trim_end).map_err(|_| HEADER_DAMAGED)
    };
    let name = field(0..16)?;
    let size = field(48..58)?;
    if !size.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(HEADER_DAMAGED);
    }
    let size = size.parse::<usize>().map_err(|_| HEADER_DAMAGED)?;
    let (content, rest) = rest.split_at_checked(size).ok_or(SHORT)?;
    let rest = match size % 2 {
        0 => rest,
        // Members begin at even offsets; some writers leave the last one's padding out.
        _ if rest.is_empty() => rest,
        _ => rest.strip_prefix(b"\n").ok_or(HEADER_DAMAGED)?,
    };
    Ok((Part { name: name.trim_end_matches('/'), bytes: content }, rest))
}
