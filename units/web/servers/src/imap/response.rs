//! A frame of an IMAP server as a value.

use crate::answer::{Frame, Limits, Token, tokens};
use crate::imap::{Fetched, Folder};
use crate::{Error, Result};

/// How a command ended, or what a server says unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Status {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

/// What stands in brackets after a status, without them: `UIDVALIDITY 3`, `OVERQUOTA`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code(pub String);

impl Code {
    /// The first word, in capitals.
    pub fn name(&self) -> String {
        self.0.split(' ').next().unwrap_or_default().to_ascii_uppercase()
    }

    /// The word of that index as a number; the name has index 0.
    pub fn number(&self, index: usize) -> Option<u64> {
        self.0.split(' ').nth(index)?.parse().ok()
    }
}

/// How much is in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages.
    pub messages: Option<u32>,
    /// Messages without `\Seen`.
    pub unseen: Option<u32>,
    /// What the next message's UID will be, at least.
    pub uid_next: Option<u32>,
    /// Changes when UIDs get another meaning.
    pub uid_validity: Option<u32>,
}

/// How full an account is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is used.
    pub used: u64,
    /// What may be used.
    pub limit: u64,
}

/// One response.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Response {
    /// `+`: the server waits for more of the command. With its text.
    Continue(String),
    /// The end of a command.
    Done {
        tag: String,
        status: Status,
        code: Code,
        text: String,
    },
    /// Said unasked, or about the connection.
    Said {
        status: Status,
        code: Code,
        text: String,
    },
    Capability(Vec<String>),
    Flags(Vec<String>),
    Exists(u32),
    Expunge(u32),
    Fetch(Box<Fetched>),
    List(Folder),
    /// STATUS: the folder's name as the server writes it.
    Counters(String, Counters),
    /// SEARCH and SORT.
    Numbers(Vec<u32>),
    /// ESEARCH with COUNT alone.
    Count(u32),
    /// THREAD: the members of each conversation, flat.
    Threads(Vec<Vec<u32>>),
    Quota(Quota),
    /// Something we don't know or don't need.
    Other,
    /// A response that breaks the rules or bounds: why. The connection goes on.
    Unreadable(String),
}

impl Response {
    /// Reads a frame. Never fails: what can't be read is [`Response::Unreadable`] or
    /// [`Response::Other`].
    pub fn read(frame: &Frame) -> Self {
        Self::within(frame, &Limits::default()).unwrap_or_else(|e| Self::Unreadable(e.to_string()))
    }

    pub(crate) fn within(frame: &Frame, limits: &Limits) -> Result<Self> {
        let head = frame.head();
        if let Some(text) = head.strip_prefix(b"+") {
            return Ok(Response::Continue(String::from_utf8_lossy(text).trim().to_owned()));
        }
        let (tag, rest) = word(head);
        let (first, after) = word(rest);
        if let Some(status) = status(first) {
            let (code, text) = code_and_text(after);
            if tag == b"*" {
                return Ok(Response::Said { status, code, text });
            }
            let tag = String::from_utf8_lossy(tag).into_owned();
            return Ok(Response::Done { tag, status, code, text });
        }
        if tag != b"*" {
            return Ok(Response::Other);
        }
        // Read without a tree: there may be 100,000 numbers.
        if first.eq_ignore_ascii_case(b"SEARCH") || first.eq_ignore_ascii_case(b"SORT") {
            return Ok(Response::Numbers(numbers(after)));
        }
        if first.eq_ignore_ascii_case(b"THREAD") {
            return threads(after).map(Response::Threads);
        }
        let (second, _) = word(after);
        if let Some(number) = small(first) {
            return match second.to_ascii_uppercase().as_slice() {
                b"EXISTS" => Ok(Response::Exists(number)),
                b"EXPUNGE" => Ok(Response::Expunge(number)),
                b"FETCH" => {
                    let tree = tokens(frame, limits)?;
                    let items = tree.get(3).map(Token::list).unwrap_or_default();
                    Ok(Response::Fetch(Box::new(Fetched::read(number, items))))
                }
                _ => Ok(Response::Other),
            };
        }
        Ok(Self::named(&tokens(frame, limits)?))
    }

    /// `* NAME …`
    fn named(tree: &[Token]) -> Self {
        let (Some(name), rest) = (tree.get(1), tree.get(2..).unwrap_or_default()) else {
            return Response::Other;
        };
        let words = |tokens: &[Token]| {
            tokens.iter().filter_map(|token| Some(token.text()?.into_owned())).collect()
        };
        if name.is("CAPABILITY") {
            return Response::Capability(words(rest));
        }
        if name.is("FLAGS") {
            return Response::Flags(words(rest.first().map(Token::list).unwrap_or_default()));
        }
        if name.is("LIST") {
            return Folder::read(rest).map_or(Response::Other, Response::List);
        }
        if name.is("STATUS")
            && let [folder, items, ..] = rest
            && let Some(folder) = folder.text()
        {
            return Response::Counters(folder.into_owned(), counters(items.list()));
        }
        if name.is("ESEARCH") {
            let count =
                rest.iter().position(|word| word.is("COUNT")).and_then(|at| rest.get(at + 1));
            return count.and_then(Token::small).map_or(Response::Other, Response::Count);
        }
        if name.is("QUOTA") {
            return quota(rest).map_or(Response::Other, Response::Quota);
        }
        Response::Other
    }
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b' ') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

