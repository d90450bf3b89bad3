//! The header fields that describe a part: names and parameters however they are written
//! (RFC 2045, 5; RFC 2047; RFC 2183; RFC 2231).

use super::Encoding;
use super::transfer::{base64, hex, quoted_printable};

/// The header of one part: only the fields about its content.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    content_type: Vec<String>,
    transfer_encoding: Vec<String>,
    disposition: Vec<String>,
}

/// A media type with its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentType {
    /// `text` of `text/plain`, in lower case.
    pub main: String,
    /// `plain` of `text/plain`, in lower case.
    pub sub: String,
    /// Names in lower case, values decoded.
    pub parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Whether it is `main/sub`.
    #[must_use]
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main == main && self.sub == sub
    }

    /// Every value of a parameter, whichever a program takes; `name` in lower case.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let mut values: Vec<&str> = Vec::new();
        for (key, value) in &self.parameters {
            if key == name && !value.is_empty() && !values.contains(&value.as_str()) {
                values.push(value);
            }
        }
        values
    }

    /// The first value of a parameter; `name` in lower case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn parse(value: &str) -> ContentType {
        let (kind, parameters) = parameters(value);
        let (main, sub) = kind.split_once('/').unwrap_or((&kind, ""));
        let word = |text: &str| text.trim().trim_matches('"').trim().to_ascii_lowercase();
        ContentType { main: word(main), sub: word(sub), parameters }
    }
}

/// How many bytes the header has, with the empty line after it. Without one, all is header.
pub(crate) fn length(part: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = part.get(at..).filter(|rest| !rest.is_empty()) {
        let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let is_empty = matches!(rest.get(..line), Some(b"\n" | b"\r\n"));
        at += line;
        if is_empty {
            break;
        }
    }
    at
}

impl Fields {
    /// Reads a header. `is_top` allows for a mailbox's `From ` line before it.
    #[must_use]
    pub fn parse(header: &[u8], is_top: bool) -> Fields {
        let mut fields = Fields::default();
        let mut unfolded = Vec::new();
        let mut lines = header.split(|byte| *byte == b'\n').enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            if is_top && index == 0 && line.starts_with(b"From ") {
                continue;
            }
            unfolded.clear();
            unfolded.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            while let Some((_, next)) =
                lines.next_if(|(_, next)| next.starts_with(b" ") || next.starts_with(b"\t"))
            {
                unfolded.extend_from_slice(next.strip_suffix(b"\r").unwrap_or(next));
            }
            // A parameter that lost its indent: some programs read it as part of the field before.
            let is_parameter = !unfolded.contains(&b':')
                && memchr::memmem::find(&unfolded.to_ascii_lowercase(), b"name").is_some();
            let before = fields.content_type.last_mut().or(fields.disposition.last_mut());
            match before.filter(|_| is_parameter) {
                Some(value) => value.push_str(&format!("; {}", text(&unfolded).trim())),
                None => fields.take(&unfolded),
            }
        }
        fields
    }

    fn take(&mut self, field: &[u8]) {
        let Some(colon) = memchr::memchr(b':', field) else { return };
        let (name, value) = field.split_at(colon);
        // `Content-Type` with a blank in it, or a line that was to belong to the field before.
        let list = match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"content-type" => &mut self.content_type,
            b"content-transfer-encoding" => &mut self.transfer_encoding,
            b"content-disposition" => &mut self.disposition,
            _ => return,
        };
        list.push(text(value.get(1..).unwrap_or_default()));
    }

    /// The type, `text/plain` (in a digest `message/rfc822`) if there is none.
    #[must_use]
    pub fn content_type(&self, in_digest: bool) -> ContentType {
        match self.content_type.first() {
            Some(value) => ContentType::parse(value),
            None if in_digest => ContentType::parse("message/rfc822"),
            None => ContentType::parse("text/plain"),
        }
    }

    /// Every boundary that any program would cut by.
    #[must_use]
    pub fn boundaries(&self) -> Vec<String> {
        let mut boundaries: Vec<String> = Vec::new();
        let mut add = |boundary: String| {
            let boundary = boundary.trim().to_owned();
            if !boundary.is_empty()
                && boundaries.len() < MOST_NAMES
                && !boundaries.contains(&boundary)
            {
                boundaries.push(boundary);
            }
        };
        for value in &self.content_type {
            let kind = ContentType::parse(value);
            kind.all("boundary").into_iter().for_each(|it| add(it.to_owned()));
            lenient::boundaries(value, &mut add);
        }
        boundaries
    }

    /// Every type that any of the fields gives, the first one first.
    #[must_use]
    pub fn content_types(&self, in_digest: bool) -> Vec<ContentType> {
        let mut types = vec![self.content_type(in_digest)];
        for value in self.content_type.iter().skip(1) {
            types.push(ContentType::parse(value));
        }
        types
    }

    /// Every transfer encoding that any of the fields gives, also in one with more in it.
    #[must_use]
    pub fn encodings(&self) -> Vec<Encoding> {
        let mut encodings = vec![self.encoding()];
        for value in &self.transfer_encoding {
            let words = value.split(|it: char| !it.is_ascii_alphanumeric() && it != '-');
            encodings.extend(words.filter(|word| !word.is_empty()).filter_map(Encoding::named));
        }
        let mut distinct = Vec::new();
        for encoding in encodings {
            if !distinct.contains(&encoding) {
                distinct.push(encoding);
            }
        }
        distinct
    }

    /// The transfer encoding; one that nobody knows counts as none.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        let value = self.transfer_encoding.first().map_or("", String::as_str);
        Encoding::named(&without_comments(value)).unwrap_or_default()
    }

    /// Whether the part says that it is an attachment.
    #[must_use]
    pub fn is_attachment(&self) -> bool {
        let is = |value: &String| value.trim_start().to_ascii_lowercase().starts_with("attachment");
        self.disposition.first().is_some_and(is)
    }

    /// Every name that any field gives under any reading of it, without repetition.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: String| {
            let name = name.trim().to_owned();
            if !name.is_empty() && names.len() < MOST_NAMES && !names.contains(&name) {
                names.push(name);
            }
        };
        for value in self.disposition.iter().chain(&self.content_type) {
            for (key, name) in parameters(value).1 {
                if key == "filename" || key == "name" {
                    add(decode_words(&name));
                }
            }
            lenient::names(value, &mut add);
        }
        names
    }

    /// What makes programs read this part differently.
    #[must_use]
    pub fn oddities(&self) -> Vec<String> {
        let mut odd = Vec::new();
        for (name, values) in [
            ("Content-Type", &self.content_type),
            ("Content-Transfer-Encoding", &self.transfer_encoding),
        ] {
            if values
                .windows(2)
                .any(|pair| matches!(pair, [a, b] if !a.trim().eq_ignore_ascii_case(b.trim())))
            {
                odd.push(format!("a part has two {name} fields that differ"));
            }
        }
        if let Some(value) = self.transfer_encoding.first()
            && Encoding::named(&without_comments(value)).is_none()
        {
            odd.push(format!(
                "nobody knows the transfer encoding {:?}",
                crate::report::shown(value.trim())
            ));
        }
        odd
    }
}

