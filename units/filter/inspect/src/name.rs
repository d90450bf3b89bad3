//! What a file name tells: what a double click would do, and whether the name hides that.

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
            file.chars().filter(|c| !is_invisible(*c) && !c.is_control()).collect();
        let file = visible.trim_end_matches(['.', ' ', '\u{a0}']);
        let file = file.strip_suffix("::$DATA").unwrap_or(file);
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension.trim());
        Name { extension: extension.to_lowercase(), file: file.to_owned() }
    }

    /// The class of what a double click starts, with what it is called.
    pub(crate) fn danger(&self) -> Option<(Class, &'static str)> {
        let extension = self.extension.as_str();
        let listed = |list: &[&str]| list.contains(&extension);
        Some(if listed(PROGRAMS) {
            (Class::Executable, "a program")
        } else if listed(SCRIPTS) {
            (Class::Script, "a script")
        } else if listed(SHORTCUTS) || extension.starts_with('{') {
            (Class::Shortcut, "a shortcut")
        } else {
            return None;
        })
    }
}

/// Why a raw name deceives; nothing if it doesn't.
pub(crate) fn deception(raw: &str) -> Option<&'static str> {
    if raw.chars().any(is_reordering) {
        return Some("its letters are shown in another order than they stand in");
    }
    let name = Name::new(raw);
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

/// Windows, macOS, Android: programs, and what installs or loads them.
const PROGRAMS: &[&str] = &[
    "apk",
    "appimage",
    "application",
    "appref-ms",
    "appx",
    "appxbundle",
    "chm",
    "com",
    "cpl",
    "deb",
    "dll",
    "drv",
    "dmg",
    "elf",
    "exe",
    "ex_",
    "gadget",
    "hlp",
    "jar",
    "jnlp",
    "mde",
    "msc",
    "msi",
    "msix",
    "msixbundle",
    "msp",
    "mst",
    "ocx",
    "pif",
    "pkg",
    "ppa",
    "ppam",
    "rpm",
    "run",
    "scr",
    "sys",
    "wll",
    "xbap",
    "xla",
    "xlam",
    "xll",
];

const SCRIPTS: &[&str] = &[
    "ahk", "au3", "bas", "bat", "bash", "cmd", "command", "csh", "fish", "hta", "inf", "ins",
    "isp", "iqy", "js", "jse", "ksh", "mjs", "ps1", "ps1xml", "ps2", "psc1", "psc2", "psd1",
    "psm1", "py", "pyc", "pyw", "reg", "rgs", "scf", "scpt", "sct", "sh", "shb", "shs", "slk",
    "u3p", "vb", "vbe", "vbs", "vbscript", "workflow", "ws", "wsc", "wsf", "wsh", "zsh",
];

const SHORTCUTS: &[&str] = &[
    "desktop",
    "diagcab",
    "diagcfg",
    "fileloc",
    "inetloc",
    "library-ms",
    "lnk",
    "rdp",
    "search-ms",
    "searchconnector-ms",
    "settingcontent-ms",
    "terminal",
    "theme",
    "themepack",
    "url",
    "webloc",
    "website",
    "xnk",
];

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
