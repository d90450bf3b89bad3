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
    let mut window = Window::new(&lower);
    for at in memchr::memmem::find_iter(&lower, b"\\template") {
        if walk.is_over() {
            return;
        }
        let rest = lower.get(at + 9..).unwrap_or_default();
        if rest.first().is_some_and(u8::is_ascii_alphabetic) {
            continue;
        }
        let target = plain(group(window.of(rest))).to_lowercase();
        let target = target.replace([' ', '\t'], "");
        if ["http:", "https:", "ftp:", "file:", "\\\\", "//"]
            .iter()
            .any(|start| target.contains(start))
        {
            walk.find(Class::ActiveDocument, "it fetches a template when it opens");
            break;
        }
    }
    for at in memchr::memmem::find_iter(&lower, b"fldinst") {
        if walk.is_over() || walk.found_here(|class| class == Class::ActiveDocument) {
            return;
        }
        let rest = data.get(at + 7..).unwrap_or_default();
        // Whatever is near, and the whole field if that is longer.
        let near = rest.get(..Window::SHORTEST).unwrap_or(rest);
        let whole = group(window.of(rest));
        super::field(walk, &plain(if whole.len() > near.len() { whole } else { near }));
    }
}

/// What is looked at after a control word. A file of nothing but such words gets short looks
/// after a while, so that its length alone says how long they take together.
struct Window {
    left: usize,
}

impl Window {
    /// Enough for any address, and for the groups without text that may stand before it.
    const LONGEST: usize = 4096;
    const SHORTEST: usize = 400;

    fn new(data: &[u8]) -> Self {
        Window { left: data.len().saturating_mul(8).max(64 << 10) }
    }

    fn of<'d>(&mut self, rest: &'d [u8]) -> &'d [u8] {
        let rest = rest.trim_ascii_start();
        let most = if self.left == 0 { Self::SHORTEST } else { Self::LONGEST };
        self.left = self.left.saturating_sub(most);
        rest.get(..most).unwrap_or(rest)
    }
}

/// What stands before the brace that closes the group around it.
fn group(text: &[u8]) -> &[u8] {
    let mut depth = 1i32;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// Text without braces and control words, which Word ignores between letters.
fn plain(group: &[u8]) -> String {
    let mut text = String::new();
    let mut bytes = group.iter().copied().peekable();
    // How many characters after one of Unicode are for programs without it.
    let mut instead = 1usize;
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'}' | b'\r' | b'\n' => {}
            b'\\' if bytes.peek() == Some(&b'\'') => {
                bytes.next();
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                text.extend(u8::from_str_radix(&digits, 16).ok().map(char::from));
            }
            b'\\' if bytes.peek() == Some(&b'u') => {
                bytes.next();
                let is_count = bytes.next_if(|it| it.eq_ignore_ascii_case(&b'c')).is_some();
                let mut number = String::new();
                while let Some(digit) =
                    bytes.next_if(|it| it.is_ascii_digit() || *it == b'-' && number.is_empty())
                {
                    number.push(char::from(digit));
                }
                if is_count {
                    instead = number.parse().unwrap_or(instead);
                    while bytes.next_if(u8::is_ascii_alphanumeric).is_some() {}
                    bytes.next_if_eq(&b' ');
                    continue;
                }
                // Numbers are of 16 bits with a sign; Word takes what is left of larger ones.
                let unit = number.parse::<i64>().ok().map(|value| (value & 0xffff) as u32);
                match unit.and_then(char::from_u32) {
                    // U+F000 to U+F0FF are letters of a symbol font.
                    Some(letter @ '\u{f000}'..='\u{f0ff}') => {
                        text.extend(char::from_u32(u32::from(letter) & 0xff));
                    }
                    Some(letter) => text.push(letter),
                    None => {
                        while bytes.next_if(u8::is_ascii_alphanumeric).is_some() {}
                        bytes.next_if_eq(&b' ');
                        continue;
                    }
                }
                bytes.next_if_eq(&b' ');
                for _ in 0..instead.min(16) {
                    let mut ahead = bytes.clone();
                    match (ahead.next(), ahead.next()) {
                        (Some(b'\\'), Some(b'\'')) => drop(bytes.by_ref().take(4).count()),
                        (Some(b'{' | b'}' | b'\\'), _) | (None, _) => break,
                        _ => drop(bytes.next()),
                    }
                }
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
    // What Word draws from the picture beside it and nobody has to click.
    const SHOWN: [&str; 6] =
        ["word.picture", "paint.picture", "pbrush", "static", "msphotoed", "acroexch.document"];
    if SHOWN.iter().any(|class| head.contains(class)) {
        walk.find(Class::Macro, "a picture or a document is embedded as an object");
    } else if head.contains(EQUATION) {
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

/// How long a control word or symbol is, after its backslash: letters and a number after them, or
/// one character; a character in hexadecimal has its two digits.
fn control(rest: &[u8]) -> usize {
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if letters == 0 {
        return if rest.first() == Some(&b'\'') { 3 } else { 1 }.min(rest.len());
    }
    let after = rest.get(letters..).unwrap_or_default();
    let sign = usize::from(after.first() == Some(&b'-'));
    letters + sign + after.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count()
}

/// Digits up to the end of the group; white space, braces and control words between don't count,
/// and `\binN` is followed by N bytes as they are, whatever they are.
fn hexadecimal(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut high = None;
    let mut depth = 1i32;
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        at += 1;
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth <= 0 {
                    break;
                }
            }
            b'\\' => {
                let rest = text.get(at..).unwrap_or_default();
                let length = control(rest);
                let word = rest.get(..length).unwrap_or_default().to_ascii_lowercase();
                at += length;
                if let Some(digits) = word.strip_prefix(b"bin") {
                    let count = std::str::from_utf8(digits).ok().and_then(|it| it.parse().ok());
                    at += usize::from(text.get(at) == Some(&b' '));
                    let rest = text.get(at..).unwrap_or_default();
                    let count: usize = count.unwrap_or(0);
                    let raw = rest.get(..count).unwrap_or(rest);
                    bytes.extend_from_slice(raw);
                    at += raw.len();
                    high = None;
                }
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
