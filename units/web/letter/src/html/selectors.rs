//! Selectors of strangers: elements, classes and ids inside the mail's own body, nothing that reads.

use std::fmt::Write as _;

use super::css::Piece;
use super::policy::{self, BODY_CLASS, PREFIX};
use super::urls::prefixed;

/// Pseudo-classes that say nothing about the reader.
const PSEUDO: &[&str] = &["first-child", "last-child", "only-child", "link"];
/// Pieces of one selector.
const LIMIT: usize = 40;

/// `pieces` as a selector for the inside of the body, or `None` if it holds anything unknown.
pub(super) fn scoped(pieces: &[Piece]) -> Option<String> {
    if pieces.is_empty() || pieces.len() > LIMIT {
        return None;
    }
    let mut out = String::new();
    let mut at = 0;
    // What was scoped already begins with the body's class.
    let own = [Piece::Mark('.'), Piece::Ident(BODY_CLASS.to_owned())];
    if pieces.starts_with(&own) {
        at = own.len();
    }
    let _ = write!(out, ".{BODY_CLASS}");
    let mut fresh = true;
    if at == 0 {
        // `body` and `html` are the element that holds the mail; a selector of only them is that one.
        let (skipped, is_body) = leading_roots(pieces);
        at = skipped;
        if is_body && at == pieces.len() {
            return Some(out);
        }
        if !matches!(pieces.get(at), Some(Piece::Space | Piece::Mark('>'))) {
            if is_body {
                // `body.class`: the class would have to be the page's own element's.
                return None;
            }
            out.push(' ');
        }
    } else if at == pieces.len() {
        return Some(out);
    } else if !matches!(pieces[at], Piece::Space | Piece::Mark('>')) {
        return None;
    }
    while at < pieces.len() {
        fresh = step(&mut out, pieces, &mut at, fresh)?;
    }
    // A selector that ends in a combinator selects nothing.
    (!fresh).then_some(out)
}

/// How many pieces at the start are `html`, `body` or `:root` and the spaces between them.
fn leading_roots(pieces: &[Piece]) -> (usize, bool) {
    let is_root = |at: usize| match pieces.get(at) {
        Some(Piece::Ident(name))
            if name.eq_ignore_ascii_case("html") || name.eq_ignore_ascii_case("body") =>
        {
            1
        }
        Some(Piece::Mark(':')) if matches!(pieces.get(at + 1), Some(Piece::Ident(name)) if name.eq_ignore_ascii_case("root")) => {
            2
        }
        _ => 0,
    };
    let mut at = is_root(0);
    if at == 0 {
        return (0, false);
    }
    loop {
        let blank = usize::from(pieces.get(at) == Some(&Piece::Space));
        let more = if blank == 1 { is_root(at + 1) } else { 0 };
        if more == 0 {
            return (at, true);
        }
        at += blank + more;
    }
}

/// Writes one piece; answers whether a compound selector has yet to begin.
fn step(out: &mut String, pieces: &[Piece], at: &mut usize, fresh: bool) -> Option<bool> {
    let piece = &pieces[*at];
    *at += 1;
    match piece {
        Piece::Ident(name) if fresh || out.ends_with(' ') => {
            let name = name.to_ascii_lowercase();
            if !policy::allowed_elements().contains(&name.as_str()) {
                return None;
            }
            out.push_str(&name);
            Some(false)
        }
        Piece::Mark('*') if fresh || out.ends_with(' ') => {
            out.push('*');
            Some(false)
        }
        Piece::Mark('.') => {
            let Some(Piece::Ident(name)) = pieces.get(*at) else { return None };
            *at += 1;
            let name = prefixed(name, PREFIX)
                .filter(|one| one != policy::WARNING_CLASS && one != BODY_CLASS)?;
            let _ = write!(out, ".{name}");
            Some(false)
        }
        Piece::Hash(name) => {
            let name = prefixed(name, PREFIX)?;
            let _ = write!(out, "#{name}");
            Some(false)
        }
        Piece::Mark(':') => {
            let Some(Piece::Ident(name)) = pieces.get(*at) else { return None };
            *at += 1;
            let name = name.to_ascii_lowercase();
            let name = PSEUDO.iter().find(|one| **one == name)?;
            let _ = write!(out, ":{name}");
            Some(false)
        }
        Piece::Space => {
            if !out.ends_with(' ') {
                out.push(' ');
            }
            Some(fresh)
        }
        Piece::Mark(mark @ ('>' | '+' | '~')) => {
            // Only a child can follow the body itself: what stands beside it is the page's.
            if fresh && (*mark != '>' || !out.trim_end().ends_with(BODY_CLASS)) {
                return None;
            }
            if !out.ends_with(' ') {
                out.push(' ');
            }
            let _ = write!(out, "{mark} ");
            Some(true)
        }
        _ => None,
    }
}
