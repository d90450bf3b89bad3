//! RTF: objects written in hexadecimal, templates from elsewhere, fields that start programs.

use crate::report::Class;
use crate::walk::{Walk, Within};

/// What Word runs when it draws such an object, by attacks of the past.
const EQUATION: &str = "equation.";

/// Looks for objects, templates and fields.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let lower = data.to_ascii_lowercase();
    for at in memchr::memmem::find_iter(&lower, b"\\objdata") {
        if walk.is_over() {
            return;
        }
        object(walk, data.get(at + 8..).unwrap_or_default());
    }
    if memchr::memmem::find(&lower, b"\\objupdate").is_some() {
        walk.find(Class::ActiveDocument, "an object starts when the document opens");
    }
    for at in memchr::memmem::find_iter(&lower, b"\\*\\template") {
        let rest = lower.get(at..).unwrap_or_default();
        let group = rest.split(|byte| *byte == b'}').next().unwrap_or_default();
        let target = plain(group);
        if ["http:", "https:", "ftp:", "\\\\"].iter().any(|start| target.contains(start)) {
            walk.find(Class::ActiveDocument, "it fetches a template when it opens");
        }
    }
    for at in memchr::memmem::find_iter(&lower, b"fldinst") {
        let rest = data.get(at + 7..).unwrap_or_default();
        super::field(walk, &plain(rest.get(..400).unwrap_or(rest)));
    }
}

/// Text without braces and control words, which Word ignores between letters.
fn plain(group: &[u8]) -> String {
    let mut text = String::new();
    let mut bytes = group.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'}' | b'\r' | b'\n' => {}
            b'\\' if bytes.peek() == Some(&b'\'') => {
                bytes.next();
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                text.extend(u8::from_str_radix(&digits, 16).ok().map(char::from));
            }
            b'\\' if bytes.peek() == Some(&b'\\') => {
                bytes.next();
                text.push('\\');
            }
            b'\\' => {
                while bytes
                    .next_if(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'*'))
                    .is_some()
                {}
                bytes.next_if_eq(&b' ');
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

/// An object: an OLE 1 header ([MS-OLEDS] 2.2.4) with the class's name, and its native data.
fn object(walk: &mut Walk<'_>, text: &[u8]) {
    let bytes = hexadecimal(text);
    if bytes.is_empty() {
        return;
    }
    let head = String::from_utf8_lossy(bytes.get(..200).unwrap_or(&bytes)).to_ascii_lowercase();
    if head.contains(EQUATION) {
        walk.find(
            Class::ActiveDocument,
            "an object of the old Equation Editor, which attacks have used since 2017",
        );
    } else {
        walk.find(Class::ActiveDocument, "an object is embedded in the document");
    }
    if let Some(at) = memchr::memmem::find(&bytes, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return walk.thing(&["object"], bytes.get(at..).unwrap_or_default(), Within::Document);
    }
    // The data of a package begins like that of one in an OLE file.
    let at = memchr::memmem::find(head.as_bytes(), b"package\0").unwrap_or(0);
    let found = (at..at.saturating_add(64)).find_map(|at| super::ole::package(bytes.get(at..)?));
    match found {
        Some((name, content)) => walk.thing(&[&name], content, Within::Files),
        None => walk.thing(&["object"], &bytes, Within::Document),
    }
}

/// Digits up to the end of the group; white space, braces and control words between don't count.
fn hexadecimal(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut high = None;
    let mut depth = 1i32;
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth <= 0 {
                    break;
                }
            }
            b'\\' => {
                while rest
                    .next_if(|byte| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'*' | b'\'')
                    })
                    .is_some()
                {}
            }
            _ => {
                let Some(digit) = crate::message::hex(byte) else { continue };
                match high.take() {
                    Some(value) => bytes.push(value << 4 | digit),
                    None => high = Some(digit),
                }
            }
        }
    }
    bytes
}
