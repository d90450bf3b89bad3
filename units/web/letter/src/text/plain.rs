//! Plain text as HTML, and as a quote.

use super::{escape, visible};

/// Quote levels that are drawn inside one another.
const LEVELS: usize = 10;

/// The HTML of a plain text: quoted lines in `blockquote`, web and mail addresses as links.
///
/// Links are found in the text *before* it is escaped, and each piece is escaped by itself; a pattern
/// that runs over escaped text can be fed with text that becomes markup (CVE-2023-43770).
/// Signs that turn the direction of writing become visible.
pub fn to_html(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut level = 0;
    let mut first = true;
    for line in text.lines() {
        let (next, rest) = quote_level(line);
        if next == level && !first {
            out.push_str("<br>");
        }
        while level < next {
            out.push_str("<blockquote>");
            level += 1;
        }
        while level > next {
            out.push_str("</blockquote>");
            level -= 1;
        }
        first = false;
        line_to_html(&mut out, rest);
    }
    for _ in 0..level {
        out.push_str("</blockquote>");
    }
    out
}

/// How deep a line is quoted (`> >` and `>>` alike), and what it says.
fn quote_level(line: &str) -> (usize, &str) {
    let mut level = 0;
    let mut rest = line;
    while level < LEVELS {
        let next = rest
            .strip_prefix('>')
            .or_else(|| (level > 0).then(|| rest.strip_prefix(" >")).flatten());
        let Some(next) = next else { break };
        rest = next;
        level += 1;
    }
    (level, if level > 0 { rest.strip_prefix(' ').unwrap_or(rest) } else { rest })
}

/// Where a web address begins.
const STARTS: &[&str] = &["https://", "http://", "www."];

fn line_to_html(out: &mut String, line: &str) {
    let mut spaces = 0;
    let mut rest = line;
    while let Some(one) = rest.chars().next() {
        if one == ' ' || one == '\t' {
            // Runs of spaces draw tables and pictures in plain text; a browser would fold them.
            spaces += 1;
            out.push_str(if spaces > 1 || one == '\t' { "&nbsp;" } else { " " });
            rest = &rest[1..];
            continue;
        }
        spaces = 0;
        let end = rest.find([' ', '\t']).unwrap_or(rest.len());
        word_to_html(out, &rest[..end]);
        rest = &rest[end..];
    }
}

fn word_to_html(out: &mut String, word: &str) {
    let Some((before, address, after)) = find_address(word) else {
        out.push_str(&escape(word));
        return;
    };
    let target =
        if address.starts_with("www.") { format!("https://{address}") } else { address.to_owned() };
    let target = if target.contains("://") { target } else { format!("mailto:{target}") };
    out.push_str(&escape(before));
    out.push_str(&format!("<a href=\"{}\">{}</a>", escape(&target), escape(address)));
    out.push_str(&escape(after));
}

/// A web or mail address in a word, with what stands before and after it.
fn find_address(word: &str) -> Option<(&str, &str, &str)> {
    let start = STARTS.iter().filter_map(|start| find_ignoring_case(word, start)).min();
    if let Some(start) = start {
        // The address ends where no address goes on; a sign of punctuation at its end belongs to the text.
        let tail = &word[start..];
        let stop =
            tail.find(['<', '>', '"', '\'', '`', '|', '\\', '^', '{', '}']).unwrap_or(tail.len());
        let mut address =
            tail[..stop].trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_', '~']);
        while address.ends_with(')') && address.matches(')').count() > address.matches('(').count()
        {
            address = &address[..address.len() - 1];
        }
        let address = address.trim_end_matches(']');
        let host = address.split_once("://").map_or(address, |(_, host)| host);
        if host.len() > 4 && host.contains('.') || host.starts_with("localhost") {
            return Some((&word[..start], address, &word[start + address.len()..]));
        }
        return None;
    }
    if !word.contains('@') {
        return None;
    }
    let begin = word.find(|one: char| one.is_ascii_alphanumeric())?;
    let tail = &word[begin..];
    let is_part = |one: char| one.is_ascii_alphanumeric() || "@.-_+".contains(one);
    let stop = tail.find(|one: char| !is_part(one)).unwrap_or(tail.len());
    let address = tail[..stop].trim_end_matches(['.', '-', '_', '+']);
    (super::looks_like_address(address) && address.matches('@').count() == 1)
        .then(|| (&word[..begin], address, &word[begin + address.len()..]))
}

fn find_ignoring_case(text: &str, what: &str) -> Option<usize> {
    text.as_bytes().windows(what.len()).position(|one| one.eq_ignore_ascii_case(what.as_bytes()))
}

/// `text` with `> ` in front of each line, for an answer. Levels already there grow by one.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 20);
    for line in text.trim_end().lines() {
        out.push_str(if line.starts_with('>') || line.is_empty() { ">" } else { "> " });
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
