//! The parts of a message as a flat list, and how one is named in an address.

use std::fmt;
use std::str::FromStr;

/// Which part of a message: the numbers that lead to it, and the file inside it where it is a TNEF.
///
/// Written as `3`, `3-1` (part 1 of the message in part 3) or `3t0` (the first file in part 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartId {
    pub(super) path: Vec<u32>,
    pub(super) file: Option<u32>,
}

impl fmt::Display for PartId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.path.iter().enumerate() {
            write!(formatter, "{}{number}", if at == 0 { "" } else { "-" })?;
        }
        match self.file {
            Some(file) => write!(formatter, "t{file}"),
            None => Ok(()),
        }
    }
}

impl FromStr for PartId {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Self, UnknownPart> {
        let number = |one: &str| {
            let digits =
                !one.is_empty() && one.len() <= 6 && one.bytes().all(|one| one.is_ascii_digit());
            if digits { one.parse().map_err(|_| UnknownPart) } else { Err(UnknownPart) }
        };
        let (path, file) = match text.split_once('t') {
            Some((path, file)) => (path, Some(number(file)?)),
            None => (text, None),
        };
        if path.len() > 500 {
            return Err(UnknownPart);
        }
        Ok(PartId { path: path.split('-').map(number).collect::<Result<_, _>>()?, file })
    }
}

/// There is no part of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has no such part")]
pub struct UnknownPart;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in an address.
    pub id: PartId,
    /// Its section number for IMAP (RFC 9051, section 6.4.5), empty where IMAP has none.
    pub section: String,
    /// How deep it lies; the outermost is 0.
    pub depth: usize,
    /// Its type as the sender names it, lower case, letters and a few signs only.
    pub media_type: String,
    /// A name to store it under; never empty, never a path.
    pub name: String,
    /// Its size once decoded, in bytes.
    pub size: usize,
    /// Its Content-ID without angle brackets.
    pub content_id: Option<String>,
    /// Whether it belongs into the list of attachments.
    pub is_attachment: bool,
    /// Whether it is a message that can be read by itself.
    pub is_message: bool,
    /// Whether it is an image that a page may show: its bytes say so too.
    pub is_image: bool,
    /// Whether opening it runs something on many machines.
    pub is_dangerous: bool,
}
