//! The whole message.

use super::address::{Recipient, is_address};
use super::rich::rich;
use super::{body, fields};
use crate::reading::safe_name;
use crate::text;

/// A file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name; made safe here.
    pub name: String,
    /// Its type as `main/sub`; what isn't one becomes `application/octet-stream`.
    pub media_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// An image that stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineImage {
    /// By what the HTML calls it: `cid:` and this.
    pub content_id: String,
    /// Its bytes; PNG, JPEG, GIF or WebP.
    pub data: Vec<u8>,
}

/// The text of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Plain, written with `format=flowed`.
    Plain(String),
    /// Rich: HTML of the editor, which is cleaned, and a plain half made of it.
    Rich {
        /// HTML.
        html: String,
        /// Images in it.
        images: Vec<InlineImage>,
    },
}

/// What a form gives.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The author.
    pub from: Recipient,
    /// Recipients.
    pub to: Vec<Recipient>,
    /// Recipients of copies.
    pub cc: Vec<Recipient>,
    /// Recipients of blind copies: in the envelope always, in the header only of a draft.
    pub bcc: Vec<Recipient>,
    /// Where answers shall go, if not to the author.
    pub reply_to: Option<Recipient>,
    /// Free text.
    pub subject: String,
    /// Seconds since 1970.
    pub date: i64,
    /// Minutes east of UTC of the writer's clock.
    pub offset: i32,
    /// The message's own id, made by [`message_id`].
    pub message_id: String,
    /// Ids of the message that is answered.
    pub in_reply_to: Vec<String>,
    /// Ids of the conversation so far.
    pub references: Vec<String>,
    /// Text.
    pub body: Body,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// Whether to write `Bcc`, as a draft needs it and a message that is sent must not have it.
    pub is_draft: bool,
}

/// Why there is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// An address that would break its field.
    #[error("`{0}` is not a mail address")]
    Address(String),
    /// The id isn't one that [`message_id`] makes.
    #[error("the message's own id is not valid")]
    MessageId,
    /// The moment is outside of what a header can say.
    #[error("the date {0} is outside the years 1970 to 9999")]
    Date(i64),
    /// An image in the text is none.
    #[error("the image `{0}` is not a PNG, JPEG, GIF or WebP file")]
    Image(String),
}

/// An id for a new message: of the author's own domain, so that it is unique there and says nothing about
/// the machine. `random` should hold 16 bytes.
pub fn message_id(random: &[u8], address: &str) -> String {
    let domain = address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let mut out = String::new();
    for byte in random {
        out.push_str(&format!("{byte:02x}"));
    }
    format!("{out}@{domain}")
}

impl Outgoing {
    /// Everybody who gets it, each once.
    pub fn envelope(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for one in self.to.iter().chain(&self.cc).chain(&self.bcc) {
            if !out.iter().any(|other| other.eq_ignore_ascii_case(&one.address)) {
                out.push(one.address.clone());
            }
        }
        out
    }

    /// The message's bytes, with CRLF line ends.
    ///
    /// # Errors
    ///
    /// If an address, the id, the date or an image is none.
    pub fn write(&self) -> Result<Vec<u8>, WriteError> {
        let everybody = (self.to.iter())
            .chain(&self.cc)
            .chain(&self.bcc)
            .chain(&self.reply_to)
            .chain([&self.from]);
        for one in everybody {
            if !is_address(&one.address) {
                return Err(WriteError::Address(text::visible_line(&one.address, 100)));
            }
        }
        if !is_address(&self.message_id) && !self.message_id.ends_with("@localhost") {
            return Err(WriteError::MessageId);
        }
        let mut out = Vec::new();
        fields::ours(&mut out, "Date", &date(self.date, self.offset)?);
        fields::addresses(&mut out, "From", std::slice::from_ref(&self.from));
        fields::addresses(&mut out, "Reply-To", self.reply_to.as_slice());
        fields::addresses(&mut out, "To", &self.to);
        fields::addresses(&mut out, "Cc", &self.cc);
        if self.is_draft {
            fields::addresses(&mut out, "Bcc", &self.bcc);
        } else if self.to.is_empty() && self.cc.is_empty() {
            out.extend_from_slice(b"To: undisclosed-recipients:;\r\n");
        }
        fields::text(&mut out, "Subject", &self.subject);
        fields::ids(&mut out, "Message-ID", std::slice::from_ref(&self.message_id));
        fields::ids(&mut out, "In-Reply-To", &self.in_reply_to);
        fields::ids(&mut out, "References", &self.references);
        fields::ours(&mut out, "MIME-Version", "1.0");
        self.parts()?.write(&mut out);
        Ok(out)
    }

    fn parts(&self) -> Result<Node, WriteError> {
        let seed: String =
            self.message_id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        let mut next = 0;
        let mut boundary = || {
            next += 1;
            format!("=_mk_{seed}_{next}")
        };
        let mut root = match &self.body {
            Body::Plain(text) => plain(text),
            Body::Rich { html, images } => rich(html, images, &self.message_id, &mut boundary)?,
        };
        if !self.attachments.is_empty() {
            let mut children = vec![root];
            children.extend(self.attachments.iter().map(file));
            root = Node::Many { kind: "mixed", boundary: boundary(), children };
        }
        Ok(root)
    }
}

