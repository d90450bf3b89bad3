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

/// What runs text as code, or writes a page anew: words are in pieces before it.
const RUNS: &[&str] = &[
    "eval(",
    "function(atob",
    "document.write(atob",
    "document.write(unescape",
    "[\"eval\"]",
    "['eval']",
    "settimeout(atob",
];

/// Looks at a page's code and at what is coded in it.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let text = decoded(data);
    let lower = glued(&text.to_ascii_lowercase()) + &glued(&coded_pages(&text));
    let has_code =
        ["<script", "javascript:", "data:text/javascript"].iter().any(|word| lower.contains(word))
            || lower.contains("srcdoc") && lower.contains("&lt;script")
            || has_handler(&lower);
    let delivers = DELIVERS.iter().any(|word| lower.contains(word));
    let makes = MAKES.iter().any(|word| lower.contains(word));
    // A page that saves what it shows, as a table or a picture, does the same: it is a file coded
    // in the page, or code that hides itself, that tells them apart.
    let long = runs(text.as_bytes()).iter().any(|run| run.len() >= SHORTEST && !is_picture(run));
    // A library that draws does all of it somewhere in its megabytes.
    const LIBRARY: usize = 500 << 10;
    let hides = lower.len() < LIBRARY
        && (RUNS.iter().any(|word| lower.contains(word))
            || lower.matches("fromcharcode").count() > 3);
    let waits = has_button(&lower);
    if has_code && delivers && makes && (long || hides || !waits) {
        walk.find(Class::HtmlSmuggling, "its code makes a file in the browser and hands it over");
    } else if has_code && hides && (makes || lower.contains("atob")) {
        walk.find(Class::HtmlSmuggling, "its code is hidden and runs when the page opens");
    }
    if is_drawing(&lower) && (has_code || has_prefixed_script(&lower)) {
        walk.find(Class::HtmlSmuggling, "a picture (SVG) with code in it");
    }
    let gives =
        lower.contains("href=\"data:application/") || lower.contains("href='data:application/");
    let jumps = lower.contains("http-equiv") && lower.contains("url=data:application/");
    if gives && lower.contains("download") || jumps {
        walk.find(Class::HtmlSmuggling, "a link in it is a file");
    }
    let coded = runs(text.as_bytes());
    if coded.len() > MOST && has_code && delivers {
        walk.find(Class::Limit, format!("more than {MOST} pieces are coded in it"));
    }
    for coded in coded.into_iter().take(MOST) {
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
                | Kind::Cpio
                | Kind::Cms
                | Kind::Card
                | Kind::Wrapped(_)
                | Kind::Opaque(_)
        );
        if carries {
            walk.find(Class::HtmlSmuggling, "a file is coded in it");
            walk.thing(&["coded file"], &content, Within::Document);
        }
    }
}

/// Pages and scripts that a page holds as base64, in lower case, those inside of them as well.
fn coded_pages(text: &str) -> String {
    /// Bytes before the code that say what it is.
    const NEAR: usize = 60;
    const DEEPEST: u32 = 3;
    let mut output = String::new();
    let mut inner = text.to_owned();
    for _ in 0..DEEPEST {
        let lower = inner.to_ascii_lowercase();
        let mut found = String::new();
        for (at, mark) in lower.match_indices("base64,").take(MOST) {
            let before = lower.as_bytes().get(at.saturating_sub(NEAR)..at).unwrap_or_default();
            let has = |word: &[u8]| memchr::memmem::rfind(before, word).is_some();
            if !(has(b"data:text/") || has(b"javascript")) || has(b"sourcemapping") {
                continue;
            }
            let rest = inner.as_bytes().get(at + mark.len()..).unwrap_or_default();
            let is_code = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
            let length = rest.iter().take_while(is_code).count();
            let content = crate::message::base64(rest.get(..length).unwrap_or_default());
            found.push_str(&String::from_utf8_lossy(&content));
            found.push('\n');
        }
        if found.is_empty() {
            break;
        }
        output.push_str(&found.to_ascii_lowercase());
        inner = found;
    }
    output
}

