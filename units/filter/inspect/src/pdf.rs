//! PDF (ISO 32000-1): files attached to it, and what starts when it opens. Read without the
//! tables that say where objects are: readers repair what is broken, so every stream counts.

use std::collections::BTreeSet;

use crate::limits::Stop;
use crate::report::Class;
use crate::walk::{Walk, Within};

/// Streams that are looked into in one file; a long book has tens of thousands of objects.
const MOST_STREAMS: usize = 20_000;

/// Looks at dictionaries, object streams and attached files.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let mut texts: Vec<Vec<u8>> = vec![without_streams(data)];
    let mut files: Vec<Vec<u8>> = Vec::new();
    let referred = references(data, b"/EF");
    let scripts = references(data, b"/JS");
    let is_encrypted = memchr::memmem::find(data, b"/Encrypt").is_some();
    let mut count = 0;
    for at in memchr::memmem::find_iter(data, b"stream") {
        // `endstream` ends one.
        if data.get(..at).is_some_and(|it| it.ends_with(b"end")) {
            continue;
        }
        count += 1;
        if walk.is_over() {
            return;
        }
        if count > MOST_STREAMS {
            return walk.find(Class::Limit, format!("it has more than {MOST_STREAMS} streams"));
        }
        let dictionary = dictionary(data, at);
        // The type may be missing; what a file specification refers to is a file all the same.
        let is_file = has(&dictionary, b"/EmbeddedFile")
            || has(&dictionary, b"/Params")
            || number_of(data, at).is_some_and(|number| referred.contains(&number));
        let is_object = has(&dictionary, b"/ObjStm");
        let is_script = number_of(data, at).is_some_and(|number| scripts.contains(&number));
        let is_xfa = !has(&dictionary, b"/Type") && !has(&dictionary, b"/Subtype");
        if !(is_file || is_object || is_script || is_xfa && has(data, b"/XFA")) {
            continue;
        }
        if is_encrypted && is_file {
            walk.find(Class::EncryptedArchive, "a file attached to it is encrypted");
            continue;
        }
        match unfiltered(walk, &dictionary, body(data, at)) {
            (content, _) if is_file => files.push(content),
            (content, _) => texts.push(content),
        }
    }
    let mut names = Vec::new();
    let mut texts_seen = Vec::new();
    for text in &texts {
        texts_seen.extend_from_slice(&plain_names(text));
        texts_seen.push(b'\n');
    }
    if !files.is_empty() || has(&texts_seen, b"/EmbeddedFile") || has(&texts_seen, b"/Filespec") {
        names = file_names(&texts_seen);
    }
    actions(walk, &texts_seen, !files.is_empty());
    let shown: Vec<&str> = names.iter().map(String::as_str).collect();
    if files.len() == 1 && !shown.is_empty() {
        if let Some(content) = files.first() {
            walk.thing(&shown, content, Within::Files);
        }
        return;
    }
    shown.iter().for_each(|name| walk.only_named(name));
    for content in &files {
        walk.thing(&["attached file"], content, Within::Files);
    }
}

/// Whether a script in it hands an attached file over. Text of two bytes a letter is the same
/// without its zeros.
fn exports(text: &[u8]) -> bool {
    let narrow: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0).collect();
    has(&narrow, b"exportDataObject")
}

/// What starts, and whether it does so by itself.
fn actions(walk: &mut Walk<'_>, text: &[u8], has_files: bool) {
    let opens = has(text, b"/OpenAction") || has(text, b"/AA");
    let says = |word: &[u8]| has_word(text, word);
    if says(b"/Launch") {
        walk.find(Class::ActiveDocument, "it starts a program (Launch)");
    }
    let share = [&b"\\\\"[..], b"//", b"file:", b"smb:"];
    // Strings of encrypted documents are noise that begins with anything.
    let is_shown = |word: &[u8]| word.len() > 4 && word.iter().all(|it| (b' '..=b'~').contains(it));
    let (mut is_remote, mut exported) = (false, exports(text));
    let is_all = each_string(text, |word| {
        is_remote |= is_shown(word) && share.iter().any(|start| word.starts_with(start));
        exported |= exports(word);
    });
    if !is_all {
        walk.find(Class::Limit, "it has strings without an end, more than are read");
    }
    let goes = [&b"/GoToR"[..], b"/GoToE", b"/URI", b"/ImportData"];
    if goes.iter().any(|word| says(word)) && is_remote {
        walk.find(Class::ActiveDocument, "it reaches for a file on another machine");
    }
    let scripted = says(b"/JavaScript") || says(b"/JS");
    if scripted && (exported || has_files && opens) {
        walk.find(Class::ActiveDocument, "a script in it opens an attached file");
    } else if scripted && says(b"/GoToE") {
        walk.find(Class::ActiveDocument, "a script in it opens a file inside of it");
    }
    if says(b"/SubmitForm") && opens && is_remote {
        walk.find(Class::ActiveDocument, "it sends a form when it opens");
    }
    if says(b"/RichMedia") && has_files && opens {
        walk.find(Class::ActiveDocument, "it plays a file when it opens");
    }
}

