//! Readings of header fields that strict grammar has not, and mail programs have: comments after a
//! value, blanks in it, stray quotes, gaps in the numbers of RFC 2231, UTF-7.

use super::{decode_words, extended, unquoted, without_comments};

/// Hands over what any program takes for a name in a field's value.
pub(super) fn names(value: &str, add: &mut impl FnMut(String)) {
    parameters(value, &["filename", "name"], add);
}

/// Hands over what any program takes for a boundary in a field's value.
pub(super) fn boundaries(value: &str, add: &mut impl FnMut(String)) {
    parameters(value, &["boundary"], add);
}

fn parameters(value: &str, keys: &[&str], add: &mut impl FnMut(String)) {
    let lower = value.to_ascii_lowercase();
    let mut pieces: Vec<(u32, String)> = Vec::new();
    for key in keys {
        for (at, _) in lower.match_indices(key).take(100) {
            let before = lower.get(..at).and_then(|it| it.chars().next_back());
            if before.is_some_and(|it| it.is_ascii_alphanumeric() || it == '-') {
                continue;
            }
            let rest = value.get(at + key.len()..).unwrap_or_default();
            let rest = rest.get(..floor(rest, LONGEST)).unwrap_or_default();
            let (marks, raw) = match rest.split_once('=') {
                Some((marks, raw)) if marks.len() < 12 => (marks.trim(), raw),
                _ => continue,
            };
            let is_coded = marks.ends_with('*');
            let number = marks.trim_matches('*').trim().parse::<u32>().ok();
            for reading in values(raw) {
                let plain = if is_coded { extended(&reading) } else { reading.clone() };
                if let Some(number) = number {
                    pieces.push((number, plain.clone()));
                }
                add(decode_words(&plain));
                add(plain);
            }
        }
    }
    // Every beginning counts: programs stop at a gap, and each at another.
    pieces.sort_by_key(|piece| piece.0);
    pieces.dedup();
    let mut joined = String::new();
    for (_, piece) in pieces.iter().take(100) {
        joined.push_str(piece);
        add(decode_words(&joined));
    }
}

/// Bytes of a parameter that are read.
const LONGEST: usize = 4096;

fn floor(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// A parameter's value as it is quoted, as it ends at a semicolon, without comments, and as its
/// first word.
fn values(raw: &str) -> Vec<String> {
    let raw = raw.trim_start();
    let quoted = unquoted(raw.split(';').next().unwrap_or_default().trim());
    let cut = raw.split(';').next().unwrap_or_default().trim().to_owned();
    let mut values = vec![without_comments(&cut).trim().to_owned(), quoted];
    if raw.starts_with('"') {
        values.push(unquoted(raw));
        // A backslash that is no escape, a quote that never ends.
        let inner = raw.trim_start_matches('"');
        values.push(inner.split('"').next().unwrap_or_default().to_owned());
        values.push(inner.split("\\\"").next().unwrap_or_default().to_owned());
    } else {
        let word = |it: char| it.is_whitespace() || matches!(it, '(' | '"' | ',');
        values.push(cut.split(word).next().unwrap_or_default().to_owned());
    }
    values
        .iter_mut()
        .for_each(|value| *value = value.trim().trim_matches(['"', '\'', '`']).to_owned());
    values.retain(|value| !value.is_empty());
    values.dedup();
    values
}

/// UTF-7 (RFC 2152), which readers of mail still know.
pub(super) fn utf7(bytes: &[u8]) -> String {
    let mut output = String::new();
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'+', rest) {
        let (before, after) = rest.split_at(at);
        output.push_str(&String::from_utf8_lossy(before));
        let after = after.get(1..).unwrap_or_default();
        let is_code = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let length = after.iter().take_while(|byte| is_code(byte)).count();
        let (coded, tail) = after.split_at(length);
        if coded.is_empty() {
            output.push('+');
        } else {
            let decoded = super::base64(coded);
            output.push_str(&encoding_rs::UTF_16BE.decode_without_bom_handling(&decoded).0);
        }
        rest = tail.strip_prefix(b"-").unwrap_or(tail);
    }
    output.push_str(&String::from_utf8_lossy(rest));
    output
}
