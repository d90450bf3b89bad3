//! What other readers than [`super::split`] see in a message: mail-parser, which the mail server
//! itself is made with, and a cut at everything that any program takes for a boundary.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Instant;

use mail_parser::{MessageParser, MimeHeaders, PartType};

use super::{ContentType, Encoding, Fields, Leaf, Split, header};

/// Pieces that a message is cut into at most; what is beyond is not looked for twice.
const MOST_PIECES: usize = 5000;

/// Every part that another reader sees and `split` has not, or has under other names; `contents`
/// are those of the leaves of `split`.
pub(crate) fn others(
    message: &[u8],
    split: &Split,
    contents: &[Cow<'_, [u8]>],
    deadline: Instant,
) -> Vec<(Leaf, Vec<u8>)> {
    let mut found: Vec<(Leaf, Vec<u8>)> = Vec::new();
    let mut add = |leaf: Leaf, content: Vec<u8>| {
        let same = |known: &Leaf, bytes: &[u8]| {
            trimmed(bytes) == trimmed(&content)
                && leaf.names.iter().all(|name| is_known(name, &known.names))
        };
        let is_plain = leaf.names.is_empty() && !leaf.is_attachment && is_text(&content);
        let is_known = split.leaves.iter().zip(contents).any(|(known, bytes)| same(known, bytes))
            || found.iter().any(|(known, bytes)| same(known, bytes));
        if !content.is_empty() && !is_plain && !is_known {
            found.push((leaf, content));
        }
    };
    of_mail_parser(message, split, &mut add);
    pieces(message, split, deadline, &mut add);
    found
}

/// The parts as the mail server's parser cuts and names them.
fn of_mail_parser(message: &[u8], split: &Split, add: &mut impl FnMut(Leaf, Vec<u8>)) {
    let Some(parsed) = MessageParser::default().parse(message) else { return };
    for part in &parsed.parts {
        let range = part.offset_body as usize..part.offset_end as usize;
        if matches!(part.body, PartType::Multipart(_)) {
            continue;
        }
        let mut names = Vec::new();
        for name in [
            part.attachment_name(),
            part.content_type().and_then(|kind| kind.attribute("name")),
            part.content_disposition().and_then(|kind| kind.attribute("filename")),
        ] {
            names.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
        }
        names.dedup();
        let is_cut_alike =
            |leaf: &&Leaf| leaf.body.start == range.start && leaf.body.end.abs_diff(range.end) <= 2;
        let is_decoded_alike = |leaf: &&Leaf| {
            let encoding = match part.encoding {
                mail_parser::Encoding::Base64 => Encoding::Base64,
                mail_parser::Encoding::QuotedPrintable => Encoding::QuotedPrintable,
                mail_parser::Encoding::None => Encoding::Identity,
            };
            leaf.encoding == encoding || leaf.encoding == Encoding::Uuencode
        };
        let known = split.leaves.iter().find(is_cut_alike).filter(is_decoded_alike);
        if known.is_some_and(|leaf| names.iter().all(|name| is_known(name, &leaf.names))) {
            continue;
        }
        let content = match &part.body {
            PartType::Message(inner) => inner.raw_message.to_vec(),
            _ => part.contents().to_vec(),
        };
        let kind = part.content_type();
        let content_type = ContentType {
            main: kind.map_or("text", |kind| kind.ctype()).to_ascii_lowercase(),
            sub: kind.and_then(|kind| kind.subtype()).unwrap_or("plain").to_ascii_lowercase(),
            parameters: Vec::new(),
        };
        let is_attachment = part
            .content_disposition()
            .is_some_and(|it| it.ctype().eq_ignore_ascii_case("attachment"));
        let encoding = Encoding::Identity;
        let header = part.offset_header as usize..range.start;
        let leaf = Leaf {
            header,
            body: range,
            is_whole: false,
            content_type,
            encoding,
            names,
            is_attachment,
        };
        add(leaf, content);
    }
}

/// Cuts at every occurrence of every boundary, wherever in a line it stands, and undoes every
/// transfer encoding that a piece names.
fn pieces(message: &[u8], split: &Split, deadline: Instant, add: &mut impl FnMut(Leaf, Vec<u8>)) {
    let mut waiting: Vec<(Range<usize>, Vec<String>)> = vec![(0..message.len(), Vec::new())];
    let mut count = 0;
    while let Some((range, known)) = waiting.pop() {
        count += 1;
        if count > MOST_PIECES || Instant::now() >= deadline {
            return;
        }
        let bytes = message.get(range.clone()).unwrap_or_default();
        // Programs that end lines at a bare CR end headers there, too.
        let normal = line_feeds(bytes);
        let length = header::length(&normal);
        let fields = Fields::parse(normal.get(..length).unwrap_or_default(), range.start == 0);
        let mut boundaries = fields.boundaries();
        boundaries.retain(|boundary| !known.contains(boundary));
        let is_multipart =
            fields.content_types(false).iter().any(|kind| kind.main.contains("multipart"));
        if !boundaries.is_empty() && (is_multipart || range.start > 0) {
            let all: Vec<String> = known.iter().chain(&boundaries).cloned().collect();
            for boundary in &boundaries {
                for piece in cut(bytes, boundary.as_bytes()) {
                    let piece = range.start + piece.start..range.start + piece.end;
                    waiting.push((piece, all.clone()));
                }
            }
        }
        if is_multipart && !boundaries.is_empty() {
            continue;
        }
        let encodings = fields.encodings();
        let names = fields.names();
        let body = range.start + length..range.end;
        let leaf = split.leaves.iter().find(|leaf| {
            leaf.header.start == range.start && leaf.body.end.abs_diff(range.end) <= 2
                || leaf.header.start <= range.start
                    && range.end <= leaf.body.end
                    && leaf.content_type.main == "message"
        });
        let is_known =
            leaf.is_some_and(|leaf| names.iter().all(|name| is_known(name, &leaf.names)));
        for encoding in encodings {
            if is_known
                && leaf.is_some_and(|leaf| {
                    leaf.encoding == encoding || leaf.content_type.main == "message"
                })
            {
                continue;
            }
            let leaf = Leaf {
                header: range.start..body.start,
                body: body.clone(),
                is_whole: false,
                content_type: fields.content_type(false),
                encoding,
                names: names.clone(),
                is_attachment: fields.is_attachment(),
            };
            let content = encoding.decode(normal.get(length..).unwrap_or_default());
            // Text that is read as code becomes noise; a file that comes out is none.
            let is_noise = crate::kind::Kind::all(&content, &[]).is_empty()
                && !leaf.is_attachment
                && leaf.names.is_empty();
            if !is_noise {
                add(leaf, content.into_owned());
            }
        }
    }
}

/// What stands between the occurrences of `--boundary`, each from the line after it.
fn cut(bytes: &[u8], boundary: &[u8]) -> Vec<Range<usize>> {
    let needle = [b"--", boundary].concat();
    let mut starts: Vec<(usize, usize)> = Vec::new();
    // Two dashes and a letter stand in any text; a boundary of one begins a line at least.
    let is_line = |at: &usize| {
        boundary.len() > 1
            || at.checked_sub(1).is_none_or(|at| matches!(bytes.get(at), Some(b'\n' | b'\r')))
    };
    for at in memchr::memmem::find_iter(bytes, &needle).filter(is_line).take(MOST_PIECES) {
        let rest = bytes.get(at + needle.len()..).unwrap_or_default();
        let line = memchr::memchr2(b'\n', b'\r', rest).map_or(rest.len(), |end| {
            if rest.get(end..end + 2) == Some(b"\r\n") { end + 2 } else { end + 1 }
        });
        starts.push((at, at + needle.len() + line));
    }
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([bytes.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|((_, start), end)| *start..without_break(bytes, *start, end))
        .filter(|range| range.start < range.end)
        .collect()
}

fn without_break(bytes: &[u8], from: usize, to: usize) -> usize {
    let piece = bytes.get(from..to.max(from)).unwrap_or_default();
    let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
    from + piece.strip_suffix(b"\r").unwrap_or(piece).len()
}

/// Bare CR as LF, byte for byte, where there are any.
fn line_feeds(bytes: &[u8]) -> Cow<'_, [u8]> {
    let is_bare = |at: &usize| bytes.get(at + 1) != Some(&b'\n');
    if !memchr::memchr_iter(b'\r', bytes).any(|at| is_bare(&at)) {
        return Cow::Borrowed(bytes);
    }
    let mut normal = bytes.to_vec();
    for at in memchr::memchr_iter(b'\r', bytes).filter(is_bare) {
        if let Some(byte) = normal.get_mut(at) {
            *byte = b'\n';
        }
    }
    Cow::Owned(normal)
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}

/// White space and case are no other name.
fn is_known(name: &str, names: &[String]) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<String>().to_lowercase();
    let wanted = plain(name);
    names.iter().any(|known| plain(known) == wanted)
}

fn is_text(content: &[u8]) -> bool {
    let kinds = crate::kind::Kind::all(content, &[]);
    kinds.iter().all(|kind| *kind == crate::kind::Kind::Message)
        && !content.get(..512).unwrap_or(content).contains(&0)
}
