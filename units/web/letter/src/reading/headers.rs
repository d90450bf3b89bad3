//! Header fields as text for a page, and the deceits in them.

use mail_parser::{Addr, Address, HeaderValue, Message};

use crate::text;

/// Characters of a subject or name that are shown.
const LINE_LIMIT: usize = 500;
/// Addresses of one field that are shown.
const ADDRESS_LIMIT: usize = 500;

/// What is wrong with the name of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameDeceit {
    /// The name is or holds a mail address, and not the one it stands for.
    OtherAddress,
    /// The domain is written with letters that look like others.
    LookAlike,
    /// The name holds signs that turn the direction of writing, or invisible ones.
    HiddenSigns,
}

/// A name and an address, fit for a page: one line each, signs that turn the direction made visible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// The name, if there is one.
    pub name: Option<String>,
    /// The address, `local@domain`; empty if the field has none.
    pub address: String,
    /// What is wrong with it, if anything.
    pub deceit: Option<NameDeceit>,
}

impl Mailbox {
    /// What a header field says.
    pub fn of(given: &Addr<'_>) -> Self {
        let name = given.name.as_deref().unwrap_or_default();
        let address = given.address.as_deref().unwrap_or_default();
        let deceit = deceit(name, address);
        let name = text::visible_line(name, LINE_LIMIT);
        Self {
            name: (!name.is_empty()).then_some(name),
            address: text::visible_line(address, LINE_LIMIT).replace(' ', ""),
            deceit,
        }
    }

    /// What a list shows: the name, or the address where there is no name or the name deceives.
    pub fn label(&self) -> &str {
        match (&self.name, self.deceit) {
            (Some(name), None) if !name.is_empty() => name,
            _ => &self.address,
        }
    }
}

/// The fields that a page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// The subject, one line.
    pub subject: String,
    /// Authors.
    pub from: Vec<Mailbox>,
    /// The sender, where it isn't the author.
    pub sender: Vec<Mailbox>,
    /// Recipients.
    pub to: Vec<Mailbox>,
    /// Recipients of copies.
    pub cc: Vec<Mailbox>,
    /// Recipients of blind copies, in a draft or a sent message.
    pub bcc: Vec<Mailbox>,
    /// Where answers go, if not to the authors.
    pub reply_to: Vec<Mailbox>,
    /// When it was written by its own account: seconds since 1970.
    pub date: Option<i64>,
    /// Its own id, without angle brackets.
    pub message_id: Option<String>,
    /// The message that it answers.
    pub in_reply_to: Vec<String>,
    /// The messages before it in the conversation, oldest first.
    pub references: Vec<String>,
    /// The mailing list's id, one line.
    pub list_id: Option<String>,
}

pub(super) fn headers(message: &Message<'_>) -> Headers {
    Headers {
        subject: text::visible_line(message.subject().unwrap_or_default(), LINE_LIMIT),
        from: mailboxes(message.from()),
        sender: mailboxes(message.sender()),
        to: message.all_to().flat_map(|one| mailboxes(Some(one))).take(ADDRESS_LIMIT).collect(),
        cc: message.all_cc().flat_map(|one| mailboxes(Some(one))).take(ADDRESS_LIMIT).collect(),
        bcc: message.all_bcc().flat_map(|one| mailboxes(Some(one))).take(ADDRESS_LIMIT).collect(),
        reply_to: mailboxes(message.reply_to()),
        date: message
            .date()
            .filter(|date| date.is_valid())
            .map(mail_parser::DateTime::to_timestamp),
        message_id: message.message_id().and_then(id),
        in_reply_to: ids(message.in_reply_to()),
        references: ids(message.references()),
        list_id: (message.list_id().as_text()).map(|one| text::visible_line(one, 200)),
    }
}

/// An id that can be written into a header again: printable ASCII, no spaces, no brackets.
fn id(text: &str) -> Option<String> {
    let good = |one: char| one.is_ascii_graphic() && !matches!(one, '<' | '>');
    (!text.is_empty() && text.len() <= 500 && text.chars().all(good)).then(|| text.to_owned())
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(one) => id(one).into_iter().collect(),
        HeaderValue::TextList(list) => list.iter().filter_map(|one| id(one)).take(200).collect(),
        _ => Vec::new(),
    }
}

fn mailboxes(address: Option<&Address<'_>>) -> Vec<Mailbox> {
    address.into_iter().flat_map(|one| one.iter()).take(ADDRESS_LIMIT).map(Mailbox::of).collect()
}

fn deceit(name: &str, address: &str) -> Option<NameDeceit> {
    if text::has_direction_controls(name)
        || text::has_direction_controls(address)
        || address.chars().any(text::is_invisible)
    {
        return Some(NameDeceit::HiddenSigns);
    }
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    if text::is_look_alike(domain) {
        return Some(NameDeceit::LookAlike);
    }
    // Full-width and small signs are read as `@` too.
    let plain: String = (name.chars().filter(|one| !text::is_invisible(*one)))
        .map(|one| if matches!(one, '＠' | '﹫') { '@' } else { one })
        .collect();
    let words = plain.split(|one: char| one.is_whitespace() || "<>()[]\"',;:".contains(one));
    let other = |word: &str| text::looks_like_address(word) && !word.eq_ignore_ascii_case(address);
    words.into_iter().any(other).then_some(NameDeceit::OtherAddress)
}

/// All header fields of a message, for its source view: name and decoded value, one line each, 500 at most.
pub fn header_lines(message: &[u8]) -> Vec<(String, String)> {
    let (message, _) = super::bounds::bounded(message);
    let Some(parsed) = mail_parser::MessageParser::default().parse_headers(message.as_ref()) else {
        return Vec::new();
    };
    let raw = parsed.headers_raw().take(500);
    raw.map(|(name, value)| (text::visible_line(name, 100), text::visible_line(value, 4000)))
        .collect()
}

/// The unfolded value of every field of this name, in order.
pub(super) fn raw_values(message: &Message<'_>, name: &str) -> Vec<String> {
    (message.headers_raw())
        .filter(|(one, _)| one.eq_ignore_ascii_case(name))
        .take(20)
        .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}
