//! A stream of bytes, cut where a line ends that announces no literal.

use crate::answer::Limits;
use crate::{Error, Result};

/// One line of a server with the literals in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// What it is made of. A literal stands between the two texts around it; the last is a text.
    pub pieces: Vec<Piece>,
}

/// A part of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text of a line, without the literal's announcement and without the line end.
    Text(Vec<u8>),
    /// A literal.
    Literal(Vec<u8>),
    /// A literal that was passed on, of that many bytes.
    Passed(u64),
}

impl Frame {
    /// The text before the first literal.
    pub fn head(&self) -> &[u8] {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => b"",
        }
    }
}

/// What the bytes given to a [`Framer`] led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// All bytes are taken, and the frame is not complete.
    More,
    /// The first bytes of the input, that many, belong to a literal that is passed on.
    Chunk(usize),
    /// A frame is complete.
    Frame(Frame),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Line,
    Literal(usize),
    Passing(u64),
}

/// Cuts what a server sends into frames. Does no input itself and keeps its place between calls.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    state: State,
    pieces: Vec<Piece>,
    current: Vec<u8>,
    kept: usize,
    pass_next: bool,
}

impl Framer {
    /// At the beginning of a line.
    pub fn new(limits: Limits) -> Self {
        let (pieces, current) = (Vec::new(), Vec::new());
        Framer { limits, state: State::Line, pieces, current, kept: 0, pass_next: false }
    }

    /// Whether the first literal of the next FETCH response is passed on instead of kept.
    pub fn pass_literal(&mut self, on: bool) {
        self.pass_next = on;
    }

    /// Takes bytes; returns how many were used, and what they led to.
    ///
    /// # Errors
    /// [`Error::TooMuch`] where a bound is passed, [`Error::Protocol`] for a literal without a number.
    /// Nothing can be read from this server afterwards.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Step)> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            match self.state {
                State::Line => {
                    used += self.take_line(rest)?;
                    if self.current.last() == Some(&b'\n')
                        && let Some(frame) = self.end_line()?
                    {
                        return Ok((used, Step::Frame(frame)));
                    }
                }
                State::Literal(left) => {
                    let count = left.min(rest.len());
                    self.current.extend_from_slice(&rest[..count]);
                    used += count;
                    self.state = State::Literal(left - count);
                    if left == count {
                        self.end_literal();
                    }
                }
                State::Passing(_) if used > 0 => return Ok((used, Step::Chunk(0))),
                State::Passing(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.state = match left - count as u64 {
                        0 => State::Line,
                        left => State::Passing(left),
                    };
                    return Ok((count, Step::Chunk(count)));
                }
            }
        }
        Ok((used, Step::More))
    }

    fn take_line(&mut self, rest: &[u8]) -> Result<usize> {
        let count = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
        if self.current.len() + count > self.limits.line {
            return Err(Error::TooMuch { limit: self.limits.line as u64, what: "bytes in a line" });
        }
        self.keep(count)?;
        self.current.extend_from_slice(&rest[..count]);
        Ok(count)
    }

    fn keep(&mut self, count: usize) -> Result<()> {
        self.kept = self.kept.saturating_add(count);
        if self.kept > self.limits.frame {
            return Err(Error::TooMuch {
                limit: self.limits.frame as u64,
                what: "bytes in one response",
            });
        }
        // A literal of no bytes costs memory too.
        if self.pieces.len() > self.limits.tokens {
            return Err(Error::TooMuch { limit: self.limits.tokens as u64, what: "literals" });
        }
        Ok(())
    }

    /// At a line end: the frame, if it is complete.
    fn end_line(&mut self) -> Result<Option<Frame>> {
        self.current.pop();
        if self.current.last() == Some(&b'\r') {
            self.current.pop();
        }
        let first = self.pieces.is_empty();
        let literal = if first && holds_free_text(&self.current) {
            None
        } else {
            announced(&mut self.current)?
        };
        let line = std::mem::take(&mut self.current);
        let passes = self.pass_next && first && is_fetch(&line);
        self.pieces.push(Piece::Text(line));
        let Some(size) = literal else {
            self.kept = 0;
            return Ok(Some(Frame { pieces: std::mem::take(&mut self.pieces) }));
        };
        if passes {
            if size > self.limits.passed {
                return Err(Error::TooMuch { limit: self.limits.passed, what: "bytes in a part" });
            }
            self.pieces.push(Piece::Passed(size));
            self.state = if size == 0 { State::Line } else { State::Passing(size) };
            return Ok(None);
        }
        let size = usize::try_from(size).ok().filter(|&size| size <= self.limits.literal);
        let size = size.ok_or(Error::TooMuch {
            limit: self.limits.literal as u64,
            what: "bytes in a literal",
        })?;
        self.keep(size)?;
        self.state = State::Literal(size);
        if size == 0 {
            self.end_literal();
        }
        Ok(None)
    }

    fn end_literal(&mut self) {
        self.pieces.push(Piece::Literal(std::mem::take(&mut self.current)));
        self.state = State::Line;
    }
}