/// Bytes of a header as text: UTF-8, else Latin-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn without_comments(value: &str) -> String {
    let mut depth = 0u32;
    let mut kept = String::new();
    for character in value.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(character),
            _ => {}
        }
    }
    kept
}

/// Names of one part; a header with more is made to keep somebody busy.
const MOST_NAMES: usize = 50;

/// Splits `value; name=value; …` and puts together what RFC 2231 took apart.
fn parameters(value: &str) -> (String, Vec<(String, String)>) {
    let mut pieces = pieces(value).into_iter();
    let first = pieces.next().unwrap_or_default();
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut continued: Vec<(String, u32, bool, String)> = Vec::new();
    for piece in pieces {
        let Some((key, value)) = piece.split_once('=') else { continue };
        let key = key.trim().to_ascii_lowercase();
        let value = unquoted(value.trim());
        let (bare, is_coded) = match key.strip_suffix('*') {
            Some(bare) => (bare, true),
            None => (key.as_str(), false),
        };
        match bare.split_once('*').map(|(name, number)| (name, number.parse())) {
            Some((name, Ok(number))) => continued.push((name.to_owned(), number, is_coded, value)),
            _ if is_coded => parameters.push((bare.to_owned(), extended(&value))),
            _ => parameters.push((bare.to_owned(), value)),
        }
    }
    continued.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    for group in continued.chunk_by(|a, b| a.0 == b.0) {
        let is_coded = group.iter().any(|(_, _, is_coded, _)| *is_coded);
        let joined: String = group.iter().map(|(_, _, _, value)| value.as_str()).collect();
        let name = group.first().map(|(name, ..)| name.clone()).unwrap_or_default();
        parameters.push((name, if is_coded { extended(&joined) } else { joined }));
    }
    (without_comments(&first), parameters)
}

