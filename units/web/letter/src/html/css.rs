//! CSS of strangers: read as tokens, written anew from what is known.
//!
//! Nothing is copied: a declaration is written again from its tokens, so that a comment, an escape or a
//! broken string can't mean one thing here and another in a browser. What isn't on the list is dropped,
//! with the whole declaration.

use std::fmt::Write as _;

use cssparser::{ParseError, Parser, Token};

use super::policy::{self, Policy};
use super::properties::{DISPLAYS, FUNCTIONS, PROPERTIES, UNITS};
use super::selectors;
use super::urls::{self, Image};

/// Bytes of style sheets that are read of one mail.
const SHEET_LIMIT: usize = 256 << 10;
/// Rules that are kept of one mail.
const RULE_LIMIT: usize = 2000;
/// Blocks and functions inside one another.
const DEPTH_LIMIT: u8 = 12;
/// Tokens of one declaration's value.
const VALUE_LIMIT: usize = 200;
/// The largest number in a length: beyond it lies what wants to cover or to break a page.
const LARGEST: f32 = 10_000.0;

/// A component value: <https://www.w3.org/TR/css-syntax-3/#component-value>
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Ident(String),
    Hash(String),
    Number(f32),
    Percentage(f32),
    Dimension(f32, String),
    Text(String),
    Url(String),
    Function(String, Vec<Piece>),
    Block(char, Vec<Piece>),
    At(String),
    Mark(char),
    Space,
    Unknown,
}

/// Reads CSS into pieces. What is nested too deeply is unknown.
pub(super) fn read(input: &str) -> Vec<Piece> {
    let mut parser = Parser::new(input);
    pieces(&mut parser, 0)
}

fn pieces(parser: &mut Parser<'_>, depth: u8) -> Vec<Piece> {
    let mut out = Vec::new();
    while let Ok(token) = parser.next_including_whitespace() {
        let token = token.clone();
        let piece = match token {
            Token::Ident(name) => Piece::Ident(name.to_string()),
            Token::Hash(name) | Token::IDHash(name) => Piece::Hash(name.to_string()),
            Token::Number { value, .. } => Piece::Number(value),
            Token::Percentage { unit_value, .. } => Piece::Percentage(unit_value * 100.0),
            Token::Dimension { value, unit, .. } => Piece::Dimension(value, unit.to_string()),
            Token::QuotedString(text) => Piece::Text(text.to_string()),
            Token::UnquotedUrl(url) => Piece::Url(url.to_string()),
            Token::AtKeyword(name) => Piece::At(name.to_string()),
            Token::Delim(mark) => Piece::Mark(mark),
            Token::Comma => Piece::Mark(','),
            Token::Colon => Piece::Mark(':'),
            Token::Semicolon => Piece::Mark(';'),
            Token::WhiteSpace(_) => Piece::Space,
            Token::Comment(_) | Token::CDO | Token::CDC => continue,
            Token::Function(name) => match nested(parser, depth) {
                Some(inner) if name.eq_ignore_ascii_case("url") => url_of(&inner),
                Some(inner) => Piece::Function(name.to_ascii_lowercase(), inner),
                None => Piece::Unknown,
            },
            Token::ParenthesisBlock => block('(', parser, depth),
            Token::SquareBracketBlock => block('[', parser, depth),
            Token::CurlyBracketBlock => block('{', parser, depth),
            _ => Piece::Unknown,
        };
        out.push(piece);
    }
    out
}

fn nested(parser: &mut Parser<'_>, depth: u8) -> Option<Vec<Piece>> {
    if depth >= DEPTH_LIMIT {
        return None;
    }
    parser.parse_nested_block(|inner| Ok::<_, ParseError<()>>(pieces(inner, depth + 1))).ok()
}

fn block(kind: char, parser: &mut Parser<'_>, depth: u8) -> Piece {
    nested(parser, depth).map_or(Piece::Unknown, |inner| Piece::Block(kind, inner))
}

/// The address in `url("…")`; unquoted ones are tokens of their own.
fn url_of(inner: &[Piece]) -> Piece {
    let mut rest = inner.iter().filter(|one| **one != Piece::Space);
    match (rest.next(), rest.next()) {
        (Some(Piece::Text(url)), None) => Piece::Url(url.clone()),
        _ => Piece::Unknown,
    }
}

/// The declarations of a `style` attribute that may stay. See [`clean_style_sheet`].
pub fn clean_declarations(text: &str, policy: &Policy<'_>) -> String {
    declarations(text, policy).0
}

