//! OLE compound files ([MS-CFB]): Word, Excel and PowerPoint before 2007, the macros of later
//! ones, Outlook messages, installers, and objects inside documents.

use std::io::Read;
use std::path::Path;

use super::{powerpoint, sheet, source, vba};
use crate::archive::Timed;
use crate::limits::Stop;
use crate::report::Class;
use crate::walk::{Walk, Within};

type File<'a> = cfb::CompoundFile<Timed<'a>>;

/// The class of installers (MSI), and of patches and transforms for them.
const INSTALLERS: [&str; 3] = [
    "000c1084-0000-0000-c000-000000000046",
    "000c1086-0000-0000-c000-000000000046",
    "000c1082-0000-0000-c000-000000000046",
];

/// Streams of Outlook's messages ([MS-OXMSG]): an attachment's content and its names.
const ATTACHED: &str = "__substg1.0_37010102";
const ATTACHED_NAMES: [&str; 4] = [
    "__substg1.0_3707001F",
    "__substg1.0_3707001E",
    "__substg1.0_3704001F",
    "__substg1.0_3704001E",
];

/// Looks into every stream.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut file = match cfb::CompoundFile::open(Timed::new(data, walk.budget.deadline)) {
        Ok(file) => file,
        Err(error) => {
            walk.stopped(Some(Stop::Damaged(error.to_string())));
            // Word opens some of what this can't; sources can still be told by how they begin.
            return module(walk, data);
        }
    };
    let class = file.root_entry().clsid().to_string();
    if INSTALLERS.contains(&class.as_str()) {
        walk.find(Class::Executable, "its content is an installer (Windows)");
    }
    let most = usize::try_from(walk.budget.limits.entries).unwrap_or(usize::MAX);
    let paths: Vec<_> = file
        .walk()
        .filter(cfb::Entry::is_stream)
        .take(most)
        .map(|entry| entry.path().to_path_buf())
        .collect();
    let has_project = paths.iter().any(|path| file_name(path).eq_ignore_ascii_case("_VBA_PROJECT"));
    let mut sources = 0;
    for path in &paths {
        if walk.is_over() {
            return;
        }
        let Some(content) = read(walk, &mut file, path, data.len()) else { continue };
        if has_project && is_module(path) {
            sources += vba::sources(&content, most_source(walk)).len();
            module(walk, &content);
        }
        stream(walk, &mut file, path, &content, data.len());
    }
    if has_project && sources == 0 {
        walk.find(
            Class::AutoMacro,
            "it has macros whose source was taken away, so that only the compiled code is left",
        );
    }
}