fn small(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn status(word: &[u8]) -> Option<Status> {
    Some(match word.to_ascii_uppercase().as_slice() {
        b"OK" => Status::Ok,
        b"NO" => Status::No,
        b"BAD" => Status::Bad,
        b"BYE" => Status::Bye,
        b"PREAUTH" => Status::Preauth,
        _ => return None,
    })
}

fn code_and_text(text: &[u8]) -> (Code, String) {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match text.strip_prefix(b"[").and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == b']')?;
        Some((&rest[..end], &rest[end + 1..]))
    }) {
        Some((code, text)) => (Code(lossy(code)), lossy(text)),
        None => (Code::default(), lossy(text)),
    }
}

fn numbers(text: &[u8]) -> Vec<u32> {
    // SEARCH may end in `(MODSEQ 5)`.
    let text = text.split(|&byte| byte == b'(').next().unwrap_or_default();
    text.split(|&byte| byte == b' ').filter_map(small).collect()
}

/// `(1)(2 3 (4)(5))` as 1; 2, 3, 4, 5. The tree itself comes from References when it is shown.
fn threads(text: &[u8]) -> Result<Vec<Vec<u32>>> {
    let (mut all, mut current, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    let mut number: Option<u32> = None;
    for &byte in text {
        if byte.is_ascii_digit() {
            let more = number.unwrap_or(0).checked_mul(10);
            let more = more.and_then(|number| number.checked_add(u32::from(byte - b'0')));
            number = Some(more.ok_or(Error::Protocol("a UID without a number"))?);
            continue;
        }
        current.extend(number.take());
        match byte {
            b'(' => depth += 1,
            b')' => {
                let outer = depth.checked_sub(1);
                depth = outer.ok_or(Error::Protocol("a list without a beginning"))?;
                if depth == 0 {
                    all.push(std::mem::take(&mut current));
                }
            }
            _ => {}
        }
    }
    if depth > 0 { Err(Error::Protocol("a list without an end")) } else { Ok(all) }
}

fn counters(items: &[Token]) -> Counters {
    let mut counters = Counters::default();
    let (pairs, _) = items.as_chunks::<2>();
    for [name, value] in pairs {
        let value = value.small();
        if name.is("MESSAGES") {
            counters.messages = value;
        } else if name.is("UNSEEN") {
            counters.unseen = value;
        } else if name.is("UIDNEXT") {
            counters.uid_next = value;
        } else if name.is("UIDVALIDITY") {
            counters.uid_validity = value;
        }
    }
    counters
}

/// `"" (STORAGE 10 512)`, in units of 1024 bytes (RFC 9208 section 5.1).
fn quota(tokens: &[Token]) -> Option<Quota> {
    let (triples, _) = tokens.get(1)?.list().as_chunks::<3>();
    let [_, used, limit] = triples.iter().find(|[name, ..]| name.is("STORAGE"))?;
    let bytes = |token: &Token| Some(token.number()?.saturating_mul(1024));
    Some(Quota { used: bytes(used)?, limit: bytes(limit)? })
}

/// A response out of text alone, for tests.
#[cfg(test)]
pub(crate) fn response(text: &str) -> Response {
    Response::read(&Frame { pieces: vec![crate::answer::Piece::Text(text.as_bytes().to_vec())] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read() {
        let done = response("A1 NO [OVERQUOTA] full [really]");
        let Response::Done { tag, status, code, text } = done else { panic!("{done:?}") };
        assert_eq!((tag.as_str(), status, text.as_str()), ("A1", Status::No, "full [really]"));
        assert_eq!(code.name(), "OVERQUOTA");
        let said = response("* OK [UIDVALIDITY 3857529045] UIDs valid");
        assert!(
            matches!(said, Response::Said { code, .. } if code.number(1) == Some(3_857_529_045))
        );
        assert_eq!(response("* 18 EXISTS"), Response::Exists(18));
        assert_eq!(response("* SORT 3 2 1"), Response::Numbers(vec![3, 2, 1]));
        assert_eq!(response("* SEARCH 2 84 (MODSEQ 917)"), Response::Numbers(vec![2, 84]));
        assert_eq!(response("* SEARCH"), Response::Numbers(Vec::new()));
        let threads = Response::Threads(vec![vec![2], vec![3, 6, 4, 23, 44, 7, 96]]);
        assert_eq!(response("* THREAD (2)(3 6 (4 23)(44 7 96))"), threads);
        assert!(matches!(response("* THREAD (2"), Response::Unreadable(_)));
        assert!(matches!(response("* THREAD (4294967296)"), Response::Unreadable(_)));
        let quota = Quota { used: 10_240, limit: 524_288 };
        assert_eq!(response("* QUOTA \"\" (STORAGE 10 512)"), Response::Quota(quota));
        let Response::Counters(folder, counters) =
            response("* STATUS blurdybloop (MESSAGES 231 UNSEEN 7 UIDNEXT 44292)")
        else {
            panic!()
        };
        assert_eq!(
            (folder.as_str(), counters.messages, counters.unseen),
            ("blurdybloop", Some(231), Some(7))
        );
    }

    #[test]
    fn a_count_is_read() {
        assert_eq!(response("* ESEARCH (TAG \"w3\") COUNT 17"), Response::Count(17));
        assert_eq!(response("* ESEARCH (TAG \"w3\")"), Response::Other);
    }

    #[test]
    fn folders_are_read_and_named_for_people() {
        let Response::List(folder) =
            response(r#"* LIST (\HasNoChildren \Drafts) "/" "A/Entw&APw-rfe""#)
        else {
            panic!()
        };
        assert_eq!(
            (folder.name.as_str(), folder.last(), folder.depth()),
            ("A/Entwürfe", "Entwürfe", 1)
        );
        assert_eq!(folder.special_use(), Some(crate::imap::SpecialUse::Drafts));
        assert_eq!(response("* LIST () NIL \"a\""), response("* LIST () NIL a"));
        assert_eq!(response("* LIST nonsense"), Response::Other);
    }
}
