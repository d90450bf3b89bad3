//! Sieve as a tree (RFC 5228, section 8): enough to read every script, understanding none of it.

use super::write::ENCODED;

/// Arguments and commands of one script that are read.
const NODE_LIMIT: usize = 50_000;
/// Blocks and tests inside one another.
const DEPTH_LIMIT: usize = 16;

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    Tag(String),
    Number(u64),
    Strings(Vec<String>),
}

/// A test: `name arguments (tests)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    pub(super) tests: Vec<Test>,
}

/// A command, with the comment line in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) comment: String,
    pub(super) name: String,
    pub(super) arguments: Vec<Argument>,
    pub(super) tests: Vec<Test>,
    pub(super) block: Vec<Command>,
}

/// Reads a script, or nothing if it isn't one.
pub(super) fn parse(script: &str) -> Option<Vec<Command>> {
    let mut parser = Parser { rest: script, comment: String::new(), nodes: 0 };
    let commands = parser.commands(0)?;
    parser.skip();
    parser.rest.is_empty().then_some(commands)
}

struct Parser<'a> {
    rest: &'a str,
    comment: String,
    nodes: usize,
}

impl Parser<'_> {
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            if let Some(comment) = self.rest.strip_prefix('#') {
                let end = comment.find('\n').unwrap_or(comment.len());
                comment[..end].trim().clone_into(&mut self.comment);
                self.rest = &comment[end..];
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.find("*/").map_or("", |at| &comment[at + 2..]);
            } else {
                return;
            }
        }
    }

    fn eat(&mut self, sign: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn count(&mut self) -> Option<()> {
        self.nodes += 1;
        (self.nodes <= NODE_LIMIT).then_some(())
    }

    fn word(&mut self) -> Option<String> {
        self.skip();
        let end = (self.rest.find(|one: char| !(one.is_ascii_alphanumeric() || one == '_')))
            .unwrap_or(self.rest.len());
        if end == 0 || self.rest.starts_with(|one: char| one.is_ascii_digit()) {
            return None;
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word.to_ascii_lowercase())
    }

    fn commands(&mut self, depth: usize) -> Option<Vec<Command>> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        let mut out = Vec::new();
        loop {
            self.skip();
            if self.rest.is_empty() || self.rest.starts_with('}') {
                return Some(out);
            }
            self.count()?;
            let comment = std::mem::take(&mut self.comment);
            let name = self.word()?;
            let arguments = self.arguments()?;
            let tests = self.tests(depth + 1)?;
            let block = if self.eat('{') {
                let block = self.commands(depth + 1)?;
                if !self.eat('}') {
                    return None;
                }
                block
            } else if self.eat(';') {
                Vec::new()
            } else {
                return None;
            };
            out.push(Command { comment, name, arguments, tests, block });
        }
    }

    fn arguments(&mut self) -> Option<Vec<Argument>> {
        let mut out = Vec::new();
        loop {
            self.skip();
            self.count()?;
            let next = self.rest.chars().next();
            match next {
                Some(':') => {
                    self.rest = &self.rest[1..];
                    out.push(Argument::Tag(self.word()?));
                }
                Some('"') => out.push(Argument::Strings(vec![self.string()?])),
                Some('[') => {
                    self.rest = &self.rest[1..];
                    let mut list = vec![self.string()?];
                    while self.eat(',') {
                        self.count()?;
                        list.push(self.string()?);
                    }
                    if !self.eat(']') {
                        return None;
                    }
                    out.push(Argument::Strings(list));
                }
                Some('0'..='9') => out.push(Argument::Number(self.number()?)),
                Some('t' | 'T')
                    if self.rest.get(..5).is_some_and(|one| one.eq_ignore_ascii_case("text:")) =>
                {
                    out.push(Argument::Strings(vec![self.multi_line()?]));
                }
                _ => return Some(out),
            }
        }
    }

    fn tests(&mut self, depth: usize) -> Option<Vec<Test>> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        self.skip();
        if self.eat('(') {
            let mut out = vec![self.test(depth)?];
            while self.eat(',') {
                out.push(self.test(depth)?);
            }
            return self.eat(')').then_some(out);
        }
        if self.rest.starts_with(|one: char| one.is_ascii_alphabetic()) {
            return Some(vec![self.test(depth)?]);
        }
        Some(Vec::new())
    }

    fn test(&mut self, depth: usize) -> Option<Test> {
        self.count()?;
        let name = self.word()?;
        let arguments = self.arguments()?;
        let tests = self.tests(depth + 1)?;
        Some(Test { name, arguments, tests })
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.rest.find(|one: char| !one.is_ascii_digit()).unwrap_or(self.rest.len());
        let number: u64 = self.rest[..end].parse().ok()?;
        self.rest = &self.rest[end..];
        let factor = match self.rest.chars().next() {
            Some('K' | 'k') => 1 << 10,
            Some('M' | 'm') => 1 << 20,
            Some('G' | 'g') => 1 << 30,
            _ => return Some(number),
        };
        self.rest = &self.rest[1..];
        number.checked_mul(factor)
    }

    fn string(&mut self) -> Option<String> {
        self.skip();
        let inner = self.rest.strip_prefix('"')?;
        let mut out = String::new();
        let mut signs = inner.char_indices();
        while let Some((at, one)) = signs.next() {
            match one {
                '"' => {
                    self.rest = &inner[at + 1..];
                    return Some(decoded(&out.replace("\r\n", "\n")));
                }
                '\\' => out.push(signs.next()?.1),
                other => out.push(other),
            }
        }
        None
    }

    fn multi_line(&mut self) -> Option<String> {
        let (_, mut rest) = self.rest.split_once('\n')?;
        let mut out = String::new();
        loop {
            let (line, after) = rest.split_once('\n')?;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line == "." {
                self.rest = after;
                return Some(out);
            }
            out.push_str(line.strip_prefix('.').filter(|_| line.starts_with("..")).unwrap_or(line));
            out.push('\n');
            rest = after;
        }
    }
}

/// The text with the signs that [`super::write`] writes by their numbers.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(ENCODED) {
        out.push_str(before);
        let sign = after.get(..3).and_then(|one| one.strip_suffix('}'));
        match sign.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii) {
            Some(sign) => {
                out.push(char::from(sign));
                rest = &after[3..];
            }
            None => {
                out.push_str(ENCODED);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
