//! A line of a list, out of what the server says of a message.

use mail_parser::{Address, MessageParser, MimeHeaders as _};
use mailkiln_letter::reading::Mailbox;
use mailkiln_servers::imap::Fetched;

/// A message in a list. All texts are foreign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Its UID.
    pub(super) uid: u32,
    /// Who wrote it, or in a folder of sent mail whom to: the name, or the address where there is none or it deceives.
    pub(super) who: String,
    /// What about.
    pub(super) subject: String,
    /// Its first words.
    pub(super) preview: String,
    /// When it came, seconds since 1970.
    pub(super) when: i64,
    /// Bytes.
    pub(super) size: u64,
    /// Not read.
    pub(super) unread: bool,
    /// Marked.
    pub(super) flagged: bool,
    /// Answered.
    pub(super) answered: bool,
    /// Forwarded.
    pub(super) forwarded: bool,
    /// A draft.
    pub(super) draft: bool,
    /// Something is probably attached: known for sure once the message is open.
    pub(super) clip: bool,
    /// Its conversation at the server.
    pub(super) thread: Option<String>,
    /// Its Message-ID, without brackets.
    pub(super) id: String,
    /// How many messages its conversation has in this folder.
    pub(super) count: usize,
    /// The folder, where a list has several: as the server writes it.
    pub(super) folder: Option<String>,
}

/// Longest text of a list; the rest is in the message.
const LONGEST: usize = 200;
/// Longest preview: a line of a wide list has no room for more.
const PREVIEW: usize = 140;

impl Row {
    /// Reads what a FETCH of the list said. `sent` folders show whom a message is to.
    pub(super) fn of(fetched: &Fetched, sent: bool) -> Self {
        let header = fetched.header().unwrap_or_default();
        let message = MessageParser::default().parse_headers(header).unwrap_or_default();
        let from = message.from().and_then(first);
        let to = message.to().and_then(first).or_else(|| message.cc().and_then(first));
        let who = if sent { to.or(from) } else { from }.unwrap_or_default();
        let kind = message.content_type();
        let mixed = kind.is_some_and(|kind| {
            kind.ctype().eq_ignore_ascii_case("multipart")
                && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("mixed"))
        });
        Self {
            uid: fetched.uid.unwrap_or(0),
            who: short(who.label()),
            subject: short(message.subject().unwrap_or_default()),
            preview: short(fetched.preview.as_deref().unwrap_or_default())
                .chars()
                .take(PREVIEW)
                .collect(),
            when: fetched.received.unwrap_or(0),
            size: fetched.size.unwrap_or(0),
            unread: !fetched.has("\\Seen"),
            flagged: fetched.has("\\Flagged"),
            answered: fetched.has("\\Answered"),
            forwarded: fetched.has("$Forwarded"),
            draft: fetched.has("\\Draft"),
            clip: mixed,
            thread: fetched.thread.clone(),
            id: message.message_id().unwrap_or_default().to_owned(),
            count: 1,
            folder: None,
        }
    }
}

fn first(address: &Address<'_>) -> Option<Mailbox> {
    address.first().map(Mailbox::of)
}

/// One line without characters that turn it round or hide a part of it.
pub(super) fn short(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().take(LONGEST) {
        match character {
            // Zero width and directions, which let a sender look like another.
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {}
            c if c.is_control() || c.is_whitespace() => {
                if !line.ends_with(' ') {
                    line.push(' ');
                }
            }
            c => line.push(c),
        }
    }
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailkiln_servers::imap::Section;

    fn fetched(header: &str) -> Fetched {
        let section = Section {
            name: "HEADER.FIELDS (FROM)".into(),
            bytes: Some(header.into()),
            passed: None,
        };
        Fetched {
            uid: Some(4),
            flags: Some(vec!["\\Flagged".into()]),
            sections: vec![section],
            ..Fetched::default()
        }
    }

    #[test]
    fn a_row_shows_what_the_header_says() {
        let header = "From: =?utf-8?q?J=C3=BCrgen?= <j@a.test>\r\nTo: Bob <b@a.test>\r\n\
            Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nMessage-ID: <1@a.test>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n";
        let fetched = fetched(header);
        let row = Row::of(&fetched, false);
        assert_eq!((row.who.as_str(), row.subject.as_str()), ("Jürgen", "Grüße"));
        assert!(row.unread && row.flagged && row.clip);
        assert_eq!(Row::of(&fetched, true).who, "Bob");
        assert_eq!(row.id, "1@a.test");
    }

    #[test]
    fn a_name_that_deceives_gives_way_to_the_address() {
        for name in [
            "\"b@c.example\"",
            "\"Bank <b@c.example>\"",
            "\"b@c.ex\u{200b}ample\"",
            "=?utf-8?b?QuKArkM=?=",
            "",
        ] {
            let header = format!("From: {name} <a@b.example>\r\nTo: {name} <d@b.example>\r\n\r\n");
            let fetched = fetched(&header);
            assert_eq!(Row::of(&fetched, false).who, "a@b.example", "{name}");
            assert_eq!(Row::of(&fetched, true).who, "d@b.example", "{name}");
        }
        let own = fetched("From: \"a@b.example\" <a@b.example>\r\n\r\n");
        assert_eq!(Row::of(&own, false).who, "a@b.example");
    }

    #[test]
    fn a_row_is_one_line_that_reads_one_way() {
        assert_eq!(short("a\r\n\tb\u{202e}c\u{200b}d "), "a bcd");
        assert_eq!(short(&"x".repeat(5000)).len(), LONGEST);
    }
}
