//! What is looked for, and in which order.

use crate::imap::Date;
use crate::imap::command::Command;
use crate::{Result};

/// A condition of SEARCH and SORT. Texts may hold anything but NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Key {
    All,
    Seen,
    Unseen,
    Flagged,
    Unflagged,
    Answered,
    Draft,
    Undeleted,
    Keyword(String),
    From(String),
    To(String),
    Cc(String),
    Bcc(String),
    Subject(String),
    Body(String),
    Text(String),
    Header(String, String),
    /// Received on that day or later.
    Since(Date),
    /// Received before that day.
    Before(Date),
    /// More bytes than these.
    Larger(u64),
    Smaller(u64),
    /// UIDs, as IMAP writes a set.
    Uids(String),
    /// A conversation (RFC 8474).
    Thread(String),
    Not(Box<Key>),
    Or(Box<Key>, Box<Key>),
}

/// An order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Order {
    Arrival,
    Date,
    From,
    To,
    Subject,
    Size,
}

impl Order {
    /// The words of SORT.
    pub(crate) fn words(self, newest_first: bool) -> &'static str {
        match (self, newest_first) {
            (Order::Arrival, false) => "(ARRIVAL)",
            (Order::Arrival, true) => "(REVERSE ARRIVAL)",
            (Order::Date, false) => "(DATE)",
            (Order::Date, true) => "(REVERSE DATE)",
            (Order::From, false) => "(FROM)",
            (Order::From, true) => "(REVERSE FROM)",
            (Order::To, false) => "(TO)",
            (Order::To, true) => "(REVERSE TO)",
            (Order::Subject, false) => "(SUBJECT)",
            (Order::Subject, true) => "(REVERSE SUBJECT)",
            (Order::Size, false) => "(SIZE)",
            (Order::Size, true) => "(REVERSE SIZE)",
        }
    }
}

/// Adds conditions that all have to hold.
pub(crate) fn add(mut command: Command, keys: &[Key]) -> Result<Command> {
    if keys.is_empty() {
        return Ok(command.words("ALL"));
    }
    for key in keys {
        command = one(command, key)?;
    }
    Ok(command)
}

fn one(command: Command, key: &Key) -> Result<Command> {
    Ok(match key {
        Key::All => command.words("ALL"),
        Key::Seen => command.words("SEEN"),
        Key::Unseen => command.words("UNSEEN"),
        Key::Flagged => command.words("FLAGGED"),
        Key::Unflagged => command.words("UNFLAGGED"),
        Key::Answered => command.words("ANSWERED"),
        Key::Draft => command.words("DRAFT"),
        Key::Undeleted => command.words("UNDELETED"),
        Key::Keyword(word) => command.words("KEYWORD").atom(word)?,
        Key::From(text) => command.words("FROM").string(text)?,
        Key::To(text) => command.words("TO").string(text)?,
        Key::Cc(text) => command.words("CC").string(text)?,
        Key::Bcc(text) => command.words("BCC").string(text)?,
        Key::Subject(text) => command.words("SUBJECT").string(text)?,
        Key::Body(text) => command.words("BODY").string(text)?,
        Key::Text(text) => command.words("TEXT").string(text)?,
        Key::Header(name, text) => command.words("HEADER").string(name)?.string(text)?,
        Key::Since(date) => command.words("SINCE").atom(&date.for_imap())?,
        Key::Before(date) => command.words("BEFORE").atom(&date.for_imap())?,
        Key::Larger(size) => command.words("LARGER").number(*size),
        Key::Smaller(size) => command.words("SMALLER").number(*size),
        Key::Uids(set) => command.words("UID").atom(set)?,
        Key::Thread(id) => command.words("THREADID").atom(id)?,
        Key::Not(key) => one(command.words("NOT"), key)?,
        Key::Or(one_of, other) => one(one(command.words("OR"), one_of)?, other)?,
    })
}

/// Whether a text of the conditions is more than ASCII.
pub(crate) fn needs_utf8(keys: &[Key]) -> bool {
    keys.iter().any(|key| match key {
        Key::From(text) | Key::To(text) | Key::Cc(text) | Key::Bcc(text) => !text.is_ascii(),
        Key::Subject(text) | Key::Body(text) | Key::Text(text) => !text.is_ascii(),
        Key::Header(_, text) => !text.is_ascii(),
        Key::Not(key) => needs_utf8(std::slice::from_ref(key)),
        Key::Or(one, other) => {
            needs_utf8(std::slice::from_ref(one)) || needs_utf8(std::slice::from_ref(other))
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_written() {
        let keys = [
            Key::Or(Box::new(Key::From("a \"b".into())), Box::new(Key::Not(Box::new(Key::Seen)))),
            Key::Since(Date::new(2026, 11, 2).unwrap()),
            Key::Larger(5),
        ];
        let sent = add(Command::new("UID SEARCH"), &keys).unwrap().segments("a", true).concat();
        let expected = b"a UID SEARCH OR FROM \"a \\\"b\" NOT SEEN SINCE 2-Nov-2026 LARGER 5\r\n";
        assert_eq!(sent, expected);
        assert!(!needs_utf8(&keys));
        assert!(needs_utf8(&[Key::Not(Box::new(Key::Text("ü".into())))]));
        assert!(add(Command::new("S"), &[Key::Keyword("a\r\nb".into())]).is_err());
        assert!(add(Command::new("S"), &[Key::Thread("a b".into())]).is_err());
    }
}