/// As [`clean_declarations`], and how many images were left out because remote images are off.
pub(super) fn declarations(text: &str, policy: &Policy<'_>) -> (String, usize) {
    let mut end = text.len().min(SHEET_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut blocked = 0;
    let out = write_declarations(&read(&text[..end]), policy, false, &mut blocked);
    (out, blocked)
}

fn write_declarations(
    pieces: &[Piece],
    policy: &Policy<'_>,
    important: bool,
    blocked: &mut usize,
) -> String {
    let mut out = String::new();
    for declaration in pieces.split(|one| *one == Piece::Mark(';')) {
        let mut rest = declaration.iter().skip_while(|one| **one == Piece::Space);
        let Some(Piece::Ident(property)) = rest.next() else { continue };
        let property = property.to_ascii_lowercase();
        let mut rest = rest.skip_while(|one| **one == Piece::Space);
        if rest.next() != Some(&Piece::Mark(':')) {
            continue;
        }
        let value: Vec<Piece> = rest.cloned().collect();
        if let Some(value) = write_value(&property, &value, policy, important, blocked) {
            let _ = write!(out, "{}{property}: {value}", if out.is_empty() { "" } else { "; " });
        }
    }
    out
}

fn write_value(
    property: &str,
    value: &[Piece],
    policy: &Policy<'_>,
    important: bool,
    blocked: &mut usize,
) -> Option<String> {
    if !PROPERTIES.contains(&property) || value.len() > VALUE_LIMIT {
        return None;
    }
    let (value, is_important) = split_important(value);
    if property == "display"
        && !matches!(trimmed(value), [Piece::Ident(one)] if DISPLAYS.contains(&one.to_ascii_lowercase().as_str()))
    {
        return None;
    }
    let images = matches!(property, "background" | "background-image");
    let mut out = String::new();
    write_pieces(&mut out, trimmed(value), policy, images, blocked)?;
    if out.is_empty() {
        return None;
    }
    if important && is_important && !policy.quoting {
        out.push_str(" !important");
    }
    Some(out)
}

fn trimmed(pieces: &[Piece]) -> &[Piece] {
    let start = pieces.iter().take_while(|one| **one == Piece::Space).count();
    let end =
        pieces.len() - pieces[start..].iter().rev().take_while(|one| **one == Piece::Space).count();
    &pieces[start..end]
}

fn split_important(value: &[Piece]) -> (&[Piece], bool) {
    let value = trimmed(value);
    if let Some((Piece::Ident(word), rest)) = value.split_last()
        && word.eq_ignore_ascii_case("important")
        && let Some((Piece::Mark('!'), rest)) = trimmed(rest).split_last()
    {
        return (rest, true);
    }
    (value, false)
}

/// Returns true for a character with which a word or a number may go on.
fn is_of_word(sign: char) -> bool {
    sign.is_alphanumeric() || matches!(sign, '-' | '_' | '%' | '.')
}

/// Writes a value, or nothing if any piece of it is not allowed.
fn write_pieces(
    out: &mut String,
    pieces: &[Piece],
    policy: &Policy<'_>,
    images: bool,
    blocked: &mut usize,
) -> Option<()> {
    for piece in pieces {
        // Two that stood beside each other without a space, as after a lost sign, would be read as one the next time.
        if !matches!(piece, Piece::Space | Piece::Mark(_)) && out.ends_with(is_of_word) {
            out.push(' ');
        }
        match piece {
            Piece::Ident(name) => out.push_str(plain_name(name)?),
            Piece::Hash(name)
                if name.len() <= 8 && name.bytes().all(|one| one.is_ascii_hexdigit()) =>
            {
                let _ = write!(out, "#{name}");
            }
            Piece::Number(number) => write_number(out, *number)?,
            Piece::Percentage(number) => {
                write_number(out, *number)?;
                out.push('%');
            }
            Piece::Dimension(number, unit) => {
                let unit = unit.to_ascii_lowercase();
                let unit = UNITS.iter().find(|one| **one == unit)?;
                write_number(out, *number)?;
                out.push_str(unit);
            }
            Piece::Text(text) => {
                let allowed = |one: char| one.is_alphanumeric() || " -_.,".contains(one);
                if text.chars().count() > 100 || !text.chars().all(allowed) {
                    return None;
                }
                let _ = write!(out, "'{text}'");
            }
            Piece::Url(url) if images => match urls::image(url, policy) {
                Image::From(url) if is_plain_url(&url) => {
                    let _ = write!(out, "url('{url}')");
                }
                Image::Blocked => {
                    *blocked += 1;
                    return None;
                }
                _ => return None,
            },
            Piece::Function(name, inner) if FUNCTIONS.contains(&name.as_str()) => {
                let _ = write!(out, "{name}(");
                write_pieces(out, trimmed(inner), policy, false, blocked)?;
                out.push(')');
            }
            Piece::Space => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            Piece::Mark(mark @ (',' | '/' | '*' | '+')) => out.push(*mark),
            _ => return None,
        }
    }
    Some(())
}

/// A name of letters, digits and `-`; `expression`, `-moz-binding` and their like stand in no list that
/// leads here, but a name costs nothing to check.
fn plain_name(name: &str) -> Option<&str> {
    let plain = name.len() <= 64
        && name.bytes().all(|one| one.is_ascii_alphanumeric() || matches!(one, b'-' | b'_'))
        && name.bytes().any(|one| one.is_ascii_alphabetic())
        && !name.starts_with("--");
    plain.then_some(name)
}

/// An address that needs no escape inside a quoted string.
fn is_plain_url(url: &str) -> bool {
    url.bytes()
        .all(|one| one.is_ascii_graphic() && !matches!(one, b'\'' | b'"' | b'\\' | b'<' | b'>'))
}

fn write_number(out: &mut String, number: f32) -> Option<()> {
    // Negative margins and indents lay one thing over another.
    if !(0.0..=LARGEST).contains(&number) {
        return None;
    }
    let rounded = (f64::from(number) * 1000.0).round() / 1000.0;
    let _ = write!(out, "{rounded}");
    Some(())
}

/// The rules of a style sheet that may stay, each for the inside of [`policy::BODY_CLASS`] alone.
///
/// Kept: rules of elements, classes, ids and a few pseudo-classes; `@media` by size, print and colour
/// scheme. No other at-rule, no attribute selector, no `:has()`, `:visited`, `:hover`, no property that
/// moves a box over another, no address but an image's that `policy` allows.
pub fn clean_style_sheet(text: &str, policy: &Policy<'_>) -> String {
    let mut sheet = style_sheet(text, policy).0;
    for _ in 0..4 {
        let next = style_sheet(&sheet, policy).0;
        if next == sheet {
            return sheet;
        }
        sheet = next;
    }
    String::new()
}

/// As [`clean_style_sheet`], once, and how many images were left out because remote images are off.
pub(super) fn style_sheet(text: &str, policy: &Policy<'_>) -> (String, usize) {
    if text.len() > SHEET_LIMIT {
        return (String::new(), 0);
    }
    let mut state = Sheet { policy, rules: 0, blocked: 0 };
    let mut out = String::new();
    state.rules(&read(text), &mut out, false);
    (out, state.blocked)
}

struct Sheet<'a, 'b> {
    policy: &'a Policy<'b>,
    rules: usize,
    blocked: usize,
}

impl Sheet<'_, '_> {
    fn rules(&mut self, pieces: &[Piece], out: &mut String, inside_media: bool) {
        let mut prelude: &[Piece] = &pieces[..0];
        let mut start = 0;
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Block('{', inner) => {
                    self.rule(trimmed(prelude), inner, out, inside_media);
                    start = at + 1;
                    prelude = &pieces[start..start];
                }
                // An at-rule without a block: `@import`, `@charset`.
                Piece::Mark(';') if matches!(trimmed(prelude).first(), Some(Piece::At(_))) => {
                    start = at + 1;
                    prelude = &pieces[start..start];
                }
                _ => prelude = &pieces[start..=at],
            }
        }
    }

    fn rule(&mut self, prelude: &[Piece], inner: &[Piece], out: &mut String, inside_media: bool) {
        if self.rules >= RULE_LIMIT {
            return;
        }
        if let Some((Piece::At(name), query)) = prelude.split_first() {
            if name.eq_ignore_ascii_case("media")
                && !inside_media
                && let Some(query) = media_query(trimmed(query))
            {
                let mut rules = String::new();
                self.rules(inner, &mut rules, true);
                if !rules.is_empty() {
                    let _ = writeln!(out, "@media {query} {{\n{rules}}}");
                }
            }
            return;
        }
        self.rules += 1;
        let selectors: Vec<String> = (prelude.split(|one| *one == Piece::Mark(',')))
            .take(50)
            .filter_map(|one| selectors::scoped(trimmed(one)))
            .collect();
        if selectors.is_empty() {
            return;
        }
        let declarations = write_declarations(inner, self.policy, true, &mut self.blocked);
        if !declarations.is_empty() {
            let _ = writeln!(out, "{} {{ {declarations} }}", selectors.join(", "));
        }
    }
}