fn has(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}

/// A name that is not the beginning of a longer one.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find_iter(text, word)
        .any(|at| !text.get(at + word.len()).is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

/// The text of a file with the content of its streams left out.
fn without_streams(data: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = data;
    while let Some(at) = memchr::memmem::find(rest, b"stream") {
        let (before, stream) = rest.split_at(at);
        text.extend_from_slice(before);
        let end = memchr::memmem::find(stream, b"endstream");
        rest = end.and_then(|end| stream.get(end + 9..)).unwrap_or_default();
        if end.is_none() {
            text.extend_from_slice(stream.get(6..).unwrap_or_default());
        }
    }
    text.extend_from_slice(rest);
    text
}

/// `/L#61unch` is `/Launch` (7.3.5).
fn plain_names(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'#', rest) {
        let (before, after) = rest.split_at(at);
        plain.extend_from_slice(before);
        rest = match after {
            [_, high, low, tail @ ..] => {
                match (crate::message::hex(*high), crate::message::hex(*low)) {
                    (Some(high), Some(low)) => {
                        plain.push(high << 4 | low);
                        tail
                    }
                    _ => {
                        plain.push(b'#');
                        &after[1..]
                    }
                }
            }
            _ => {
                plain.push(b'#');
                &after[1..]
            }
        };
    }
    plain.extend_from_slice(rest);
    plain
}

/// Numbers of the objects that values of a key refer to: `/EF` (7.11.3) has a dictionary of
/// files, `/JS` (12.6.4.17) the text of a script.
fn references(data: &[u8], key: &[u8]) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    for at in memchr::memmem::find_iter(data, key).take(MOST_STREAMS) {
        let rest = data.get(at + 3..).unwrap_or_default();
        let near = String::from_utf8_lossy(rest.get(..200).unwrap_or(rest)).into_owned();
        let near = near.split(">>").next().unwrap_or_default();
        let words: Vec<&str> = near
            .split(|it: char| !it.is_ascii_alphanumeric())
            .filter(|it| !it.is_empty())
            .collect();
        for three in words.windows(3) {
            if let [number, _, "R"] = three {
                numbers.extend(number.parse::<u32>().ok());
            }
        }
    }
    numbers
}

/// The number of the object that a stream is of.
fn number_of(data: &[u8], stream: usize) -> Option<u32> {
    let before = data.get(stream.saturating_sub(4096)..stream)?;
    let at = memchr::memmem::rfind(before, b"obj")?;
    let head = before.get(at.saturating_sub(32)..at)?;
    let head = String::from_utf8_lossy(head).into_owned();
    let mut words = head.split_whitespace().rev();
    words.next()?;
    words.next()?.parse().ok()
}

/// What stands before a stream, back to its object's beginning.
fn dictionary(data: &[u8], stream: usize) -> Vec<u8> {
    const LONGEST: usize = 4096;
    let before = data.get(stream.saturating_sub(LONGEST)..stream).unwrap_or_default();
    let start =
        memchr::memmem::rfind(before, b" obj").or_else(|| memchr::memmem::rfind(before, b"obj"));
    plain_names(before.get(start.unwrap_or(0)..).unwrap_or_default())
}

fn body(data: &[u8], stream: usize) -> &[u8] {
    let rest = data.get(stream + 6..).unwrap_or_default();
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    let end = memchr::memmem::find(rest, b"endstream").unwrap_or(rest.len());
    rest.get(..end).unwrap_or(rest)
}

