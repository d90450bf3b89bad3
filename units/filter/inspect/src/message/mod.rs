//! A message cut into its leaves (RFC 2045, 2046): bytes in, ranges of bytes out.
//!
//! Written here rather than taken from a crate because a filter needs what readers of mail don't:
//! ranges that leave no byte of the message out, so that nothing hides before, between or after
//! the parts, and a part can be replaced while every other byte stays.

mod header;
mod second;
mod transfer;
mod uuencode;

use std::borrow::Cow;
use std::ops::Range;
use std::time::{Duration, Instant};

pub use header::{ContentType, Fields};
pub(crate) use header::{decode_text, decode_words};
pub(crate) use second::others;
pub use transfer::Encoding;
pub(crate) use transfer::{base64, hex};
pub(crate) use uuencode::uuencoded;

/// Multiparts inside multiparts; deeper ones are leaves.
const DEEPEST: u32 = 30;

/// A message, cut.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// The leaves in the order of the message. A forwarded message is one leaf.
    pub leaves: Vec<Leaf>,
    /// What stands before, between and after the parts of multiparts. Readers show none of it.
    pub outside: Vec<Range<usize>>,
    /// What is wrong with the structure, in words: programs may disagree about what is in it.
    pub oddities: Vec<String>,
    /// What was not cut because of a limit, in words.
    pub limits: Vec<String>,
}

/// One leaf: neither a multipart nor part of another leaf.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its header fields with the empty line that ends them. For a message without parts this is
    /// the header of the message: [`Leaf::is_whole`].
    pub header: Range<usize>,
    /// Its body as it travels, without the line break that belongs to the boundary after it.
    pub body: Range<usize>,
    /// Whether it is the whole message, so that its header has From, To and Subject too.
    pub is_whole: bool,
    /// Its type, `text/plain` where none is given.
    pub content_type: ContentType,
    /// How the body travels.
    pub encoding: Encoding,
    /// Its names, decoded. Programs prefer different ones, so there may be more than one.
    pub names: Vec<String>,
    /// Whether it says of itself that it is an attachment.
    pub is_attachment: bool,
}

impl Leaf {
    /// The body as its author meant it: with its transfer encoding undone, as far as it can be.
    #[must_use]
    pub fn content<'m>(&self, message: &'m [u8]) -> Cow<'m, [u8]> {
        self.encoding.decode(message.get(self.body.clone()).unwrap_or_default())
    }

    /// The first name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }
}

/// Cuts a message. Any bytes are a message; the worst is one leaf of plain text.
#[must_use]
pub fn split(message: &[u8]) -> Split {
    let far = Instant::now() + Duration::from_secs(3600);
    split_until(message, far)
}

/// Cuts a message, no longer than to `deadline`.
pub(crate) fn split_until(message: &[u8], deadline: Instant) -> Split {
    let mut split = Split::default();
    Cutter { message, split: &mut split, deadline }.part(0..message.len(), 0, None);
    split
}

struct Cutter<'m> {
    message: &'m [u8],
    split: &'m mut Split,
    deadline: Instant,
}

impl Cutter<'_> {
    fn part(&mut self, range: Range<usize>, depth: u32, parent: Option<&ContentType>) {
        if Instant::now() >= self.deadline {
            if self.split.limits.is_empty() {
                self.split.limits.push("the time for one message is over".to_owned());
            }
            return;
        }
        let bytes = self.message.get(range.clone()).unwrap_or_default();
        let body_at = range.start + header::length(bytes);
        let fields =
            Fields::parse(self.message.get(range.start..body_at).unwrap_or_default(), depth == 0);
        self.split.oddities.extend(fields.oddities());
        let in_digest = parent.is_some_and(|parent| parent.is("multipart", "digest"));
        let content_type = fields.content_type(in_digest);
        let body = body_at..range.end;
        if content_type.main == "multipart" && self.multipart(&content_type, &body, depth) {
            return;
        }
        self.split.leaves.push(Leaf {
            header: range.start..body_at,
            body,
            is_whole: depth == 0,
            encoding: fields.encoding(),
            names: fields.names(),
            is_attachment: fields.is_attachment(),
            content_type,
        });
    }

    /// Cuts a multipart; false if there is nothing to cut it by.
    fn multipart(&mut self, kind: &ContentType, body: &Range<usize>, depth: u32) -> bool {
        let Some(boundary) = kind.parameter("boundary").filter(|boundary| !boundary.is_empty())
        else {
            self.split.oddities.push("a multipart has no boundary".to_owned());
            return false;
        };
        if depth >= DEEPEST {
            self.split.limits.push(format!("more than {DEEPEST} multiparts inside each other"));
            return false;
        }
        let bytes = self.message.get(body.clone()).unwrap_or_default();
        let delimiters = delimiters(bytes, boundary.as_bytes());
        if delimiters.is_empty() {
            self.split.oddities.push("no part of a multipart begins".to_owned());
            return false;
        }
        let mut at = body.start;
        let mut inside = false;
        for delimiter in &delimiters {
            let end = (body.start + delimiter.line.start).max(at);
            if inside {
                self.part(at..without_break(self.message, at, end), depth + 1, Some(kind));
            } else if end > at {
                self.split.outside.push(at..end);
            }
            at = body.start + delimiter.line.end;
            inside = !delimiter.is_last;
        }
        if inside {
            self.part(at..body.end, depth + 1, Some(kind));
        } else if body.end > at {
            self.split.outside.push(at..body.end);
        }
        true
    }
}

fn without_break(message: &[u8], from: usize, to: usize) -> usize {
    let bytes = message.get(from..to).unwrap_or_default();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    from + bytes.strip_suffix(b"\r").unwrap_or(bytes).len()
}

#[derive(Debug)]
struct Delimiter {
    line: Range<usize>,
    is_last: bool,
}

/// The lines that are `--boundary` or `--boundary--`, with white space after it.
fn delimiters(bytes: &[u8], boundary: &[u8]) -> Vec<Delimiter> {
    let mut needle = b"--".to_vec();
    needle.extend_from_slice(boundary);
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(bytes, &needle) {
        if at > 0 && bytes.get(at - 1) != Some(&b'\n') {
            continue;
        }
        let rest = bytes.get(at + needle.len()..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let tail = rest.get(..length).unwrap_or_default().trim_ascii();
        if tail.is_empty() || tail == b"--" {
            let line = at..at + needle.len() + length;
            found.push(Delimiter { line, is_last: !tail.is_empty() });
        }
    }
    found
}

#[cfg(test)]
mod tests;
