//! A frame as a tree of words, strings and lists.

use std::borrow::Cow;

use crate::answer::{Frame, Limits, Piece};
use crate::{Error, Result};

/// A part of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word without quotes: `UID`, `12`, `\Seen`, `NIL`, `BODY[HEADER.FIELDS (FROM)]`.
    Word(Vec<u8>),
    /// A quoted string or a literal: bytes that nothing else is read into.
    Text(Vec<u8>),
    /// A literal that was passed on, of that many bytes.
    Passed(u64),
    /// `(…)`
    List(Vec<Token>),
}

impl Token {
    /// The word, if it is one.
    pub fn word(&self) -> Option<&[u8]> {
        match self {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether it is this word, in any case.
    pub fn is(&self, word: &str) -> bool {
        self.word().is_some_and(|own| own.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The elements of a list; of anything else, none.
    pub fn list(&self) -> &[Token] {
        match self {
            Token::List(list) => list,
            _ => &[],
        }
    }

    /// The bytes of a string; of a word too, as servers write one for the other; not of NIL.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Token::Text(text) => Some(text),
            Token::Word(word) if !word.eq_ignore_ascii_case(b"NIL") => Some(word),
            _ => None,
        }
    }

    /// The same as text; foreign bytes are replaced.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.bytes().map(String::from_utf8_lossy)
    }

    /// The number that a word writes.
    pub fn number(&self) -> Option<u64> {
        std::str::from_utf8(self.word()?).ok()?.parse().ok()
    }

    /// The number, if it fits into 32 bits.
    pub fn small(&self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }
}

/// Reads a frame.
///
/// # Errors
/// [`Error::TooMuch`] for more tokens or depth than allowed, [`Error::Protocol`] for parentheses,
/// quotes or brackets that don't match. The next frame can be read all the same.
pub fn tokens(frame: &Frame, limits: &Limits) -> Result<Vec<Token>> {
    let mut reader = Reader { limits, stack: Vec::new(), current: Vec::new(), count: 0 };
    for piece in &frame.pieces {
        match piece {
            Piece::Text(text) => reader.read(text)?,
            Piece::Literal(bytes) => reader.push(Token::Text(bytes.clone()))?,
            Piece::Passed(size) => reader.push(Token::Passed(*size))?,
        }
    }
    if !reader.stack.is_empty() {
        return Err(Error::Protocol("a list without an end"));
    }
    Ok(reader.current)
}

struct Reader<'l> {
    limits: &'l Limits,
    /// Lists that are open: what was read of them so far.
    stack: Vec<Vec<Token>>,
    current: Vec<Token>,
    count: usize,
}

impl Reader<'_> {
    fn push(&mut self, token: Token) -> Result<()> {
        self.count += 1;
        if self.count > self.limits.tokens {
            return Err(Error::TooMuch { limit: self.limits.tokens as u64, what: "words" });
        }
        self.current.push(token);
        Ok(())
    }

    fn read(&mut self, text: &[u8]) -> Result<()> {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match byte {
                b' ' | b'\t' => at += 1,
                b'(' => {
                    if self.stack.len() >= self.limits.depth {
                        let limit = self.limits.depth as u64;
                        return Err(Error::TooMuch { limit, what: "lists in lists" });
                    }
                    self.stack.push(std::mem::take(&mut self.current));
                    at += 1;
                }
                b')' => {
                    let outer = self.stack.pop();
                    let outer = outer.ok_or(Error::Protocol("a list without a beginning"))?;
                    let list = std::mem::replace(&mut self.current, outer);
                    self.push(Token::List(list))?;
                    at += 1;
                }
                b'"' => {
                    let (quoted, end) = quoted(text, at)?;
                    self.push(Token::Text(quoted))?;
                    at = end;
                }
                _ => {
                    let end = word_end(text, at)?;
                    self.push(Token::Word(text[at..end].to_vec()))?;
                    at = end;
                }
            }
        }
        Ok(())
    }
}

/// The string that begins with the quote at `start`, and where it ends.
fn quoted(text: &[u8], start: usize) -> Result<(Vec<u8>, usize)> {
    let (mut string, mut at) = (Vec::new(), start + 1);
    loop {
        match text.get(at) {
            Some(b'"') => return Ok((string, at + 1)),
            Some(b'\\') if at + 1 < text.len() => {
                string.push(text[at + 1]);
                at += 2;
            }
            Some(&byte) => {
                string.push(byte);
                at += 1;
            }
            None => return Err(Error::Protocol("a string without an end")),
        }
    }
}

/// Where the word at `start` ends. What stands in brackets belongs to it.
fn word_end(text: &[u8], start: usize) -> Result<usize> {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match byte {
            b' ' | b'\t' | b'(' | b')' | b'"' => break,
            b'[' => {
                let close = text[at..].iter().position(|&byte| byte == b']');
                at += close.ok_or(Error::Protocol("a bracket without an end"))? + 1;
            }
            _ => at += 1,
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Result<Vec<Token>> {
        let limits = Limits { tokens: 12, depth: 3, ..Limits::default() };
        tokens(&Frame { pieces: vec![Piece::Text(text.to_vec())] }, &limits)
    }

    fn word(word: &str) -> Token {
        Token::Word(word.into())
    }

    #[test]
    fn words_strings_and_lists_are_told_apart() {
        let found = read(br#"* LIST (\A \B) "/" "a \"b\" (\\"  BODY[HEADER.FIELDS (TO)]<0> NIL"#);
        let text = |text: &str| Token::Text(text.into());
        let expected = vec![
            word("*"),
            word("LIST"),
            Token::List(vec![word("\\A"), word("\\B")]),
            text("/"),
            text("a \"b\" (\\"),
            word("BODY[HEADER.FIELDS (TO)]<0>"),
            word("NIL"),
        ];
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn what_does_not_match_or_is_too_much_is_an_error() {
        let cases: [&[u8]; 6] =
            [b"(", b")", b"\"a", b"BODY[", b"((((a))))", b"a b c d e f g h i j k l m"];
        for case in cases {
            assert!(read(case).is_err(), "{}", String::from_utf8_lossy(case));
        }
    }

    #[test]
    fn numbers_are_not_read_out_of_strings() {
        assert_eq!(Token::Text(b"12".to_vec()).number(), None);
        assert_eq!(word("12").small(), Some(12));
        assert_eq!(word("4294967296").small(), None);
        assert_eq!(word("-1").number(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[()\\[\\]\"\\\\ a-c{}*]{0,60}") {
            drop(read(text.as_bytes()));
        }
    }
}
