//! A folder, as LIST describes it.

use crate::answer::Token;
use crate::imap::{Counters, utf7};

/// A folder of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its name as the server writes it. Goes back unchanged, so that no name is lost on the way.
    pub wire: String,
    /// Its name for people: the whole path.
    pub name: String,
    /// What separates the parts of a path.
    pub delimiter: Option<char>,
    /// Attributes such as `\Noselect`, as they came.
    pub attributes: Vec<String>,
    /// How much is in it, if the server said so.
    pub counters: Counters,
}

/// What a folder is for (RFC 6154).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SpecialUse {
    Inbox,
    Drafts,
    Sent,
    Archive,
    Junk,
    Trash,
}

impl Folder {
    /// Reads `(\HasNoChildren) "/" "INBOX"`.
    pub(crate) fn read(tokens: &[Token]) -> Option<Self> {
        let [attributes, delimiter, name, ..] = tokens else { return None };
        let wire = String::from_utf8(name.bytes()?.to_vec()).ok()?;
        if wire.contains(['\0', '\r', '\n']) {
            return None;
        }
        let delimiter = delimiter.text().and_then(|text| text.chars().next());
        let attributes =
            attributes.list().iter().filter_map(|word| Some(word.text()?.into_owned())).collect();
        let name = folder_to_text(&wire);
        Some(Folder { wire, name, delimiter, attributes, counters: Counters::default() })
    }

    fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|own| own.eq_ignore_ascii_case(attribute))
    }

    /// Whether it can hold messages.
    pub fn selectable(&self) -> bool {
        !self.has("\\Noselect") && !self.has("\\NonExistent")
    }

    /// What it is for.
    pub fn special_use(&self) -> Option<SpecialUse> {
        if self.wire.eq_ignore_ascii_case("INBOX") {
            return Some(SpecialUse::Inbox);
        }
        let uses = [
            ("\\Drafts", SpecialUse::Drafts),
            ("\\Sent", SpecialUse::Sent),
            ("\\Archive", SpecialUse::Archive),
            ("\\Junk", SpecialUse::Junk),
            ("\\Trash", SpecialUse::Trash),
        ];
        uses.into_iter().find(|(attribute, _)| self.has(attribute)).map(|(_, found)| found)
    }

    /// How many folders are around it.
    pub fn depth(&self) -> usize {
        self.delimiter.map_or(0, |delimiter| self.name.matches(delimiter).count())
    }

    /// The last part of its path.
    pub fn last(&self) -> &str {
        let last = self.delimiter.and_then(|delimiter| self.name.rsplit(delimiter).next());
        last.unwrap_or(&self.name)
    }
}

/// The name that a server takes for a name that a person wrote.
pub fn folder_to_wire(name: &str) -> String {
    utf7::encode(name)
}

/// The name for people; what isn't written as it should be stays as it is.
pub fn folder_to_text(wire: &str) -> String {
    utf7::decode(wire).unwrap_or_else(|| wire.to_owned())
}