fn most_source(walk: &Walk<'_>) -> usize {
    usize::try_from(walk.budget.limits.part_bytes).unwrap_or(usize::MAX).min(16 << 20)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_module(path: &Path) -> bool {
    let parent = path.parent().map(file_name).unwrap_or_default();
    let name = file_name(path).to_ascii_lowercase();
    parent.eq_ignore_ascii_case("VBA")
        && name != "dir"
        && name != "_vba_project"
        && !name.starts_with("__srp_")
}

fn read(walk: &mut Walk<'_>, file: &mut File<'_>, path: &Path, packed: usize) -> Option<Vec<u8>> {
    let stream = match file.open_stream(path) {
        Ok(stream) => stream,
        Err(error) => {
            walk.find_in(&file_name(path), Class::Damaged, crate::shown(&error.to_string()));
            return None;
        }
    };
    // A stream can't be longer than the file it stands in.
    let (content, stop) = walk.budget.unpack(stream.take(packed as u64), packed as u64);
    walk.stopped(stop);
    Some(content)
}

/// The sources in a module's stream.
fn module(walk: &mut Walk<'_>, content: &[u8]) {
    for text in vba::sources(content, most_source(walk)) {
        source(walk, &text);
    }
}

fn stream(walk: &mut Walk<'_>, file: &mut File<'_>, path: &Path, content: &[u8], packed: usize) {
    let name = file_name(path);
    match name.as_str() {
        "EncryptedPackage" | "EncryptedStream" => {
            walk.find(Class::EncryptedArchive, "the document needs a password")
        }
        "WordDocument" => word(walk, content),
        "1Table" | "0Table" => {}
        "Workbook" | "Book" => sheet::workbook(walk, content),
        "PowerPoint Document" => powerpoint::walk(walk, content),
        "Equation Native" => walk.find(
            Class::ActiveDocument,
            "an object of the old Equation Editor, which attacks have used since 2017",
        ),
        "\u{1}Ole10Native" => native(walk, content),
        "\u{1}Ole" => link(walk, content),
        "Package" | "CONTENTS" => walk.thing(&[], content, Within::Document),
        ATTACHED => {
            let mut names = Vec::new();
            for sibling in ATTACHED_NAMES {
                let path = path.with_file_name(sibling);
                if file.is_stream(&path) {
                    names.extend(
                        read(walk, file, &path, packed)
                            .map(|raw| text(&raw, sibling.ends_with('F'))),
                    );
                }
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            walk.thing(&names, content, Within::Files);
        }
        _ => {}
    }
}

fn text(raw: &[u8], is_wide: bool) -> String {
    let text = crate::message::decode_text(raw, if is_wide { "utf-16le" } else { "windows-1252" });
    text.trim_end_matches('\0').to_owned()
}

/// An embedded file ([MS-OLEDS] 2.3.6): label, path, command, content.
pub(crate) fn native(walk: &mut Walk<'_>, content: &[u8]) {
    let Some((name, file)) = package(content.get(4..).unwrap_or_default()) else {
        // Objects of other programs have no names in front.
        return walk.thing(&["object"], content.get(4..).unwrap_or_default(), Within::Document);
    };
    walk.find_in(&name, Class::ActiveDocument, "a file is embedded in the document");
    walk.thing(&[&name], file, Within::Files);
}

/// Name and content of a package, whose fields are: two bytes, label, path, four bytes, length and
/// text of a command, length and bytes of the file.
pub(crate) fn package(bytes: &[u8]) -> Option<(String, &[u8])> {
    let rest = bytes.strip_prefix(&[2, 0])?;
    let (label, rest) = string(rest)?;
    let (path, rest) = string(rest)?;
    let length = |bytes: &[u8]| {
        bytes
            .get(..4)?
            .try_into()
            .ok()
            .map(u32::from_le_bytes)
            .and_then(|length| usize::try_from(length).ok())
    };
    let rest = rest.get(4..)?;
    let rest = rest.get(length(rest)?.checked_add(4)?..)?;
    let size = length(rest)?;
    let body = rest.get(4..)?;
    let name = if label.is_empty() { path } else { label };
    Some((name, body.get(..size).unwrap_or(body)))
}

fn string(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    let text = crate::message::decode_text(bytes.get(..end)?, "windows-1252");
    Some((text, bytes.get(end + 1..)?))
}

/// An object that is a link: [MS-OLEDS] 2.3.3, a flag, and a moniker with an address in it.
fn link(walk: &mut Walk<'_>, content: &[u8]) {
    let is_link = content.get(4).is_some_and(|flags| flags & 1 != 0);
    let wide: Vec<u8> = b"http".iter().flat_map(|byte| [*byte, 0]).collect();
    let has_address = memchr::memmem::find(content, b"http").is_some()
        || memchr::memmem::find(content, &wide).is_some();
    if is_link && has_address {
        walk.find(
            Class::ActiveDocument,
            "an object is fetched from elsewhere when the document opens",
        );
    }
}

/// Word's main stream ([MS-DOC] 2.5.2): whether it is encrypted, and its fields.
fn word(walk: &mut Walk<'_>, content: &[u8]) {
    const IS_ENCRYPTED: u8 = 1;
    if content.get(11).is_some_and(|flags| flags & IS_ENCRYPTED != 0) {
        return walk.find(Class::EncryptedArchive, "the document needs a password");
    }
    // A field stands between these characters, in one byte or in two per letter.
    const BEGIN: u8 = 0x13;
    for at in memchr::memchr_iter(BEGIN, content) {
        let rest = content.get(at + 1..).unwrap_or_default();
        let rest = rest.get(..400).unwrap_or(rest);
        let letters: Vec<u8> = match rest.first() {
            Some(0) => rest.iter().skip(1).step_by(2).copied().collect(),
            _ => rest.to_vec(),
        };
        let end =
            letters.iter().position(|byte| matches!(byte, 0x14 | 0x15)).unwrap_or(letters.len());
        let instruction: String = letters
            .iter()
            .take(end)
            .map(|byte| if *byte == BEGIN { ' ' } else { char::from(*byte) })
            .collect();
        super::field(walk, &instruction);
    }
}