/// A media query of words and features that say nothing about the reader but the size of the window.
fn media_query(pieces: &[Piece]) -> Option<String> {
    const WORDS: &[&str] = &["all", "screen", "print", "only", "and", "not"];
    const FEATURES: &[&str] = &[
        "max-width",
        "min-width",
        "max-device-width",
        "min-device-width",
        "prefers-color-scheme",
        "orientation",
    ];
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Ident(word) => {
                let word = word.to_ascii_lowercase();
                out.push_str(WORDS.iter().find(|one| **one == word)?);
            }
            Piece::Space => out.push(' '),
            Piece::Mark(',') => out.push(','),
            Piece::Block('(', inner) => {
                let mut words = inner.iter().filter(|one| **one != Piece::Space);
                let Some(Piece::Ident(feature)) = words.next() else { return None };
                let feature = feature.to_ascii_lowercase();
                let feature = FEATURES.iter().find(|one| **one == feature)?;
                if words.next() != Some(&Piece::Mark(':')) {
                    return None;
                }
                let mut value = String::new();
                match (words.next()?, words.next()) {
                    (Piece::Dimension(number, unit), None) if unit.eq_ignore_ascii_case("px") => {
                        write_number(&mut value, *number)?;
                        value.push_str("px");
                    }
                    (Piece::Ident(word), None) => value.push_str(plain_name(word)?),
                    _ => return None,
                }
                let _ = write!(out, "({feature}: {value})");
            }
            _ => return None,
        }
    }
    (!out.is_empty()).then_some(out)
}

const _: () = assert!(policy::PREFIX.len() < 64);
