//! Texts that programs open as something else: documents in one file of XML, tables in SYLK,
//! calendars and address cards with files in them, Office's macros inside a web archive.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::office::{sheet, xml};
use crate::report::Class;
use crate::walk::{Walk, Within};

/// Word 2003 XML, flat OPC, flat OpenDocument: every stretch of base64 is a part of it.
pub(crate) fn flat_document(walk: &mut Walk<'_>, data: &[u8]) {
    /// Shorter ones are identifiers.
    const SHORTEST: usize = 64;
    let label = match data {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => "utf-16le",
        [0xfe, 0xff, ..] | [0, b'<', ..] => "utf-16be",
        _ => "utf-8",
    };
    let text = crate::message::decode_text(data, label);
    let mut reader = Reader::from_str(&text);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut name = String::new();
    loop {
        if walk.is_over() {
            return;
        }
        let coded = match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => {
                for key in ["name", "href"] {
                    if let Some(value) = xml::attribute(&element, key) {
                        name = value;
                    }
                }
                continue;
            }
            Ok(Event::Text(text)) => str::to_owned(text.as_ref()),
            Ok(Event::CData(text)) => str::to_owned(text.as_ref()),
            Ok(Event::Eof) => break,
            Ok(_) => continue,
            Err(_) => {
                walk.find(Class::Ambiguous, "its XML is broken, and programs may read on");
                break;
            }
        };
        let is_code = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'+' | b'/' | b'=')
                || byte.is_ascii_whitespace()
        };
        if coded.len() >= SHORTEST && coded.bytes().all(is_code) {
            let content = crate::message::base64(coded.as_bytes());
            walk.thing(&[&name], &content, Within::Document);
        }
    }
    xml::ooxml(walk, "document.xml", data);
    xml::open_document(walk, "Basic/document.xml", data);
}

/// Macros in a web archive: a header of 50 bytes, and a compound file packed by zlib.
pub(crate) fn active_mime(walk: &mut Walk<'_>, data: &[u8]) {
    let Some(at) = (10..data.len().min(512)).find(|at| {
        data.get(*at) == Some(&0x78)
            && data.get(at + 1).is_some_and(|it| (0x7800 | u32::from(*it)) % 31 == 0)
    }) else {
        return walk
            .find(Class::Ambiguous, "macros in it are packed in a way that can't be undone");
    };
    let packed = data.get(at..).unwrap_or_default();
    let (content, stop) =
        walk.budget.unpack(flate2::read::ZlibDecoder::new(packed), packed.len() as u64);
    let stop = stop.filter(|_| content.is_empty());
    walk.member(&["ActiveMime"], &content, stop, Within::Document);
}

/// SYLK: Excel opens it under any name, and runs Excel 4 macros in it.
pub(crate) fn sylk(walk: &mut Walk<'_>, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut is_macro = false;
    let mut starts = false;
    for line in text.split(['\n', '\r']) {
        if walk.is_over() {
            return;
        }
        let line = line.trim_start();
        let upper = line.to_ascii_uppercase();
        let fields: Vec<&str> = upper.split(';').collect();
        match fields.first().copied() {
            // ;E marks sheets of macros and names of them.
            Some("O") => is_macro |= fields.iter().any(|field| field.starts_with('E')),
            Some("NN") => starts |= upper.contains("AUTO_"),
            Some("C") => {
                let formula = fields.iter().find_map(|field| field.strip_prefix('E'));
                is_macro |= formula.is_some_and(|it| {
                    ["EXEC(", "CALL(", "REGISTER(", "RUN(", "HALT("]
                        .iter()
                        .any(|call| it.contains(call))
                });
                if formula
                    .is_some_and(|it| it.contains("|'") || it.contains('!') && it.contains('|'))
                {
                    walk.find(Class::ActiveDocument, "a cell starts a program (DDE)");
                }
            }
            _ => {}
        }
    }
    if is_macro || starts {
        walk.find(Class::AutoMacro, "it has Excel 4 macros (SYLK)");
    }
    sheet::cells(walk, &text);
}

/// Attachments of calendars (RFC 5545, 3.8.1.1) and address cards (RFC 6350, 6.2.4).
pub(crate) fn card(walk: &mut Walk<'_>, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A long line goes on after a blank.
    let text =
        text.replace("\r\n ", "").replace("\r\n\t", "").replace("\n ", "").replace("\n\t", "");
    for line in text.lines() {
        if walk.is_over() {
            return;
        }
        let lower = line.get(..line.len().min(2000)).unwrap_or(line).to_ascii_lowercase();
        let Some(value) = value_of(line) else { continue };
        let is_coded = lower.contains("encoding=base64")
            || lower.contains("encoding=b")
            || lower.contains(":data:");
        if !is_coded || lower.starts_with("photo") || lower.starts_with("logo") {
            continue;
        }
        let coded = value.rsplit_once("base64,").map_or(value, |(_, coded)| coded);
        let name = ["filename=", "x-filename=", "x-apple-filename=", "fmttype="]
            .iter()
            .find_map(|key| lower.find(key).and_then(|at| line.get(at + key.len()..)))
            .map(|rest| {
                rest.trim_start_matches('"').split(['"', ';', ':']).next().unwrap_or_default()
            });
        let content = crate::message::base64(coded.as_bytes());
        walk.thing(&name.into_iter().collect::<Vec<_>>(), &content, Within::Files);
    }
}

/// What follows the colon that stands outside of quotes.
fn value_of(line: &str) -> Option<&str> {
    let mut quoted = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b':' if !quoted => return line.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// The messages of a mailbox (RFC 4155): each after a line that begins with `From `.
pub(crate) fn mailbox(data: &[u8]) -> Vec<&[u8]> {
    let mut starts = vec![0];
    for at in memchr::memmem::find_iter(data, b"\nFrom ") {
        let rest = data.get(at + 1..).unwrap_or_default();
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let after = rest.get(line.len() + 1..).unwrap_or_default();
        let next = after.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if memchr::memchr(b':', next).is_some() {
            starts.push(at + 1);
        }
    }
    starts.push(data.len());
    starts.windows(2).filter_map(|pair| data.get(pair[0]..pair[1])).collect()
}