/// The pieces between semicolons that stand outside of quotes.
fn pieces(value: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in value.chars() {
        if character == ';' && !quoted {
            pieces.push(String::new());
            continue;
        }
        if character == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = character == '\\' && quoted && !escaped;
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
    }
    pieces
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

/// `charset'language'percent-coded` of RFC 2231, 4.
fn extended(value: &str) -> String {
    let mut pieces = value.splitn(3, '\'');
    let (charset, coded) = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(coded)) => (charset, coded),
        _ => ("utf-8", value),
    };
    let mut bytes = Vec::with_capacity(coded.len());
    let mut rest = coded.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                tail
            }
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    decode_text(&bytes, charset)
}

/// Bytes as text in a named character set; one that nobody knows counts as UTF-8.
pub(crate) fn decode_text(bytes: &[u8], charset: &str) -> String {
    let charset = charset.split('*').next().unwrap_or_default().trim();
    if charset.get(..5).is_some_and(|it| it.eq_ignore_ascii_case("utf-7"))
        || ["utf7", "unicode-1-1-utf-7", "csunicode11utf7", "x-unicode-2-0-utf-7"]
            .iter()
            .any(|name| charset.eq_ignore_ascii_case(name))
    {
        return lenient::utf7(bytes);
    }
    let encoding =
        encoding_rs::Encoding::for_label(charset.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    encoding.decode(bytes).0.into_owned()
}

/// Undoes the encoded words of RFC 2047, `=?charset?B?…?=`, also where they may not stand. Words
/// of base64 that follow each other are put together first: a character may be cut in two.
pub(crate) fn decode_words(text: &str) -> String {
    /// Names are short; more text than this is not read as words.
    const LONGEST: usize = 64 << 10;
    if !text.contains("=?") || text.len() > LONGEST {
        return text.to_owned();
    }
    let mut output = String::new();
    let mut rest = text;
    let mut held: Option<(&str, Vec<u8>, String)> = None;
    let release = |held: &mut Option<(&str, Vec<u8>, String)>, output: &mut String| {
        if let Some((charset, bytes, coded)) = held.take() {
            let bytes = if coded.is_empty() { bytes } else { base64(coded.as_bytes()) };
            output.push_str(&decode_text(&bytes, charset));
        }
    };
    // Without an end anywhere after it, nothing is a word.
    let last = text.rfind("?=").map_or(0, |at| text.len() - at);
    while let Some(at) = rest.find("=?").filter(|at| rest.len() - at > last) {
        let (before, candidate) = rest.split_at(at);
        let Some((charset, coding, coded, tail)) = word(candidate) else {
            release(&mut held, &mut output);
            output.push_str(before);
            output.push_str("=?");
            rest = &candidate[2..];
            continue;
        };
        // White space between two words belongs to neither.
        if !(held.is_some() && before.trim().is_empty()) {
            release(&mut held, &mut output);
            output.push_str(before);
        }
        let is_base64 = coding.eq_ignore_ascii_case("b");
        match held.as_mut() {
            Some((known, _, text))
                if is_base64 && *known == charset && !text.is_empty() && !text.ends_with('=') =>
            {
                text.push_str(coded);
            }
            _ => {
                release(&mut held, &mut output);
                held = Some(if is_base64 {
                    (charset, Vec::new(), coded.to_owned())
                } else {
                    (charset, quoted_printable(coded.replace('_', " ").as_bytes()), String::new())
                });
            }
        }
        rest = tail;
    }
    release(&mut held, &mut output);
    output.push_str(rest);
    output
}

/// Character set, coding and coded text of the word that `text` begins with, and what follows.
/// None of the three is long, so that no search is either.
fn word(text: &str) -> Option<(&str, &str, &str, &str)> {
    const LONGEST: usize = 4096;
    let near = text.get(..LONGEST.min(text.len())).unwrap_or_else(|| {
        let end = (0..LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.get(..end).unwrap_or_default()
    });
    let mut pieces = near.strip_prefix("=?")?.splitn(3, '?');
    let (charset, coding, rest) = (pieces.next()?, pieces.next()?, pieces.next()?);
    if !matches!(coding, "B" | "b" | "Q" | "q") {
        return None;
    }
    let (coded, _) = rest.split_once("?=")?;
    let used = 2 + charset.len() + 1 + coding.len() + 1 + coded.len() + 2;
    Some((charset, coding, coded, text.get(used..)?))
}

#[path = "lenient.rs"]
mod lenient;