/// Whether a line of IMAP ends in words for people, in which `{3}` announces nothing.
fn holds_free_text(line: &[u8]) -> bool {
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let (tag, word) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if tag == b"+" {
        return true;
    }
    // ManageSieve writes OK, NO and BYE first, and these may end in a literal.
    let statuses: [&[u8]; 5] = [b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"];
    !statuses.iter().any(|status| tag.eq_ignore_ascii_case(status))
        && statuses.iter().any(|status| word.eq_ignore_ascii_case(status))
}

/// `* 12 FETCH (…`
fn is_fetch(line: &[u8]) -> bool {
    let mut words = line.splitn(4, |&byte| byte == b' ');
    let (star, _, word) = (words.next(), words.next(), words.next());
    star == Some(b"*") && word.is_some_and(|word| word.eq_ignore_ascii_case(b"FETCH"))
}

/// Takes `{12}`, `{12+}` or `~{12}` off the end of a line and returns the number.
fn announced(line: &mut Vec<u8>) -> Result<Option<u64>> {
    if line.last() != Some(&b'}') {
        return Ok(None);
    }
    let Some(start) = line.iter().rposition(|&byte| byte == b'{') else { return Ok(None) };
    let digits = &line[start + 1..line.len() - 1];
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Ok(None);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let number = number.ok_or(Error::Protocol("a literal of an impossible size"))?;
    line.truncate(start);
    if line.last() == Some(&b'~') {
        line.pop();
    }
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small() -> Limits {
        let limits = Limits { line: 64, literal: 32, passed: 100, frame: 96, ..Limits::default() };
        Limits { tokens: 8, depth: 4, ..limits }
    }

    /// All frames of `bytes`, given in pieces of `size`; what was passed on; the error, if any.
    fn frames(limits: Limits, pass: bool, bytes: &[u8], size: usize) -> (Vec<Frame>, Vec<u8>, bool) {
        let mut framer = Framer::new(limits);
        framer.pass_literal(pass);
        let (mut found, mut passed) = (Vec::new(), Vec::new());
        for mut chunk in bytes.chunks(size.max(1)) {
            while !chunk.is_empty() {
                let Ok((used, step)) = framer.feed(chunk) else { return (found, passed, true) };
                match step {
                    Step::Frame(frame) => found.push(frame),
                    Step::Chunk(count) => passed.extend_from_slice(&chunk[used - count..used]),
                    Step::More => {}
                }
                chunk = &chunk[used..];
            }
        }
        (found, passed, false)
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_and_literals_are_cut_alike_in_pieces_of_any_size() {
        let bytes = b"* 1 FETCH (BODY[] {5}\r\nab\r\n) UID 3)\r\n* OK see {5}\r\n+ go {3}\na OK\r\n";
        for size in 1..bytes.len() {
            let (found, _, failed) = frames(small(), false, bytes, size);
            assert!(!failed);
            assert_eq!(found.len(), 4, "pieces of {size}");
            let literal = Piece::Literal(b"ab\r\n)".to_vec());
            assert_eq!(found[0].pieces, [text("* 1 FETCH (BODY[] "), literal, text(" UID 3)")]);
            assert_eq!(found[1].pieces, [text("* OK see {5}")]);
            assert_eq!(found[2].pieces, [text("+ go {3}")]);
        }
    }

    #[test]
    fn one_literal_is_passed_on_and_others_are_kept() {
        let bytes = b"* LIST () \"/\" {1}\r\nx\r\n* 1 FETCH (BINARY[2] ~{5}\r\nhello X {1}\r\ny)\r\n";
        for size in 1..bytes.len() {
            let (found, passed, failed) = frames(small(), true, bytes, size);
            assert!(!failed);
            assert_eq!(passed, b"hello");
            assert_eq!(found[0].pieces[1], Piece::Literal(b"x".to_vec()));
            assert_eq!(found[1].pieces[1], Piece::Passed(5));
            assert_eq!(found[1].pieces[3], Piece::Literal(b"y".to_vec()));
        }
    }

    #[test]
    fn every_bound_holds() {
        let long = [b"* OK ".as_slice(), &[b'x'; 80]].concat();
        let many = b"* X {0}\r\n".iter().copied().chain(b" {0}\r\n".repeat(20)).collect::<Vec<_>>();
        let cases: [&[u8]; 6] = [
            &long,
            b"* 1 FETCH (BODY[] {33}\r\n",
            b"* 1 FETCH (BODY[] {99999999999999999999999}\r\n",
            b"* X {30}\r\n012345678901234567890123456789 {30}\r\n012345678901234567890123456789 {30}\r\n",
            b"* 1 FETCH (BODY[] {18446744073709551615}\r\n",
            &many,
        ];
        for case in cases {
            assert!(frames(small(), false, case, 7).2, "{}", String::from_utf8_lossy(case));
        }
        assert!(frames(small(), true, b"* 1 FETCH (BODY[] {101}\r\n", 7).2);
    }

    #[test]
    fn no_memory_is_taken_for_bytes_that_only_were_announced() {
        let mut framer = Framer::new(Limits::default());
        framer.feed(b"* 1 FETCH (BODY[] {8000000}\r\nab").unwrap();
        assert!(framer.current.capacity() < 100, "{}", framer.current.capacity());
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_however_they_arrive(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'{'), Just(b'}'), Just(b'3'), Just(b'\r'), Just(b'\n'), Just(b'*'),
                    Just(b' '), Just(b'~'), Just(b'+'), any::<u8>()], 0..200),
            size in 1_usize..50,
            pass: bool,
        ) {
            let whole = frames(small(), pass, &bytes, bytes.len());
            prop_assert_eq!(frames(small(), pass, &bytes, size), whole);
        }
    }
}