/// Undoes the filters of a stream, in their order (7.4).
fn unfiltered(walk: &mut Walk<'_>, dictionary: &[u8], packed: &[u8]) -> (Vec<u8>, Option<Stop>) {
    let mut filters: Vec<(usize, u8)> = Vec::new();
    for (names, code) in [
        ([&b"/FlateDecode"[..], &b"/Fl"[..]], b'f'),
        ([&b"/ASCIIHexDecode"[..], &b"/AHx"[..]], b'h'),
        ([&b"/ASCII85Decode"[..], &b"/A85"[..]], b'8'),
        ([&b"/LZWDecode"[..], &b"/LZW"[..]], b'l'),
        ([&b"/RunLengthDecode"[..], &b"/RL"[..]], b'r'),
        ([&b"/Crypt"[..], &b"/Crypt"[..]], b'c'),
    ] {
        for name in names {
            let is_whole = |at: &usize| {
                !dictionary.get(at + name.len()).is_some_and(u8::is_ascii_alphanumeric)
            };
            let places = memchr::memmem::find_iter(dictionary, name).filter(is_whole);
            filters.extend(places.map(|at| (at, code)));
        }
    }
    filters.sort_unstable();
    filters.dedup();
    /// One of the same kind over another is made to hide; more of them, to keep somebody busy.
    const MOST_FILTERS: usize = 8;
    filters.truncate(MOST_FILTERS);
    let mut content = packed.to_vec();
    let mut stop = None;
    for (_, code) in filters {
        let size = content.len() as u64;
        (content, stop) = match code {
            b'f' => {
                let (plain, stop) =
                    walk.budget.unpack(flate2::read::ZlibDecoder::new(content.as_slice()), size);
                (plain, stop)
            }
            b'h' => (hexadecimal(&content), None),
            b'8' => (base85(&content), None),
            _ => {
                walk.find(
                    Class::Ambiguous,
                    "a stream of it is packed in a way that can't be undone here",
                );
                return (Vec::new(), None);
            }
        };
        if let Some(Stop::Limit(reason)) = &stop {
            walk.find(Class::Limit, reason.clone());
            break;
        }
    }
    (content, stop)
}

fn hexadecimal(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = text
        .iter()
        .take_while(|byte| **byte != b'>')
        .filter_map(|byte| crate::message::hex(*byte))
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect()
}

fn base85(text: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let (mut group, mut held) = (0u32, 0usize);
    for byte in text.iter().take_while(|byte| **byte != b'~') {
        match byte {
            b'z' if held == 0 => output.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(byte - b'!'));
                held += 1;
                if held == 5 {
                    output.extend_from_slice(&group.to_be_bytes());
                    (group, held) = (0, 0);
                }
            }
            _ => {}
        }
    }
    if held > 1 {
        for _ in held..5 {
            group = group.wrapping_mul(85).wrapping_add(84);
        }
        output.extend(group.to_be_bytes().iter().take(held - 1));
    }
    output
}

/// Hands every string (7.3.4) to `each`, as bytes; of long ones the beginning. Returns false if it
/// gave up: strings that never end cost a look at all that follows, each of them.
fn each_string(text: &[u8], mut each: impl FnMut(&[u8])) -> bool {
    const LONGEST: usize = 2000;
    const MOST: usize = 32 << 20;
    let mut looked_at = 0;
    for start in memchr::memchr2_iter(b'(', b'<', text) {
        let rest = text.get(start + 1..).unwrap_or_default();
        let near = rest.get(..LONGEST).unwrap_or(rest);
        let bytes = match text.get(start) {
            Some(b'(') => literal(near),
            _ if near.first() == Some(&b'<') => continue,
            _ => {
                let end = memchr::memchr(b'>', near).unwrap_or(near.len());
                looked_at += end;
                hexadecimal(near.get(..end).unwrap_or_default())
            }
        };
        looked_at += bytes.len();
        if looked_at > MOST {
            return false;
        }
        if !bytes.is_empty() {
            each(&bytes);
        }
    }
    true
}

/// The values of `/F` and `/UF` in file specifications (7.11.3), and names in name trees.
fn file_names(text: &[u8]) -> Vec<String> {
    const MOST: usize = 200;
    let mut names: Vec<String> = Vec::new();
    // `actions` reads the same strings, and says that they are too many.
    each_string(text, |bytes| {
        let name = match bytes {
            [0xfe, 0xff, rest @ ..] => crate::message::decode_text(rest, "utf-16be"),
            _ => crate::message::decode_text(bytes, "windows-1252"),
        };
        let is_name = name.len() < 300 && !name.contains('\n') && name.contains('.');
        let extension = crate::name::Name::new(&name).extension;
        let is_name = is_name && (1..=16).contains(&extension.len());
        // A link to a page has an ending too, and is no file.
        if is_name && !name.contains("://") && names.len() < MOST && !names.contains(&name) {
            names.push(name);
        }
    });
    names
}

fn literal(text: &[u8]) -> Vec<u8> {
    const LONGEST: usize = 1024;
    let mut bytes = Vec::new();
    let mut depth = 1;
    let mut rest = text.iter().copied().take(LONGEST).peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            b'\\' => {
                let mut value = 0u32;
                let mut digits = 0;
                while let Some(digit) =
                    rest.next_if(|byte| digits < 3 && (b'0'..=b'7').contains(byte))
                {
                    value = value << 3 | u32::from(digit - b'0');
                    digits += 1;
                }
                if digits > 0 {
                    bytes.push((value & 0xff) as u8);
                } else if let Some(next) = rest.next().filter(|it| !matches!(it, b'\r' | b'\n')) {
                    bytes.push(next);
                }
                continue;
            }
            _ => {}
        }
        bytes.push(byte);
    }
    bytes
}
