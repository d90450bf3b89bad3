//! A command before it is sent. What is not ours goes in as quoted string, counted literal or
//! number, so that no text can end a command or begin another.

use crate::{Error, Result};

/// Longer strings become literals.
const LONGEST_QUOTED: usize = 500;

/// A command without its tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command {
    /// Text; each but the last is followed by the literal of the same index.
    texts: Vec<Vec<u8>>,
    literals: Vec<Vec<u8>>,
}

impl Command {
    /// Begins with words of this crate.
    pub(crate) fn new(words: &'static str) -> Self {
        Command { texts: vec![words.as_bytes().to_vec()], literals: Vec::new() }
    }

    fn add(&mut self, bytes: &[u8]) {
        if let Some(text) = self.texts.last_mut() {
            if !text.ends_with(b"(") && bytes != b")" {
                text.push(b' ');
            }
            text.extend_from_slice(bytes);
        }
    }

    /// Adds words of this crate; parentheses too.
    pub(crate) fn words(mut self, words: &'static str) -> Self {
        self.add(words.as_bytes());
        self
    }

    /// Adds a number.
    pub(crate) fn number(mut self, number: u64) -> Self {
        self.add(number.to_string().as_bytes());
        self
    }

    /// Adds a word from elsewhere: a flag, a set of UIDs, a date, base64.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if it is anything but one atom.
    pub(crate) fn atom(mut self, atom: &str) -> Result<Self> {
        let rest = atom.strip_prefix('\\').unwrap_or(atom);
        let plain = |c: char| c.is_ascii_graphic() && !"(){%\"\\]".contains(c);
        if rest.is_empty() || !rest.chars().all(plain) {
            return Err(Error::Unwritable("a flag"));
        }
        self.add(atom.as_bytes());
        Ok(self)
    }

    /// Adds any text.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for NUL, which IMAP can't write.
    pub(crate) fn string(mut self, text: &str) -> Result<Self> {
        if text.contains('\0') {
            return Err(Error::Unwritable("a text of a command"));
        }
        let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if text.len() <= LONGEST_QUOTED && text.bytes().all(plain) {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            self.add(format!("\"{escaped}\"").as_bytes());
        } else {
            self.add(b"");
            self.literals.push(text.as_bytes().to_vec());
            self.texts.push(Vec::new());
        }
        Ok(self)
    }

    /// Adds base64.
    ///
    /// # Errors
    /// [`Error::Unwritable`] if it is anything else.
    pub(crate) fn base64(mut self, text: &str) -> Result<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)) {
            return Err(Error::Unwritable("base64"));
        }
        self.add(text.as_bytes());
        Ok(self)
    }

    /// Adds `BODY.PEEK[1.2]`. The caller has checked the section.
    pub(crate) fn section(mut self, item: &'static str, section: &str) -> Self {
        self.add(format!("{item}[{section}]").as_bytes());
        self
    }

    /// Adds `BODY.PEEK[]<0.100>`: no more than `most` bytes from the start.
    pub(crate) fn first_bytes(mut self, item: &'static str, most: u32) -> Self {
        self.add(format!("{item}<0.{most}>").as_bytes());
        self
    }

    /// Ends in the announcement of a literal that is sent by itself.
    pub(crate) fn size(mut self, size: u64) -> Self {
        self.add(format!("{{{size}}}").as_bytes());
        self
    }

    /// What is sent in one go; before each but the first the server has to say `+`, unless it takes
    /// literals unasked (`LITERAL+`, RFC 7888).
    pub(crate) fn segments(&self, tag: &str, unasked: bool) -> Vec<Vec<u8>> {
        let mut segments = vec![format!("{tag} ").into_bytes()];
        let plus = if unasked { "+" } else { "" };
        for (index, text) in self.texts.iter().enumerate() {
            let literal = self.literals.get(index);
            let Some(segment) = segments.last_mut() else { break };
            segment.extend_from_slice(text);
            let Some(literal) = literal else {
                segment.extend_from_slice(b"\r\n");
                break;
            };
            segment.extend_from_slice(format!("{{{}{plus}}}\r\n", literal.len()).as_bytes());
            if unasked {
                segment.extend_from_slice(literal);
            } else {
                segments.push(literal.clone());
            }
        }
        segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Framer, Limits, Step, Token, tokens};
    use proptest::prelude::*;

    fn sent(command: &Command) -> String {
        String::from_utf8(command.segments("a1", true).concat()).unwrap()
    }

    #[test]
    fn commands_are_written_as_the_rfc_has_them() {
        let command = Command::new("UID SEARCH").words("CHARSET UTF-8 (");
        let command = command.words("SUBJECT").string("a \"b\" \\").unwrap().words(")");
        assert_eq!(
            sent(&command),
            "a1 UID SEARCH CHARSET UTF-8 (SUBJECT \"a \\\"b\\\" \\\\\")\r\n"
        );
        let command = Command::new("UID SEARCH TEXT").string("Grüße").unwrap().words("SEEN");
        assert_eq!(sent(&command), "a1 UID SEARCH TEXT {7+}\r\nGrüße SEEN\r\n");
        let waited = command.segments("a1", false);
        assert_eq!(waited[0], b"a1 UID SEARCH TEXT {7}\r\n");
        assert_eq!(waited[1], "Grüße SEEN\r\n".as_bytes());
    }

    #[test]
    fn atoms_hold_nothing_that_ends_them() {
        for bad in ["", "a b", "a\r\nb", "x)", "a\"", "\\", "{3}", "ü", "a\\b"] {
            assert!(Command::new("STORE").atom(bad).is_err(), "{bad:?}");
        }
        for good in ["\\Seen", "$Junk", "1:*", "1,3:5", "n,a=b"] {
            assert!(Command::new("STORE").atom(good).is_ok(), "{good:?}");
        }
        assert!(Command::new("SELECT").string("a\0b").is_err());
    }

    proptest! {
        /// A reader with the server's rules finds the same strings and one line.
        #[test]
        fn no_text_leaves_its_string(first in "[^\0]{0,40}", second in "[^\0]{0,40}") {
            let command = Command::new("X").string(&first).unwrap().string(&second).unwrap();
            let bytes = command.segments("a1", true).concat();
            let mut framer = Framer::new(Limits::default());
            let (used, step) = framer.feed(&bytes).unwrap();
            prop_assert_eq!(used, bytes.len());
            let Step::Frame(frame) = step else { panic!("no frame") };
            let found = tokens(&frame, &Limits::default()).unwrap();
            let text = |text: &str| Token::Text(text.into());
            let word = |word: &str| Token::Word(word.into());
            prop_assert_eq!(found, vec![word("a1"), word("X"), text(&first), text(&second)]);
        }
    }
}