/// Words put together from pieces, escapes undone.
fn glued(lower: &str) -> String {
    let mut text = lower.to_owned();
    for glue in ["' + '", "'+'", "\" + \"", "\"+\"", "\\n", "concat('", "/**/"] {
        text = text.replace(glue, "");
    }
    references(&escapes(&text))
}

/// `&#115;` and `&#x73;`, as pages write letters in attributes.
fn references(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("&#") {
        let (before, after) = rest.split_at(at);
        output.push_str(before);
        let body = after.get(2..).unwrap_or_default();
        let (body, radix) = body.strip_prefix('x').map_or((body, 10), |body| (body, 16));
        let is_digit = |it: &u8| char::from(*it).is_digit(radix);
        let digits = body.bytes().take(32).take_while(is_digit).count();
        let number = body.get(..digits).and_then(|it| u32::from_str_radix(it, radix).ok());
        match number.and_then(char::from_u32) {
            Some(letter) => {
                output.push(letter.to_ascii_lowercase());
                let tail = body.get(digits..).unwrap_or_default();
                rest = tail.strip_prefix(';').unwrap_or(tail);
            }
            None => {
                output.push_str("&#");
                rest = after.get(2..).unwrap_or_default();
            }
        }
    }
    output.push_str(rest);
    output
}

/// `\\x62` and `\\u0062`, as scripts write letters.
fn escapes(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, after) = rest.split_at(at);
        output.push_str(before);
        let digits = match after.as_bytes() {
            [_, b'x', ..] => after.get(2..4),
            [_, b'u', ..] => after.get(2..6),
            _ => None,
        };
        let letter =
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        match (letter, digits) {
            (Some(letter), Some(digits)) => {
                output.push(letter.to_ascii_lowercase());
                rest = after.get(2 + digits.len()..).unwrap_or_default();
            }
            _ => {
                output.push('\\');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    output.push_str(rest);
    output
}

fn is_drawing(lower: &str) -> bool {
    let mut start = lower.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    while let Some(after) = start.strip_prefix("<!--").and_then(|it| it.split_once("-->")) {
        start = after.1.trim_start();
    }
    start.starts_with('<')
        && lower.contains("http://www.w3.org/2000/svg")
        && !lower.contains("<html")
        && !lower.contains("<body")
        && (start.starts_with("<svg")
            || lower.get(..2000).unwrap_or(lower).contains("<svg")
            || lower.contains(":svg"))
}

/// `<svg:script`, with whatever prefix stands for SVG.
fn has_prefixed_script(lower: &str) -> bool {
    lower.match_indices(":script").any(|(at, _)| {
        let before = lower.get(..at).unwrap_or_default();
        let prefix = before.bytes().rev().take(64).take_while(u8::is_ascii_alphanumeric).count();
        before.as_bytes().get(..at - prefix).is_some_and(|it| it.ends_with(b"<"))
    })
}

/// Something to press before anything happens.
fn has_button(lower: &str) -> bool {
    (lower.contains("<button")
        || lower.contains("onclick=")
        || lower.contains("\"click\"")
        || lower.contains("'click'"))
        && !lower.contains("onload=")
        && !lower.contains("onerror=")
}

fn is_picture(coded: &[u8]) -> bool {
    let content = crate::message::base64(coded.get(..64).unwrap_or(coded));
    [&b"\x89PNG"[..], b"\xff\xd8\xff", b"GIF8", b"RIFF", b"wOF", b"<svg", b"\0\x01\0\0"]
        .iter()
        .any(|magic| content.starts_with(magic))
}

/// `onload=` and its kin, which run code without a script element.
fn has_handler(lower: &str) -> bool {
    [
        "onload",
        "onerror",
        "onclick",
        "onmouse",
        "onbegin",
        "onfocus",
        "onpointer",
        "onanim",
        "ontoggle",
        "onend",
    ]
    .iter()
    .any(|handler| {
        lower.match_indices(handler).any(|(at, _)| {
            let rest = lower.get(at + handler.len()..).unwrap_or_default();
            rest.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace())
                .starts_with('=')
        })
    })
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
