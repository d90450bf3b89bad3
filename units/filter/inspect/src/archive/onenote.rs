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
    let mut names = named(data);
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
    // Names stand apart from the content; any of them may be any file's.
    if count > 0 {
        names.retain(|name| crate::name::Name::new(name).danger().is_some());
        for name in &names {
            walk.only_named(name);
            walk.find(Class::ActiveDocument, "a note with files that run on a click");
        }
    }
    if count > 0
        && walk.found_here(|class| {
            matches!(class, Class::Executable | Class::Script | Class::Shortcut)
        })
    {
        walk.find(Class::ActiveDocument, "a note with files that run on a click");
    }
}

/// What in the file looks like a file's name, in UTF-16 ([MS-ONE] 2.2.52,
/// EmbeddedFileName): letters, a dot, and two to twelve letters more.
fn named(data: &[u8]) -> Vec<String> {
    const MOST: usize = 200;
    const LONGEST: usize = 260;
    let mut names: Vec<String> = Vec::new();
    let is_letter = |at: usize| matches!(data.get(at..at + 2), Some([b' '..=b'~', 0]));
    for dot in memchr::memmem::find_iter(data, b".\0") {
        let mut start = dot;
        while start >= 2 && dot - start < LONGEST && is_letter(start - 2) {
            start -= 2;
        }
        let mut end = dot + 2;
        while end - dot < LONGEST && is_letter(end) {
            end += 2;
        }
        let letters = data.get(start..end).unwrap_or_default();
        let name: String = letters.iter().step_by(2).map(|byte| char::from(*byte)).collect();
        if start < dot && end > dot + 2 && names.len() < MOST && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
