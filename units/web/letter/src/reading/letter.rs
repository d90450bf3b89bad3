//! A message read whole: headers, parts, and the body in the pieces that a page shows one after another.

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode};
use mail_parser::{Encoding, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::attachment::{inline_image_type, is_dangerous, safe_name};
use super::bounds;
use super::calendar::{Event, events};
use super::headers::{self, Headers};
use super::parts::{Part, PartId, UnknownPart};
use super::tnef::{Tnef, read_tnef};

/// Parts that are listed.
const PART_LIMIT: usize = 10_000;
/// Pieces of a body that are shown one after another.
const BLOCK_LIMIT: usize = 100;

/// What a page has to say about a message besides what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Its header is larger than anybody's; the rest of it is not read.
    HeadersCut,
    /// It has more parts than are read.
    TooManyParts,
    /// It is nested deeper than is read.
    TooDeep,
    /// A part's text does not decode as it says; some signs may be wrong.
    Garbled,
    /// It holds Outlook's rich text, which only Outlook shows.
    RichText,
    /// It can't be read as a message at all.
    Unreadable,
}

/// A piece of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// HTML of strangers.
    Html(String),
    /// Plain text, already joined where it was flowed.
    Text(String),
    /// `text/enriched`.
    Enriched(String),
    /// Invitations.
    Calendar(Vec<Event>),
    /// An image that stands in the text.
    Image(PartId),
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// Fields.
    pub headers: Headers,
    /// Parts, outermost first, as a tree read from the top.
    pub parts: Vec<Part>,
    /// The body where HTML is wanted.
    pub html: Vec<Block>,
    /// The body where plain text is wanted.
    pub text: Vec<Block>,
    /// What to say about it.
    pub notices: Vec<Notice>,
}

impl Letter {
    /// The parts that belong into the list of attachments.
    pub fn attachments(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|one| one.is_attachment)
    }

    /// The part that an HTML body means by this Content-ID.
    pub fn by_content_id(&self, id: &str) -> Option<&Part> {
        self.parts.iter().find(|one| one.content_id.as_deref() == Some(id))
    }

    fn say(&mut self, notice: Notice) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }
}

/// Reads a message. Never fails: what can't be read is said in the notices.
pub fn read(message: &[u8]) -> Letter {
    let (bytes, notices) = bounds::bounded(message);
    let mut letter = Letter { notices, ..Letter::default() };
    let Some(parsed) = MessageParser::default().parse(bytes.as_ref()) else {
        letter.say(Notice::Unreadable);
        return letter;
    };
    letter.headers = headers::headers(&parsed);
    list_parts(&mut letter, &parsed);
    letter.html = blocks(&mut letter, &parsed, true);
    letter.text = blocks(&mut letter, &parsed, false);
    letter
}

/// Reads the message in a part of another.
///
/// # Errors
///
/// If there is no such part, or it is no message.
pub fn read_nested(message: &[u8], id: &PartId) -> Result<Letter, UnknownPart> {
    let bytes = content(message, id)?;
    Ok(read(&bytes))
}

/// The decoded bytes of a part; of a message, its source.
///
/// # Errors
///
/// If there is no such part.
pub fn content(message: &[u8], id: &PartId) -> Result<Vec<u8>, UnknownPart> {
    let (bytes, _) = bounds::bounded(message);
    let parsed = MessageParser::default().parse(bytes.as_ref()).ok_or(UnknownPart)?;
    let mut current = &parsed;
    let (last, before) = id.path.split_last().ok_or(UnknownPart)?;
    for number in before {
        let part = current.parts.get(*number as usize).ok_or(UnknownPart)?;
        let PartType::Message(inner) = &part.body else { return Err(UnknownPart) };
        current = inner;
    }
    let part = current.parts.get(*last as usize).ok_or(UnknownPart)?;
    match id.file {
        Some(file) => {
            let mut tnef = read_tnef(part.contents());
            let file = file as usize;
            if file < tnef.files.len() {
                Ok(tnef.files.swap_remove(file).data)
            } else {
                Err(UnknownPart)
            }
        }
        None => Ok(match &part.body {
            // A message that was not encoded shares the bytes of the one around it.
            PartType::Message(inner) if part.encoding == Encoding::None => {
                let range = part.offset_body as usize..part.offset_end as usize;
                inner.raw_message.get(range).unwrap_or_default().to_vec()
            }
            PartType::Message(inner) => inner.raw_message.to_vec(),
            PartType::Text(_) | PartType::Html(_) => {
                raw_bytes(current, part).unwrap_or_else(|| part.contents().to_vec())
            }
            _ => part.contents().to_vec(),
        }),
    }
}

