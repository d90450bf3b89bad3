//! What a file name tells: what a double click would do, and whether the name hides that.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::report::Class;

/// A name, taken apart as the reader's system would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The last component, without what Windows drops from its end.
    pub(crate) file: String,
    /// In lower case, without the dot; empty if there is none.
    pub(crate) extension: String,
}

impl Name {
    pub(crate) fn new(name: &str) -> Name {
        let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let visible: String =
            file.chars().filter(|c| !is_invisible(*c) && !c.is_control()).map(narrow).collect();
        let file = visible.trim_end_matches(is_dropped);
        // A stream's name (NTFS): the file is what stands before it.
        let file = file.split_once("::$").map_or(file, |(file, _)| file);
        let file = file.trim_end_matches(is_dropped);
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension.trim());
        Name { extension: extension.to_lowercase(), file: file.to_owned() }
    }

    /// The class of what a double click starts, with what it is called.
    pub(crate) fn danger(&self) -> Option<(Class, &'static str)> {
        let extension = self.extension.as_str();
        if extension.starts_with('{') && extension.ends_with('}') {
            return Some((Class::Shortcut, "a shortcut"));
        }
        let class = BLOCKED.get(extension)?;
        Some(match *class {
            "executable" => (Class::Executable, "a program"),
            "script" => (Class::Script, "a script"),
            "shortcut" => (Class::Shortcut, "a shortcut"),
            _ => (Class::Script, "what changes a system's settings"),
        })
    }

    /// Whether the extension alone says little, because harmless files have it too.
    pub(crate) fn needs_content(&self) -> bool {
        BLOCKED.get(self.extension.as_str()) == Some(&"by-content")
    }

    /// Whether content is what such a name starts.
    pub(crate) fn is_kept(&self, data: &[u8]) -> bool {
        let head = String::from_utf8_lossy(data.get(..64 << 10).unwrap_or(data)).replace('\0', "");
        let head = head.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| head.contains(word));
        match self.extension.as_str() {
            _ if data.is_empty() || data.starts_with(b"MZ") => true,
            "reg" => has(&["regedit", "windows registry"]),
            "inf" | "ins" => has(&[
                "[defaultinstall",
                "[version]",
                "runpre",
                "setup=",
                "open=",
                "[autorun",
                "[entry]",
            ]),
            "iqy" => has(&["http:", "https:", "ftp:", "web\n", "web\r"]),
            "slk" => head.trim_start().starts_with("id;"),
            "theme" | "themepack" => has(&["\\\\", "http:", "https:", ".scr", "mscf"]),
            "bas" => has(&["sub ", "function ", "shell", "createobject", "declare "]),
            "csh" | "run" => head.trim_start().starts_with("#!") || data.starts_with(b"\x7fELF"),
            "sys" => data.starts_with(b"MZ"),
            "php" | "mcf" => has(&["<?php", "<?="]),
            // Certificates and keys: text or DER, whose sequence is long.
            _ => !head.contains("-----begin") && data.first() != Some(&0x30),
        }
    }
}

/// Extensions by what they start, from the dated list beside this file.
static BLOCKED: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("names/blocked.txt").lines();
    let lines = lines.filter_map(|line| line.split_once(": ").filter(|_| !line.starts_with('#')));
    lines.flat_map(|(class, all)| all.split(' ').map(move |one| (one, class))).collect()
});

/// What Windows drops from the end of a name.
fn is_dropped(character: char) -> bool {
    character.is_whitespace() || matches!(character, '.' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Letters and dots that some programs take for those of ASCII.
fn narrow(character: char) -> char {
    match character {
        '\u{2024}' | '\u{3002}' | '\u{ff61}' | '\u{fe52}' | '\u{ff0e}' => '.',
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
        }
        _ => character,
    }
}

/// Every reading of a name: as it is; up to a zero, where many programs stop; with what is coded
/// by percent signs or in encoded words undone; up to a semicolon or a question mark.
pub(crate) fn readings(raw: &str) -> Vec<String> {
    let mut readings = vec![raw.to_owned()];
    let mut add = |reading: String| {
        if !reading.is_empty() && !readings.contains(&reading) {
            readings.push(reading);
        }
    };
    if let Some((before, _)) = raw.split_once('\0') {
        add(before.to_owned());
    }
    if raw.contains('%') {
        let plain = percent(raw);
        if let Some((before, _)) = plain.split_once('\0') {
            add(before.to_owned());
        }
        add(plain);
    }
    if raw.contains("=?") {
        add(crate::message::decode_words(raw));
    }
    if let Some((before, _)) = raw.split_once(['"', ';', '?', '\r', '\n', '\t'])
        && Name::new(before).danger().is_some()
    {
        add(before.trim().to_owned());
    }
    // What no name may hold in Windows is left out at its end, quotes that belong to nobody at
    // both; a colon begins the name of a stream, unless it is the port of an address.
    let bare = raw.trim_matches(|it: char| it.is_whitespace() || "'`*|<>".contains(it));
    if bare.len() < raw.len() && Name::new(bare).danger().is_some() {
        add(bare.to_owned());
    }
    if let Some((before, stream)) = raw.rsplit_once(':')
        && !before.contains('/')
        && (stream.is_empty() || !stream.bytes().all(|it| it.is_ascii_digit()))
        && stream.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'$')
        && Name::new(before).danger().is_some()
    {
        add(before.to_owned());
    }
    // The name before a comment, as readers of mail headers take it.
    if let Some((before, _)) = raw.split_once('(')
        && raw.trim_end().ends_with(')')
        && Name::new(before).danger().is_some()
    {
        add(before.trim().to_owned());
    }
    readings
}

