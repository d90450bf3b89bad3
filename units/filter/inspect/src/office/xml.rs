//! Documents made of XML: OOXML (ECMA-376) and OpenDocument (OASIS). One part at a time.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{field, source};
use crate::report::Class;
use crate::walk::Walk;

/// Relationships whose target a program fetches when the document opens (ECMA-376-1, 15).
const FETCHED: &[&str] = &[
    "attachedtemplate",
    "oleobject",
    "frame",
    "subdocument",
    "externallink",
    "control",
    "afchunk",
    "package",
    "xmlmaps",
];

/// Whether a target is on another machine, as Word writes it and as Windows reads it: slashes of
/// either kind, `file:///` before a share, white space in between.
fn is_remote(target: &str) -> bool {
    let coded = target.contains('%').then(|| crate::name::percent(target));
    coded.is_some_and(|plain| is_elsewhere(&plain)) || is_elsewhere(target)
}

fn is_elsewhere(target: &str) -> bool {
    let plain: String = target
        .chars()
        .filter(|it| !it.is_whitespace() && !it.is_control())
        .map(|it| if it == '\\' { '/' } else { it.to_ascii_lowercase() })
        .collect();
    let rest = plain.strip_prefix("mhtml:").or(plain.strip_prefix("script:")).unwrap_or(&plain);
    if rest.len() < plain.len() {
        return true;
    }
    match rest.strip_prefix("file:") {
        // `file:///C:/…` is this disk; `file:////host`, `file://host` are not.
        Some(path) => {
            let slashes = path.len() - path.trim_start_matches('/').len();
            let host = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            let is_drive = host.len() == 2 && host.ends_with([':', '|']);
            !is_drive && (slashes >= 4 || slashes == 2) && host != "localhost"
        }
        None => {
            let scheme = rest.split_once(':').map(|(scheme, _)| scheme);
            rest.starts_with("//")
                || scheme.is_some_and(|it| {
                    it.len() > 1 && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
                })
        }
    }
}

/// Whether a target names a program or a script.
fn is_local(target: &str) -> bool {
    let target = target.split(['?', '#']).next().unwrap_or_default();
    crate::name::Name::new(target).danger().is_some()
}

/// Looks at one part of an OOXML document.
pub(crate) fn ooxml(walk: &mut Walk<'_>, name: &str, content: &[u8]) {
    let lower = name.to_ascii_lowercase();
    if lower.replace('\\', "/").contains("macrosheets/") {
        walk.find(Class::AutoMacro, "it has a sheet of Excel 4 macros");
    }
    if lower.contains("/activex/") && lower.ends_with(".bin") {
        walk.find(Class::ActiveDocument, "it has an ActiveX control");
    }
    if !lower.ends_with(".xml") && !lower.ends_with(".rels") && !lower.ends_with(".vml") {
        return;
    }
    let mut instruction = String::new();
    each(walk, content, |walk, event| match event {
        Seen::Element(name, element) => {
            ooxml_element(walk, name, element);
            // Simple fields stand in an attribute, others end at the end of their paragraph.
            if name == "p" || name == "fldSimple" {
                field(walk, &std::mem::take(&mut instruction));
            }
        }
        Seen::Text("instrText" | "delInstrText", text) => instruction.push_str(text),
        Seen::Text("binData", _) => {}
        Seen::Text(..) => {}
    });
    field(walk, &instruction);
}

fn ooxml_element(walk: &mut Walk<'_>, name: &str, element: &BytesStart<'_>) {
    let value = |key: &str| attribute(element, key);
    match name {
        "Relationship"
            if value("TargetMode").is_some_and(|mode| mode.eq_ignore_ascii_case("external")) =>
        {
            let (kind, target) =
                (value("Type").unwrap_or_default(), value("Target").unwrap_or_default());
            let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
            // A workbook's link to another on the same disk is everyday; one to a server is not.
            let lower = kind.to_ascii_lowercase();
            let lower = lower.strip_prefix("xl").unwrap_or(&lower);
            let is_fetched = FETCHED.iter().any(|it| lower.starts_with(it));
            let is_program = value("action").is_some() && is_local(&target);
            if is_fetched && is_remote(&target) || is_program {
                let reason = format!("it fetches {} when it opens ({kind})", crate::shown(&target));
                walk.find(Class::ActiveDocument, reason);
            }
        }
        // A click or a mere touch that starts a program or runs a macro (PresentationML 19.3).
        "hlinkClick" | "hlinkMouseOver" | "hlinkHover" => {
            let action = value("action").unwrap_or_default().to_ascii_lowercase();
            if action.contains("ppaction://program") {
                walk.find(Class::ActiveDocument, "a shape starts a program");
            } else if action.contains("ppaction://macro") || action.contains("ppaction://ole") {
                walk.find(Class::ActiveDocument, "a shape runs a macro or an object");
            }
        }
        "ddeLink" => walk.find(Class::ActiveDocument, "a link starts a program (DDE)"),
        // The kind of a sheet, wherever its part lies (SpreadsheetML, [MS-OFFMACRO2] 2.2.1).
        "macrosheet" => walk.find(Class::AutoMacro, "it has a sheet of Excel 4 macros"),
        "Override" | "Default"
            if value("ContentType").is_some_and(|it| {
                let it = it.to_ascii_lowercase();
                it.contains("macrosheet") || it.contains("intlmacrosheet")
            }) =>
        {
            walk.find(Class::AutoMacro, "it has a sheet of Excel 4 macros");
        }
        "oleLink" => walk.find(Class::ActiveDocument, "a linked object"),
        "fldSimple" => field(walk, &value("instr").unwrap_or_default()),
        "definedName"
            if value("name")
                .is_some_and(|name| name.to_ascii_lowercase().contains("auto_open")) =>
        {
            walk.find(Class::AutoMacro, "Excel 4 macros start by themselves (Auto_Open)");
        }
        _ => {}
    }
}