/// A text part's bytes before its charset was applied.
fn raw_bytes(message: &Message<'_>, part: &MessagePart<'_>) -> Option<Vec<u8>> {
    let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize)?;
    match part.encoding {
        Encoding::None => Some(raw.to_vec()),
        Encoding::QuotedPrintable => quoted_printable_decode(raw),
        Encoding::Base64 => base64_decode(raw),
    }
}

/// Western letters for bytes that say nothing about themselves.
pub(super) fn western(bytes: &[u8]) -> String {
    charset_decoder(b"windows-1252")
        .map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), |decode| decode(bytes))
}

/// The text of a part. Without a charset, or with one that nobody knows, UTF-8 is tried, then the charset
/// that HTML names in itself, then Western letters.
fn text_of(message: &Message<'_>, part: &MessagePart<'_>) -> (String, bool) {
    let text = part.text_contents().unwrap_or_default();
    let known = (part.content_type())
        .and_then(|one| one.attribute("charset"))
        .is_some_and(|one| charset_decoder(one.as_bytes()).is_some());
    if !text.contains('\u{fffd}') {
        return (text.to_owned(), part.is_encoding_problem);
    }
    if known {
        return (text.to_owned(), true);
    }
    let Some(raw) = raw_bytes(message, part) else { return (text.to_owned(), true) };
    let named = matches!(part.body, PartType::Html(_)).then(|| named_charset(&raw)).flatten();
    match named.and_then(|one| charset_decoder(one.as_bytes())) {
        Some(decode) => (decode(&raw), false),
        None => (western(&raw), true),
    }
}

/// The charset in the first KiB of HTML: `<meta charset=…>` or the older form.
fn named_charset(html: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&html[..html.len().min(1024)]).to_ascii_lowercase();
    let value = head.split_once("charset=")?.1.trim_start_matches(['"', '\'', ' ']);
    let name: String = value
        .chars()
        .take_while(|one| one.is_ascii_alphanumeric() || "-_".contains(*one))
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The parts of a message and of the messages in it, without recursion.
fn list_parts(letter: &mut Letter, outer: &Message<'_>) {
    struct Step<'a> {
        message: &'a Message<'a>,
        number: u32,
        path: Vec<u32>,
        section: String,
        depth: usize,
    }
    let root_section = |message: &Message<'_>, around: &str| {
        let is_multipart =
            message.parts.first().is_some_and(|one| matches!(one.body, PartType::Multipart(_)));
        match (is_multipart, around.is_empty()) {
            (true, _) => around.to_owned(),
            (false, true) => "1".to_owned(),
            (false, false) => format!("{around}.1"),
        }
    };
    let mut stack = vec![Step {
        message: outer,
        number: 0,
        path: Vec::new(),
        section: root_section(outer, ""),
        depth: 0,
    }];
    while let Some(step) = stack.pop() {
        if letter.parts.len() >= PART_LIMIT {
            letter.say(Notice::TooManyParts);
            break;
        }
        let Some(part) = step.message.parts.get(step.number as usize) else { continue };
        let mut path = step.path.clone();
        path.push(step.number);
        let id = PartId { path, file: None };
        let is_shown = step.path.is_empty()
            && (step.message.html_body.contains(&step.number)
                || step.message.text_body.contains(&step.number));
        let mut described = describe(part, id.clone(), &step.section, step.depth, is_shown);
        // What lies in an attached message belongs to it; it is listed where that is opened.
        described.is_attachment &= step.path.is_empty();
        let media_type = described.media_type.clone();
        let is_tnef =
            matches!(media_type.as_str(), "application/ms-tnef" | "application/vnd.ms-tnef")
                || described.name.eq_ignore_ascii_case("winmail.dat");
        letter.parts.push(described);
        match &part.body {
            PartType::Multipart(children) => {
                for (at, child) in children.iter().enumerate().rev() {
                    let dot = if step.section.is_empty() { "" } else { "." };
                    stack.push(Step {
                        message: step.message,
                        number: *child,
                        path: step.path.clone(),
                        section: format!("{}{dot}{}", step.section, at + 1),
                        depth: step.depth + 1,
                    });
                }
            }
            PartType::Message(inner) => {
                let section = root_section(inner, &step.section);
                stack.push(Step {
                    message: inner,
                    number: 0,
                    path: id.path,
                    section,
                    depth: step.depth + 1,
                });
            }
            _ if is_tnef => list_files(letter, &read_tnef(part.contents()), &id, step.depth + 1),
            _ => {}
        }
    }
}

fn list_files(letter: &mut Letter, tnef: &Tnef, container: &PartId, depth: usize) {
    if tnef.has_rich_text {
        letter.say(Notice::RichText);
    }
    if tnef.is_broken {
        letter.say(Notice::Garbled);
    }
    for (number, file) in tnef.files.iter().enumerate() {
        let name = safe_name(Some(&file.name), "application/octet-stream");
        letter.parts.push(Part {
            id: PartId { path: container.path.clone(), file: u32::try_from(number).ok() },
            section: String::new(),
            depth,
            media_type: "application/octet-stream".into(),
            size: file.data.len(),
            content_id: None,
            is_attachment: true,
            is_message: false,
            is_image: inline_image_type(&file.data).is_some(),
            is_dangerous: is_dangerous(&name),
            name,
        });
    }
}

