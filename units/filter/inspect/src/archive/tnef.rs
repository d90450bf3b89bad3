//! `winmail.dat`, Outlook's container ([MS-OXTNEF]): the attachments in it.

use crate::report::Class;
use crate::walk::{Walk, Within};

/// Attributes of an attachment (2.1.3.2): its rendering begins one, its title, its content, and
/// its properties, which have names and content again.
const BEGINS: u32 = 0x0006_9002;
const TITLE: u32 = 0x0001_8010;
const CONTENT: u32 = 0x0006_800f;
const PROPERTIES: u32 = 0x0006_9005;

/// Properties ([MS-OXPROPS]): display name, file name, long file name, path, transport name.
const NAMES: [u16; 6] = [0x3001, 0x3704, 0x3707, 0x3708, 0x370d, 0x370c];
/// PidTagAttachDataBinary and PidTagAttachDataObject.
const DATA: u16 = 0x3701;

#[derive(Debug, Default)]
struct Attachment<'d> {
    names: Vec<String>,
    contents: Vec<&'d [u8]>,
}

/// Hands every attachment to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut rest = data.get(6..).unwrap_or_default();
    let mut open = Attachment::default();
    // Level, identifier, length, bytes, checksum.
    while let Some((id, value, after)) = attribute(rest) {
        if walk.is_over() {
            return;
        }
        rest = after;
        match id {
            BEGINS => finish(walk, std::mem::take(&mut open)),
            TITLE => open.names.push(text(value, false)),
            CONTENT => open.contents.push(value),
            PROPERTIES if !properties(value, &mut open) => {
                walk.find(Class::Ambiguous, "properties of an attachment can't be read");
            }
            _ => {}
        }
    }
    finish(walk, open);
    // A byte or two after the last checksum is what some programs write.
    if rest.len() > 8 {
        walk.find(Class::Ambiguous, "it ends in the middle of an attribute");
    }
}

fn attribute(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let id = number(bytes, 1)?;
    let end = usize::try_from(number(bytes, 5)?).ok()?.checked_add(9)?;
    let value = bytes.get(9..end)?;
    // The checksum of the last may be missing.
    Some((id, value, bytes.get(end.checked_add(2)?..).unwrap_or_default()))
}

fn finish(walk: &mut Walk<'_>, attachment: Attachment<'_>) {
    let names: Vec<&str> = attachment.names.iter().map(String::as_str).collect();
    if attachment.contents.iter().all(|content| content.is_empty()) {
        names.iter().for_each(|name| walk.only_named(name));
    }
    for content in attachment.contents {
        if !content.is_empty() {
            walk.thing(&names, content, Within::Files);
        }
    }
}

/// A list of properties (2.1.3.4): a count, then type, identifier and value of each. False if it
/// has a type that is not known here, after which nothing can be found.
fn properties<'d>(bytes: &'d [u8], into: &mut Attachment<'d>) -> bool {
    let Some(count) = number(bytes, 0) else { return false };
    let mut at = 4;
    for _ in 0..count {
        if property(bytes, &mut at, into).is_none() {
            return false;
        }
    }
    true
}

fn property<'d>(bytes: &'d [u8], at: &mut usize, into: &mut Attachment<'d>) -> Option<()> {
    let tag = number(bytes, *at)?;
    *at += 4;
    let (kind, id) = ((tag & 0xffff) as u16, (tag >> 16) as u16);
    if id >= 0x8000 {
        // A named property: its set, and a number or a name.
        let is_name = number(bytes, *at + 16)? == 1;
        *at += 20;
        let length = usize::try_from(number(bytes, *at)?).ok()?;
        *at += 4 + if is_name { length.next_multiple_of(4) } else { 0 };
    }
    let is_many = kind & 0x1000 != 0;
    let size = match kind & 0x0fff {
        0x02 | 0x0b | 0x03 | 0x04 | 0x0a | 0x01 => Some(4),
        0x05 | 0x06 | 0x07 | 0x14 | 0x40 => Some(8),
        0x48 => Some(16),
        0x0d | 0x1e | 0x1f | 0x102 => None,
        _ => return None,
    };
    // Values of any length have a count of their own, 1 where there is one.
    let count = match size {
        Some(_) if !is_many => 1,
        _ => {
            let count = number(bytes, *at)?;
            *at += 4;
            count
        }
    };
    for _ in 0..count {
        if let Some(size) = size {
            *at += size;
            continue;
        }
        let length = usize::try_from(number(bytes, *at)?).ok()?;
        let value = bytes.get(*at + 4..(*at + 4).checked_add(length)?)?;
        *at = (*at + 4).checked_add(length.checked_next_multiple_of(4)?)?;
        match kind & 0x0fff {
            0x1e | 0x1f if NAMES.contains(&id) => into.names.push(text(value, kind & 1 == 1)),
            // An object begins with its interface.
            0x0d if id == DATA => into.contents.push(value.get(16..).unwrap_or(value)),
            0x102 if id == DATA => into.contents.push(value),
            _ => {}
        }
    }
    Some(())
}

fn text(value: &[u8], is_wide: bool) -> String {
    let label = if is_wide { "utf-16le" } else { "windows-1252" };
    crate::message::decode_text(value, label).trim_end_matches('\0').to_owned()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}
