//! `winmail.dat`, Outlook's container ([MS-OXTNEF]): the attachments in it.

use crate::report::Class;
use crate::walk::{Walk, Within};

/// Attributes of an attachment (2.1.3.2): its rendering begins one, its title, its content.
const BEGINS: u32 = 0x0006_9002;
const TITLE: u32 = 0x0001_8010;
const CONTENT: u32 = 0x0006_800f;

/// Hands every attachment to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut rest = data.get(6..).unwrap_or_default();
    let mut open: Option<(String, &[u8])> = None;
    // Level, identifier, length, bytes, checksum.
    while let Some((id, value, after)) = attribute(rest) {
        rest = after;
        match id {
            BEGINS => finish(walk, open.replace((String::new(), &[]))),
            TITLE => {
                let text = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned();
                open.get_or_insert_default().0 = text;
            }
            CONTENT => open.get_or_insert_default().1 = value,
            _ => {}
        }
    }
    finish(walk, open);
    if !rest.is_empty() {
        walk.find(Class::Damaged, "it ends in the middle of an attribute");
    }
}

fn attribute(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let id = bytes.get(1..5)?.try_into().ok().map(u32::from_le_bytes)?;
    let length = bytes.get(5..9)?.try_into().ok().map(u32::from_le_bytes)?;
    let end = usize::try_from(length).ok()?.checked_add(9)?;
    Some((id, bytes.get(9..end)?, bytes.get(end.checked_add(2)?..)?))
}

fn finish(walk: &mut Walk<'_>, attachment: Option<(String, &[u8])>) {
    if let Some((name, content)) = attachment.filter(|(_, content)| !content.is_empty()) {
        walk.thing(&[&name], content, Within::Files);
    }
}
