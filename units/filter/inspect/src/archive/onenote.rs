//! OneNote sections: the files embedded in them ([MS-ONESTORE] 2.6.13, FileDataStoreObject).

use crate::report::Class;
use crate::walk::{Walk, Within};

/// {BDE316E7-2665-4511-A4C4-8D4D0B7A9EAC}, as it is stored.
const OBJECT: &[u8] = b"\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac";
/// The identifier, the length, four unused bytes and eight reserved ones.
const HEADER: usize = 16 + 8 + 4 + 8;

/// Hands every embedded file to the walk. Their names stand elsewhere; the content is enough.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut count = 0u32;
    for at in memchr::memmem::find_iter(data, OBJECT) {
        let length = data
            .get(at + 16..at + 24)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        let rest = data.get(at + HEADER..).unwrap_or_default();
        let content =
            usize::try_from(length).ok().and_then(|length| rest.get(..length)).unwrap_or(rest);
        count += 1;
        if walk.is_over() {
            return;
        }
        walk.thing(&[&format!("embedded file {count}")], content, Within::Files);
    }
    if count > 0
        && walk.found_here(|class| {
            matches!(class, Class::Executable | Class::Script | Class::Shortcut)
        })
    {
        walk.find(Class::ActiveDocument, "a note with files that run on a click");
    }
}