fn describe(
    part: &MessagePart<'_>,
    id: PartId,
    section: &str,
    depth: usize,
    is_shown: bool,
) -> Part {
    let media_type = match &part.body {
        PartType::Message(_) => "message/rfc822".to_owned(),
        _ => part
            .content_type()
            .map_or_else(|| "text/plain".to_owned(), |one| plain_type(one.ctype(), one.subtype())),
    };
    let is_multipart = matches!(part.body, PartType::Multipart(_));
    let is_message = matches!(part.body, PartType::Message(_));
    let given = part.attachment_name().map(str::to_owned).or_else(|| match &part.body {
        PartType::Message(inner) => {
            inner.subject().map(|subject| format!("{}.eml", subject.replace(['/', '\\'], "_")))
        }
        _ => None,
    });
    let name = safe_name(given.as_deref(), &media_type);
    let size = match &part.body {
        PartType::Message(_) => (part.offset_end.saturating_sub(part.offset_body)) as usize,
        PartType::Multipart(_) => 0,
        _ => part.contents().len(),
    };
    // A text that is shown and has no name of its own is the body, not an attachment.
    let is_body = is_shown && matches!(part.body, PartType::Text(_) | PartType::Html(_));
    Part {
        id,
        section: section.to_owned(),
        depth,
        is_attachment: !is_multipart && !is_body,
        is_message,
        is_image: !is_multipart && !is_message && inline_image_type(part.contents()).is_some(),
        is_dangerous: is_dangerous(&name),
        content_id: part.content_id().map(|one| one.chars().take(500).collect()),
        media_type,
        name,
        size,
    }
}

/// A type of letters, digits and a few signs, so that it can stand on a page.
fn plain_type(main: &str, sub: Option<&str>) -> String {
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|one| one.is_ascii_alphanumeric() || "-.+_".contains(*one))
            .take(80)
            .collect()
    };
    format!("{}/{}", plain(main), plain(sub.unwrap_or("octet-stream"))).to_ascii_lowercase()
}

/// The body in pieces.
fn blocks(letter: &mut Letter, message: &Message<'_>, html: bool) -> Vec<Block> {
    let mut out = Vec::new();
    let list = if html { &message.html_body } else { &message.text_body };
    for number in list.iter().take(BLOCK_LIMIT) {
        let Some(part) = message.parts.get(*number as usize) else { continue };
        match &part.body {
            PartType::Html(_) => out.push(Block::Html(take_text(letter, message, part))),
            PartType::Text(_) => out.push(text_block(letter, message, part)),
            PartType::InlineBinary(bytes) if inline_image_type(bytes).is_some() => {
                out.push(Block::Image(PartId { path: vec![*number], file: None }));
            }
            _ => {}
        }
    }
    let has_text = out.iter().any(|one| !matches!(one, Block::Image(_)));
    for number in message.attachments.iter().take(BLOCK_LIMIT) {
        let Some(part) = message.parts.get(*number as usize) else { continue };
        if part.is_content_type("text", "enriched") && !has_text {
            out.push(Block::Enriched(take_text(letter, message, part)));
        } else if part.is_content_type("text", "calendar") {
            let found = events(&take_text(letter, message, part));
            if !found.is_empty() {
                out.push(Block::Calendar(found));
            }
        } else if part.is_content_type("application", "ms-tnef") && !has_text {
            let tnef = read_tnef(part.contents());
            match (tnef.html, tnef.text) {
                (Some(body), _) if html => out.push(Block::Html(body)),
                (_, Some(text)) => out.push(Block::Text(text)),
                (Some(body), None) => out.push(Block::Html(body)),
                (None, None) => {}
            }
        }
    }
    out
}

fn take_text(letter: &mut Letter, message: &Message<'_>, part: &MessagePart<'_>) -> String {
    let (text, garbled) = text_of(message, part);
    if garbled {
        letter.say(Notice::Garbled);
    }
    text
}

fn text_block(letter: &mut Letter, message: &Message<'_>, part: &MessagePart<'_>) -> Block {
    let text = take_text(letter, message, part);
    let parameter = |name: &str, value: &str| {
        (part.content_type())
            .and_then(|one| one.attribute(name))
            .is_some_and(|one| one.eq_ignore_ascii_case(value))
    };
    if part.is_content_type("text", "enriched") {
        Block::Enriched(text)
    } else if parameter("format", "flowed") {
        Block::Text(crate::text::unflow(&text, parameter("delsp", "yes")))
    } else {
        Block::Text(text)
    }
}
