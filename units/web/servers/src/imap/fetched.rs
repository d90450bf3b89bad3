//! What FETCH says of one message.

use crate::answer::Token;
use crate::imap::{Structure, internal_date};

/// A message, as far as it was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetched {
    /// Its number in the folder, from 1.
    pub number: u32,
    /// Its UID.
    pub uid: Option<u32>,
    /// Flags and keywords.
    pub flags: Option<Vec<String>>,
    /// When it came, in seconds since 1970.
    pub received: Option<i64>,
    /// Bytes.
    pub size: Option<u64>,
    /// Its conversation (RFC 8474).
    pub thread: Option<String>,
    /// Its first words (RFC 8970).
    pub preview: Option<String>,
    /// What was asked for by BODY or BINARY, in the order of the answer.
    pub sections: Vec<Section>,
    /// What it is made of.
    pub structure: Option<Structure>,
}

/// A section of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What stands in the brackets, in capitals: `1.2`, `HEADER`, empty for all of it.
    pub name: String,
    /// Its bytes; none for NIL, or where they were passed on.
    pub bytes: Option<Vec<u8>>,
    /// How many bytes were passed on.
    pub passed: Option<u64>,
}

impl Fetched {
    pub(crate) fn read(number: u32, items: &[Token]) -> Self {
        let mut fetched = Fetched { number, ..Fetched::default() };
        let (pairs, _) = items.as_chunks::<2>();
        for [name, value] in pairs {
            let Some(name) = name.word() else { continue };
            fetched.item(&name.to_ascii_uppercase(), value);
        }
        fetched
    }

    fn item(&mut self, name: &[u8], value: &Token) {
        let text = || value.text().map(|text| text.into_owned());
        let words = || value.list().iter().filter_map(|word| Some(word.text()?.into_owned()));
        match name {
            b"UID" => self.uid = value.small().filter(|&uid| uid > 0),
            b"FLAGS" => self.flags = Some(words().collect()),
            b"INTERNALDATE" => self.received = value.text().and_then(|text| internal_date(&text)),
            b"RFC822.SIZE" => self.size = value.number(),
            b"THREADID" => self.thread = words().next(),
            b"PREVIEW" => self.preview = text(),
            b"BODYSTRUCTURE" => self.structure = Some(Structure::read(value)),
            _ if name.starts_with(b"BODY[") || name.starts_with(b"BINARY[") => {
                self.sections.push(section(name, value));
            }
            _ => {}
        }
    }

    /// The bytes of a section by its name.
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        let found = self.sections.iter().find(|section| section.name == name)?;
        found.bytes.as_deref()
    }

    /// The header fields that were asked for, whatever they were.
    pub fn header(&self) -> Option<&[u8]> {
        let found = self.sections.iter().find(|section| section.name.starts_with("HEADER"))?;
        found.bytes.as_deref()
    }

    /// Whether it has a flag, in any case.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.as_ref().is_some_and(|all| all.iter().any(|own| own.eq_ignore_ascii_case(flag)))
    }
}

fn section(name: &[u8], value: &Token) -> Section {
    let start = name.iter().position(|&byte| byte == b'[').map_or(0, |at| at + 1);
    let end = name.iter().rposition(|&byte| byte == b']').unwrap_or(name.len()).max(start);
    let name = String::from_utf8_lossy(&name[start..end]).into_owned();
    match value {
        Token::Passed(size) => Section { name, bytes: None, passed: Some(*size) },
        value => Section { name, bytes: value.bytes().map(<[u8]>::to_vec), passed: None },
    }
}

#[cfg(test)]
mod tests {
    use crate::imap::{Response, response::response};

    #[test]
    fn a_row_of_a_list_is_read() {
        let answer = "* 7 FETCH (UID 9 FLAGS (\\Seen $Junk) INTERNALDATE \"28-Nov-2026 14:00:30 +0130\" \
            RFC822.SIZE 44827 THREADID (T1) PREVIEW \"Hi\" \
            BODY[HEADER.FIELDS (FROM TO)] \"From: x\" BINARY[1.2] NIL)";
        let Response::Fetch(row) = response(answer) else { panic!() };
        assert_eq!((row.number, row.uid, row.size), (7, Some(9), Some(44_827)));
        assert!(row.has("\\SEEN") && row.has("$junk") && !row.has("\\Flagged"));
        assert_eq!(row.received, Some(1_795_869_030));
        assert_eq!((row.thread.as_deref(), row.preview.as_deref()), (Some("T1"), Some("Hi")));
        assert_eq!(row.header(), Some(b"From: x".as_slice()));
        assert_eq!(row.section("1.2"), None);
    }

    #[test]
    fn lies_are_left_out() {
        let Response::Fetch(row) = response("* 7 FETCH (UID 0 RFC822.SIZE (9) FLAGS 3 X)") else {
            panic!()
        };
        assert_eq!((row.uid, row.size, row.flags.as_deref()), (None, None, Some([].as_slice())));
    }
}
