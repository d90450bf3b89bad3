//! Header fields, one line at a time, none of which a value can break.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::address::Recipient;

/// Columns after which a field is folded (RFC 5322, section 2.1.1).
const WIDTH: usize = 76;
/// Bytes of text in one encoded word: 75 characters with `=?utf-8?B?` and `?=` (RFC 2047, section 2).
const WORD: usize = 45;

/// Writes `name: value` of free text, in encoded words if it isn't plain ASCII.
pub(super) fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    let words = text_words(value);
    folded(out, name, &words);
}

/// Writes `name: value` of a value that is ours: ASCII words without line breaks.
pub(super) fn ours(out: &mut Vec<u8>, name: &str, value: &str) {
    let words: Vec<String> = value.split_ascii_whitespace().map(str::to_owned).collect();
    folded(out, name, &words);
}

/// Writes a list of recipients; nothing if there is none.
pub(super) fn addresses(out: &mut Vec<u8>, name: &str, list: &[Recipient]) {
    let mut words = Vec::new();
    for (at, one) in list.iter().enumerate() {
        let comma = if at + 1 < list.len() { "," } else { "" };
        if one.name.trim().is_empty() {
            words.push(format!("{}{comma}", one.address));
        } else {
            words.extend(phrase(&one.name));
            words.push(format!("<{}>{comma}", one.address));
        }
    }
    if !words.is_empty() {
        folded(out, name, &words);
    }
}

/// Writes ids in angle brackets; what is no id is left out.
pub(super) fn ids(out: &mut Vec<u8>, name: &str, list: &[String]) {
    let good = |id: &&String| {
        !id.is_empty()
            && id.len() <= 500
            && id.chars().all(|one| one.is_ascii_graphic() && !matches!(one, '<' | '>'))
    };
    let words: Vec<String> = list.iter().filter(good).map(|id| format!("<{id}>")).collect();
    if !words.is_empty() {
        folded(out, name, &words);
    }
}

fn folded(out: &mut Vec<u8>, name: &str, words: &[String]) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut column = name.len() + 1;
    for (at, word) in words.iter().enumerate() {
        if at > 0 && column + 1 + word.len() > WIDTH {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        column += 1 + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// One line: controls and line breaks are spaces.
fn one_line(value: &str) -> String {
    let spaced: String = (value.chars())
        .map(
            |one| {
                if one.is_control() || matches!(one, '\u{2028}' | '\u{2029}') { ' ' } else { one }
            },
        )
        .collect();
    spaced.split(' ').filter(|one| !one.is_empty()).collect::<Vec<_>>().join(" ")
}

fn text_words(value: &str) -> Vec<String> {
    let value = one_line(value);
    let plain =
        value.is_ascii() && !value.contains("=?") && value.split(' ').all(|one| one.len() <= 200);
    if plain { value.split(' ').map(str::to_owned).collect() } else { encoded(&value) }
}

/// A name before an address: atoms, a quoted string or encoded words (RFC 5322, section 3.2.5).
fn phrase(name: &str) -> Vec<String> {
    let name = one_line(name);
    if !name.is_ascii() || name.contains("=?") || name.len() > 200 {
        return encoded(&name);
    }
    let atom = |one: u8| one.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~ ".contains(&one);
    if name.bytes().all(atom) {
        return name.split(' ').map(str::to_owned).collect();
    }
    vec![format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))]
}

/// Encoded words, each of whole characters.
fn encoded(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut piece = String::new();
    for one in value.chars() {
        if piece.len() + one.len_utf8() > WORD {
            out.push(format!("=?utf-8?B?{}?=", STANDARD.encode(&piece)));
            piece.clear();
        }
        piece.push(one);
    }
    out.push(format!("=?utf-8?B?{}?=", STANDARD.encode(&piece)));
    out
}

/// A parameter such as `filename`, as RFC 2231 writes it, with `; ` and a fold in front.
pub(super) fn parameter(name: &str, value: &str) -> String {
    let value = one_line(value);
    let simple = value.len() <= 60
        && value.bytes().all(|one| one.is_ascii_alphanumeric() || b" .-_()+,".contains(&one));
    if simple {
        return format!(";\r\n {name}=\"{value}\"");
    }
    let mut escaped = String::new();
    let mut pieces: Vec<String> = Vec::new();
    // Whole characters only: some readers decode each piece by itself.
    for one in value.chars() {
        let mut next = String::new();
        for byte in one.encode_utf8(&mut [0; 4]).bytes() {
            let plain = byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            next.push_str(&if plain {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            });
        }
        if escaped.len() + next.len() > 50 {
            pieces.push(std::mem::take(&mut escaped));
        }
        escaped.push_str(&next);
    }
    pieces.push(escaped);
    if let [only] = pieces.as_slice() {
        return format!(";\r\n {name}*=utf-8''{only}");
    }
    let lines = pieces.iter().enumerate().map(|(at, piece)| {
        let charset = if at == 0 { "utf-8''" } else { "" };
        format!(";\r\n {name}*{at}*={charset}{piece}")
    });
    lines.collect()
}