pub(crate) fn percent(raw: &str) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                match (crate::message::hex(*high), crate::message::hex(*low)) {
                    (Some(high), Some(low)) => {
                        bytes.push(high << 4 | low);
                        after
                    }
                    _ => {
                        bytes.push(b'%');
                        tail
                    }
                }
            }
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Why a raw name deceives; nothing if it doesn't.
pub(crate) fn deception(raw: &str) -> Option<&'static str> {
    let name = Name::new(raw);
    // Marks of direction are part of names in Hebrew and Arabic: what deceives is an override,
    // and an embedding before an extension that does something.
    let shown = raw.chars().any(|it| matches!(it, '\u{202d}' | '\u{202e}'));
    let reorders = raw.chars().any(is_reordering) && name.danger().is_some();
    if shown || reorders {
        return Some("its letters are shown in another order than they stand in");
    }
    let stem = name.file.strip_suffix(name.file.rsplit('.').next().unwrap_or_default())?;
    let stem = stem.strip_suffix('.')?;
    let harmful =
        name.danger().is_some() || CONTAINERS_IN_DISGUISE.contains(&name.extension.as_str());
    if !harmful {
        return None;
    }
    let padded = stem.trim_end();
    if stem.len() - padded.len() >= 8 || name.file.contains("          ") {
        return Some("spaces push its extension out of sight");
    }
    let before = padded.rsplit_once('.').map(|(_, before)| before.trim().to_lowercase())?;
    HARMLESS.contains(&before.as_str()).then_some("it has a harmless extension before the real one")
}

/// Characters that change the order of what follows (Unicode, bidirectional controls).
pub(crate) fn is_reordering(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that nobody sees.
pub(crate) fn is_invisible(character: char) -> bool {
    is_reordering(character)
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}')
        || matches!(character, '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}')
}

/// Containers that programs and scripts travel in, behind names of documents.
const CONTAINERS_IN_DISGUISE: &[&str] =
    &["iso", "img", "vhd", "vhdx", "html", "htm", "shtml", "xhtml", "svg"];

const HARMLESS: &[&str] = &[
    "avi", "bmp", "csv", "doc", "docx", "eml", "gif", "jpeg", "jpg", "mov", "mp3", "mp4", "odp",
    "ods", "odt", "pdf", "png", "ppt", "pptx", "rtf", "tif", "tiff", "txt", "wav", "webp", "xls",
    "xlsx", "xml", "zip",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_is_the_one_that_the_system_uses() {
        for (name, extension) in [
            ("a.EXE", "exe"),
            ("a.exe. . .", "exe"),
            ("a.exe\u{200b}", "exe"),
            ("dir.d/a", ""),
            ("..\\..\\a.js", "js"),
            ("a.exe::$DATA", "exe"),
            ("a.pdf        .exe", "exe"),
            ("a. exe", "exe"),
            ("README", ""),
        ] {
            assert_eq!(Name::new(name).extension, extension, "{name:?}");
        }
    }

    #[test]
    fn dangers_have_their_class() {
        for (name, class) in [
            ("a.scr", Some(Class::Executable)),
            ("a.jse", Some(Class::Script)),
            ("a.lnk", Some(Class::Shortcut)),
            ("a.{00021401-0000-0000-c000-000000000046}", Some(Class::Shortcut)),
            ("a.pdf", None),
            ("a.docm", None),
            ("a", None),
        ] {
            assert_eq!(Name::new(name).danger().map(|(class, _)| class), class, "{name}");
        }
    }

    #[test]
    fn deceptions_are_seen_and_honest_names_are_not() {
        for name in [
            "a.pdf.exe",
            "photo\u{202e}gpj.exe",
            "a.pdf                 .scr",
            "a.docx.html",
            "a.pdf .js",
        ] {
            assert!(deception(name).is_some(), "{name:?}");
        }
        for name in [
            "a.tar.gz",
            "v1.2.pdf",
            "a.pdf",
            "setup.exe",
            "backup.2024.zip",
            "שלום\u{200f}.pdf",
            "a.min.js",
            "",
        ] {
            assert_eq!(deception(name), None, "{name:?}");
        }
    }
}