/// Looks at one part of an OpenDocument file.
pub(crate) fn open_document(walk: &mut Walk<'_>, name: &str, content: &[u8]) {
    let lower = name.to_ascii_lowercase().replace('\\', "/");
    if lower.starts_with("scripts/") && !lower.ends_with('/') {
        walk.find(Class::Macro, "it has scripts");
        return source(walk, &String::from_utf8_lossy(content));
    }
    if !lower.ends_with(".xml") {
        return;
    }
    let is_basic = lower.starts_with("basic/") || lower.contains("/basic/");
    let mut code = String::new();
    each(walk, content, |walk, event| match event {
        Seen::Element("encryption-data", _) => {
            walk.find(Class::EncryptedArchive, "the document needs a password")
        }
        Seen::Element("dde-connection-decl" | "dde-source" | "dde-link", _) => {
            walk.find(Class::ActiveDocument, "a link starts a program (DDE)");
        }
        Seen::Element("event-listener", element) => listener(walk, element),
        Seen::Element("table-cell", element)
            if attribute(element, "formula").is_some_and(|formula| formula.contains("DDE(")) =>
        {
            walk.find(Class::ActiveDocument, "a cell starts a program (DDE)");
        }
        Seen::Text("module" | "source-code", text) if is_basic => code.push_str(text),
        _ => {}
    });
    if is_basic {
        source(walk, &code);
    }
}

/// A macro bound to an event: those of the whole document come without a click.
fn listener(walk: &mut Walk<'_>, element: &BytesStart<'_>) {
    let event = attribute(element, "event-name").unwrap_or_default();
    let is_script =
        attribute(element, "href").is_some_and(|target| target.contains("vnd.sun.star.script"));
    let by_itself = ["load", "open", "new", "start", "close", "focus", "unload", "print", "save"];
    let is_auto = by_itself.iter().any(|word| event.to_ascii_lowercase().contains(word));
    if is_script && is_auto {
        walk.find(Class::AutoMacro, format!("a macro starts by itself ({})", crate::shown(&event)));
    } else if is_script {
        walk.find(Class::Macro, format!("a macro is bound to an event ({})", crate::shown(&event)));
    }
}

enum Seen<'a> {
    Element(&'a str, &'a BytesStart<'a>),
    /// The innermost element and a piece of its text.
    Text(&'a str, &'a str),
}

/// Reads XML to its end or its first defect; names without their prefix.
fn each(walk: &mut Walk<'_>, content: &[u8], mut look: impl FnMut(&mut Walk<'_>, Seen<'_>)) {
    let text = text(content);
    // What doesn't begin like XML is encrypted, or for nobody to read.
    if !text.trim_start().starts_with('<') {
        return;
    }
    let mut reader = Reader::from_str(&text);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut inner = String::new();
    loop {
        if walk.is_over() {
            return;
        }
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                inner = local(element.local_name().as_ref());
                look(walk, Seen::Element(&inner, &element));
            }
            Ok(Event::Empty(element)) => {
                look(walk, Seen::Element(&local(element.local_name().as_ref()), &element));
            }
            Ok(Event::Text(text)) => look(walk, Seen::Text(&inner, text.as_ref())),
            Ok(Event::CData(text)) => look(walk, Seen::Text(&inner, text.as_ref())),
            Ok(Event::GeneralRef(name)) => {
                let letters = entity(name.as_ref());
                look(walk, Seen::Text(&inner, &letters));
            }
            Ok(Event::Eof) => return,
            Ok(_) => {}
            Err(error) => {
                return walk.find(
                    Class::Ambiguous,
                    format!("its XML is broken: {}", crate::shown(&error.to_string())),
                );
            }
        }
    }
}

/// Parts may be in UTF-16, which an office program reads as well.
fn text(content: &[u8]) -> std::borrow::Cow<'_, str> {
    let label = match content {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => "utf-16le",
        [0xfe, 0xff, ..] | [0, b'<', ..] => "utf-16be",
        _ => {
            return String::from_utf8_lossy(
                content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content),
            );
        }
    };
    crate::message::decode_text(content, label).into()
}

fn local(name: &str) -> String {
    name.to_owned()
}

/// What a reference stands for: `&#68;` and `&#x44;` are letters like any others.
fn entity(name: &str) -> String {
    let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => number.parse().ok(),
    });
    if let Some(letter) = number.and_then(char::from_u32) {
        return letter.to_string();
    }
    match name {
        "quot" => "\"",
        "apos" => "'",
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        _ => " ",
    }
    .to_owned()
}

/// An attribute by its name without prefix.
pub(crate) fn attribute(element: &BytesStart<'_>, key: &str) -> Option<String> {
    let mut attributes = element.attributes();
    let attributes = attributes.with_checks(false).flatten();
    let found =
        attributes.into_iter().find(|attribute| attribute.key.local_name().as_ref() == key)?;
    let raw = found.value.clone().into_owned();
    let plain = quick_xml::escape::unescape(&raw).map(std::borrow::Cow::into_owned);
    Some(plain.unwrap_or(raw))
}
