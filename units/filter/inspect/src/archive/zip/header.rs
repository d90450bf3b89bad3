//! Headers of zip: local ones, directory entries, end records, extra fields.

use super::{CENTRAL, LOCAL};
use crate::kind::ZIP_END as END;

const NAME_IS_UTF8: u16 = 1 << 11;

/// What a header says about a member; local headers and directory entries alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Every name that some program would take: the header's, and that of the Unicode field.
    pub(super) names: Vec<String>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) packed: u64,
    unpacked: u64,
    /// CRC-32 of its content; 0 in a local header whose sizes follow the data.
    pub(super) crc: u32,
    /// Where its data begins (local) or where its local header is (directory).
    pub(super) offset: u64,
    /// Where this header ends.
    pub(super) end: usize,
}

impl Member {
    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }
}

pub(super) fn local(data: &[u8], at: usize) -> Option<Member> {
    let header = data.get(at..at.checked_add(30)?).filter(|it| it.starts_with(LOCAL))?;
    let (name_length, extra_length) = (u16_at(header, 26)?, u16_at(header, 28)?);
    let name_at = at + 30;
    let extra_at = name_at + usize::from(name_length);
    let flags = u16_at(header, 6)?;
    let raw = data.get(name_at..extra_at)?;
    let end = extra_at + usize::from(extra_length);
    let mut member = Member {
        names: vec![name(raw, flags)],
        flags,
        method: u16_at(header, 8)?,
        crc: u32_at(header, 14)?,
        packed: u32_at(header, 18)?.into(),
        unpacked: u32_at(header, 22)?.into(),
        offset: end as u64,
        end,
    };
    extra(data.get(extra_at..end)?, &mut member);
    Some(member)
}

pub(super) fn central(data: &[u8], at: usize) -> Option<Member> {
    let header = data.get(at..at.checked_add(46)?).filter(|it| it.starts_with(CENTRAL))?;
    let length = |at: usize| u16_at(header, at).map(usize::from);
    let extra_at = at + 46 + length(28)?;
    let flags = u16_at(header, 8)?;
    let raw = data.get(at + 46..extra_at)?;
    let comment_at = extra_at + length(30)?;
    let mut member = Member {
        names: vec![name(raw, flags)],
        flags,
        method: u16_at(header, 10)?,
        crc: u32_at(header, 16)?,
        packed: u32_at(header, 20)?.into(),
        unpacked: u32_at(header, 24)?.into(),
        offset: u32_at(header, 42)?.into(),
        end: comment_at + length(32)?,
    };
    extra(data.get(extra_at..comment_at)?, &mut member);
    Some(member)
}

/// An end record: where it says that its directory begins, and how long that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) at: usize,
    pub(super) size: u64,
    pub(super) offset: u64,
}

/// Every end record, with the sizes of the 64-bit record before it (4.3.14) where it has one.
pub(super) fn ends(data: &[u8]) -> Vec<End> {
    /// Archives after one another; more than this in one file is no archive that people send.
    const MOST: usize = 256;
    let mut ends = Vec::new();
    for at in memchr::memmem::rfind_iter(data, END).take(MOST) {
        let record = data.get(at..).unwrap_or_default();
        let (Some(size), Some(offset)) = (u32_at(record, 12), u32_at(record, 16)) else { continue };
        ends.push(End { at, size: size.into(), offset: offset.into() });
        if offset != u32::MAX && size != u32::MAX {
            continue;
        }
        let before = data.get(..at).unwrap_or_default();
        if let Some(wide) = memchr::memmem::rfind(before, b"PK\x06\x06")
            && let (Some(size), Some(offset)) = (u64_at(data, wide + 40), u64_at(data, wide + 48))
        {
            ends.push(End { at: wide, size, offset });
        }
    }
    ends
}

/// The extra fields that matter: sizes of 64 bits (4.5.3), a name in Unicode (4.6.9). Programs
/// take that name whatever its checksum, or if it is right, or never: both names count.
fn extra(mut fields: &[u8], member: &mut Member) {
    while let (Some(id), Some(length)) = (u16_at(fields, 0), u16_at(fields, 2)) {
        let Some(value) = fields.get(4..4 + usize::from(length)) else { return };
        match id {
            0x0001 => wide(value, member),
            0x7075 => {
                let name = String::from_utf8_lossy(value.get(5..).unwrap_or_default());
                if !name.is_empty() && !member.names.iter().any(|it| *it == name) {
                    member.names.push(name.into_owned());
                }
            }
            _ => {}
        }
        fields = fields.get(4 + usize::from(length)..).unwrap_or_default();
    }
}

fn wide(value: &[u8], member: &mut Member) {
    let mut at = 0;
    for field in [&mut member.unpacked, &mut member.packed, &mut member.offset] {
        if *field != u64::from(u32::MAX) {
            continue;
        }
        let Some(number) = u64_at(value, at) else { return };
        *field = number;
        at += 8;
    }
}

/// Code page 437 agrees with ASCII where it matters; other letters are only shown.
fn name(bytes: &[u8], flags: u16) -> String {
    match std::str::from_utf8(bytes) {
        Ok(name) => name.to_owned(),
        Err(_) if flags & NAME_IS_UTF8 != 0 => String::from_utf8_lossy(bytes).into_owned(),
        Err(_) => crate::message::decode_text(bytes, "windows-1252"),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}
