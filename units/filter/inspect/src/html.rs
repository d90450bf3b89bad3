//! Web pages and SVG pictures: those that make a file in the browser, which no gateway sees
//! on its way ("HTML smuggling").

use crate::kind::Kind;
use crate::report::Class;
use crate::walk::{Walk, Within};

/// What hands a made file to the reader.
const DELIVERS: &[&str] = &[
    "createobjecturl",
    "mssaveoropenblob",
    "mssaveblob",
    "navigator.mssave",
    ".download=",
    ".download =",
    "setattribute(\"download\"",
    "setattribute('download'",
    "[\"download\"]",
    "['download']",
    "showsavefilepicker",
    "new file(",
];

/// What makes bytes out of text.
const MAKES: &[&str] = &[
    "new blob",
    "atob(",
    "uint8array",
    "fromcharcode",
    "charcodeat",
    "frombase64",
    "text/plain;base64",
    "application/octet-stream",
    "decodeuricomponent",
    "arraybuffer",
    "unescape(",
    "['atob']",
    "[\"atob\"]",
    "data:application",
];

/// Base64 shorter than this is an icon or an identifier.
const SHORTEST: usize = 256;
/// Files to look into in one page.
const MOST: usize = 50;

/// Looks at a page's code and at what is coded in it.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let text = decoded(data);
    let lower = text.to_ascii_lowercase();
    let has_code =
        lower.contains("<script") || lower.contains("javascript:") || has_handler(&lower);
    let delivers = DELIVERS.iter().any(|word| lower.contains(word));
    let makes = MAKES.iter().any(|word| lower.contains(word));
    if has_code && delivers && makes {
        walk.find(Class::HtmlSmuggling, "its code makes a file in the browser and hands it over");
    }
    let gives =
        lower.contains("href=\"data:application/") || lower.contains("href='data:application/");
    if gives && lower.contains("download") {
        walk.find(Class::HtmlSmuggling, "a link in it is a file");
    }
    for coded in runs(text.as_bytes()).into_iter().take(MOST) {
        if walk.is_over() {
            return;
        }
        let content = crate::message::base64(coded);
        let kind = Kind::of(&content);
        let carries = !matches!(
            kind,
            Kind::Other
                | Kind::Html
                | Kind::Message
                | Kind::Gzip
                | Kind::Tnef
                | Kind::Lzma
                | Kind::Opaque(_)
        );
        if carries {
            walk.find(Class::HtmlSmuggling, "a file is coded in it");
            walk.thing(&["coded file"], &content, Within::Document);
        }
    }
}

/// `onload=` and its kin, which run code without a script element.
fn has_handler(lower: &str) -> bool {
    ["onload=", "onerror=", "onclick=", "onmouseover=", "onbegin="]
        .iter()
        .any(|handler| lower.contains(handler))
}

fn decoded(data: &[u8]) -> String {
    let label = match data {
        [0xff, 0xfe, ..] => "utf-16le",
        [0xfe, 0xff, ..] => "utf-16be",
        _ => "utf-8",
    };
    crate::message::decode_text(data, label)
}

/// The stretches of base64, line breaks of strings included no further than one line.
fn runs(text: &[u8]) -> Vec<&[u8]> {
    let is_code = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\r' | b'\n')
    };
    text.split(|byte| !is_code(byte)).filter(|run| run.len() >= SHORTEST).collect()
}
