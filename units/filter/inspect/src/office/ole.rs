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
            walk.stopped(Some(Stop::Unseen(error.to_string())));
            // Word opens some of what this can't; sources can still be told by how they begin.
            return module(walk, data, None);
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
    if paths.len() == most {
        walk.find(Class::Limit, format!("there are more than {most} things in it"));
    }
    let is_project = |path: &std::path::PathBuf| is_called(path, "_VBA_PROJECT");
    let has_project = paths.iter().any(is_project);
    let mut modules = Vec::new();
    for path in paths.iter().filter(|path| is_called(path, "dir")) {
        let dir = read(walk, &mut file, path, data.len()).unwrap_or_default();
        modules.extend(vba::modules(&dir, most_source(walk)));
    }
    let mut stomped = false;
    let mut sources = 0;
    for path in &paths {
        if walk.is_over() {
            return;
        }
        let Some(content) = read(walk, &mut file, path, data.len()) else { continue };
        let listed = modules.iter().find(|(name, _)| is_called(path, name));
        if has_project && (is_module(path) || listed.is_some()) {
            let texts = vba::sources(&content, listed.map(|it| it.1), most_source(walk));
            sources += texts.len();
            // Compiled code stands before the source; that of a module without code is short.
            let compiled = listed.map_or(0, |it| it.1);
            let has_code = texts.iter().any(|text| vba::has_code(text));
            let code = content.get(..compiled).filter(|it| !it.is_empty()).unwrap_or(&content);
            stomped |= !texts.is_empty()
                && !has_code
                && (compiled > EMPTY_MODULE || vba::names_a_trigger(code))
                || texts.is_empty() && compiled > 0;
            texts.iter().for_each(|text| source(walk, text));
        }
        stream(walk, &mut file, path, &content, data.len());
    }
    if stomped || has_project && sources == 0 {
        walk.find(
            Class::AutoMacro,
            "it has macros whose source was taken away, so that only the compiled code is left",
        );
    }
}

/// Bytes of compiled code that Office writes for a module without procedures, and some more.
const EMPTY_MODULE: usize = 1800;

/// Names in compound files know no case ([MS-CFB] 2.6.4).
fn is_called(path: &Path, name: &str) -> bool {
    file_name(path).to_lowercase() == name.to_lowercase()
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
fn module(walk: &mut Walk<'_>, content: &[u8], offset: Option<usize>) {
    for text in vba::sources(content, offset, most_source(walk)) {
        source(walk, &text);
    }
}

fn stream(walk: &mut Walk<'_>, file: &mut File<'_>, path: &Path, content: &[u8], packed: usize) {
    let name = file_name(path).to_lowercase();
    match name.as_str() {
        "encryptedpackage" => {
            let info = paths_info(walk, file, path, packed);
            match super::locked::default_password(&info, content) {
                Some(plain) => {
                    // Excel tries this password of itself: whoever opens the file sees no question.
                    walk.find(Class::EncryptedArchive, "it is locked with Excel's own password");
                    walk.thing(&["unlocked document"], &plain, Within::Document);
                }
                None => walk.find(Class::EncryptedArchive, "the document needs a password"),
            }
        }
        "encryptedstream" => walk.find(Class::EncryptedArchive, "the document needs a password"),
        "worddocument" => word(walk, content),
        "1table" | "0table" => {}
        "workbook" | "book" => sheet::workbook(walk, content),
        "powerpoint document" => powerpoint::walk(walk, content),
        // MathType writes the same stream; what attacks have used has a long font name in it.
        "equation native" if is_old_equation(content) => walk.find(
            Class::ActiveDocument,
            "an object of the old Equation Editor, which attacks have used since 2017",
        ),
        "equation native" => walk.find(Class::Macro, "an equation as an object"),
        "\u{1}ole10native" => native(walk, content),
        "\u{1}ole" => link(walk, content),
        "package" | "contents" => walk.thing(&[], content, Within::Document),
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

/// What stands beside an encrypted package.
fn paths_info(walk: &mut Walk<'_>, file: &mut File<'_>, path: &Path, packed: usize) -> Vec<u8> {
    let path = path.with_file_name("EncryptionInfo");
    if file.is_stream(&path) {
        read(walk, file, &path, packed).unwrap_or_default()
    } else {
        Vec::new()
    }
}

/// The records of an equation (MTEF 3): a font's name longer than the buffer it is copied to
/// (CVE-2017-11882, CVE-2018-0802), or bytes that are no records.
fn is_old_equation(content: &[u8]) -> bool {
    let records = content.get(28..).unwrap_or_default();
    let is_version = matches!(records.first(), Some(2 | 3 | 5));
    let is_long = records.windows(2).enumerate().any(|(at, pair)| {
        pair[0] == 8
            && records
                .get(at + 3..)
                .is_some_and(|name| memchr::memchr(0, name).unwrap_or(name.len()) > 32)
    });
    !is_version || is_long && records.first() != Some(&5)
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
    if crate::kind::Kind::is_plainly_harmless(file) {
        walk.find_in(&name, Class::Macro, "a picture or a PDF is embedded in the document");
    } else {
        walk.find_in(&name, Class::ActiveDocument, "a file is embedded in the document");
    }
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
        if walk.is_over() || walk.found_here(|class| class == Class::ActiveDocument) {
            return;
        }
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