/// Takes `Bcc` out of a stored draft before it is sent; everything else stays byte for byte.
pub fn without_bcc(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    let mut in_header = true;
    let mut skipping = false;
    for line in message.split_inclusive(|one| *one == b'\n') {
        if in_header {
            if matches!(line, b"\n" | b"\r\n") {
                in_header = false;
                skipping = false;
            } else if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                skipping = line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"bcc:");
            }
        }
        if !skipping {
            out.extend_from_slice(line);
        }
    }
    out
}

/// A stored draft as it is sent at this moment: [`without_bcc`], and with the date of sending.
///
/// # Errors
///
/// If the moment is outside the years that a header can say.
pub fn for_sending(draft: &[u8], seconds: i64, offset: i32) -> Result<Vec<u8>, WriteError> {
    let date = format!("Date: {}\r\n", date(seconds, offset)?);
    let message = without_bcc(draft);
    let mut out = Vec::with_capacity(message.len() + 8);
    let mut in_header = true;
    for line in message.split_inclusive(|one| *one == b'\n') {
        in_header &= !matches!(line, b"\n" | b"\r\n");
        if in_header && line.len() >= 5 && line[..5].eq_ignore_ascii_case(b"date:") {
            out.extend_from_slice(date.as_bytes());
        } else {
            out.extend_from_slice(line);
        }
    }
    Ok(out)
}

/// A part to be written.
pub(super) enum Node {
    One { head: String, content: Vec<u8> },
    Many { kind: &'static str, boundary: String, children: Vec<Node> },
}

impl Node {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::One { head, content } => {
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(content);
            }
            Node::Many { kind, boundary, children } => {
                out.extend_from_slice(
                    format!("Content-Type: multipart/{kind};\r\n boundary=\"{boundary}\"\r\n\r\n")
                        .as_bytes(),
                );
                for child in children {
                    out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                    child.write(out);
                    if !out.ends_with(b"\r\n") {
                        out.extend_from_slice(b"\r\n");
                    }
                }
                out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            }
        }
    }
}

pub(super) fn text_part(kind: &str, content: &str) -> Node {
    if body::is_plain(content) {
        let head = format!(
            "Content-Type: {kind}; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n"
        );
        return Node::One { head, content: content.as_bytes().to_vec() };
    }
    let mut encoded = Vec::new();
    body::quoted_printable(&mut encoded, content);
    let head = format!(
        "Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    );
    Node::One { head, content: encoded }
}

pub(super) fn plain(content: &str) -> Node {
    text_part("text/plain; format=flowed", &text::flow(&body::lines(content)))
}

fn file(one: &Attachment) -> Node {
    let kind = media_type(&one.media_type);
    let name = safe_name(Some(&one.name), kind);
    let named = fields::parameter("filename", &name);
    if kind == "message/rfc822"
        && let Some(content) = as_message(&one.data)
    {
        let head = format!(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: attachment{named}\r\n"
        );
        return Node::One { head, content };
    }
    // A message may be encoded nowhere (RFC 2046, section 5.2.1); a part that may hold parts neither.
    let opaque = kind.starts_with("message/") || kind.starts_with("multipart/");
    let kind = if opaque { "application/octet-stream" } else { kind };
    let head = format!(
        "Content-Type: {kind}{}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment{named}\r\n",
        fields::parameter("name", &name)
    );
    let mut content = Vec::new();
    body::base64_lines(&mut content, &one.data);
    Node::One { head, content }
}

/// A message's bytes as a part without encoding, if its lines allow that.
fn as_message(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(data.len());
    for line in data.split_inclusive(|one| *one == b'\n') {
        let line =
            line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let good = line.len() <= 998
            && !line.iter().any(|one| matches!(one, b'\r' | 0))
            && !line.starts_with(b"--=_mk_");
        if !good {
            return None;
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    Some(out)
}

fn media_type(given: &str) -> &str {
    let token = |text: &str| {
        !text.is_empty()
            && text.len() <= 80
            && text.bytes().all(|one| one.is_ascii_alphanumeric() || b"-.+_".contains(&one))
    };
    match given.split_once('/') {
        Some((main, sub)) if token(main) && token(sub) => given,
        _ => "application/octet-stream",
    }
}

/// `Fri, 27 Nov 2026 09:00:00 +0100` (RFC 5322, section 3.3).
fn date(seconds: i64, offset: i32) -> Result<String, WriteError> {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    if !(0..253_402_214_400).contains(&seconds) || offset.abs() > 14 * 60 {
        return Err(WriteError::Date(seconds));
    }
    let local = seconds + i64::from(offset) * 60;
    let days = local.div_euclid(86_400);
    let time = local.rem_euclid(86_400);
    // Days to a date: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 2 } else { shifted_month - 10 };
    let year = year_of_era + era * 400 + i64::from(month < 2);
    let name = |list: &'static [&'static str], at: i64| {
        usize::try_from(at).ok().and_then(|at| list.get(at)).copied().unwrap_or("")
    };
    Ok(format!(
        "{}, {day} {} {year:04} {:02}:{:02}:{:02} {}{:02}{:02}",
        name(&DAYS, days.rem_euclid(7)),
        name(&MONTHS, month),
        time / 3600,
        time / 60 % 60,
        time % 60,
        if offset < 0 { '-' } else { '+' },
        offset.abs() / 60,
        offset.abs() % 60,
    ))
}
