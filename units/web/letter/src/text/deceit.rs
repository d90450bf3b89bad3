//! Signs that make a text look like another: direction controls, invisible ones, letters of other scripts.

/// Whether a character turns the direction of what follows (UAX #9, section 2).
fn is_direction_control(one: char) -> bool {
    matches!(one, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// Whether a character takes no room: zero-width ones, soft hyphens, fillers, tags, variation selectors
/// without a use in names.
pub fn is_invisible(one: char) -> bool {
    is_direction_control(one)
        || matches!(one, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a text holds signs that turn the direction of writing against the letters in it: embeddings,
/// overrides and isolates. Marks (U+200E, U+200F, U+061C) are usual in Hebrew and Arabic.
pub fn has_direction_controls(text: &str) -> bool {
    text.chars().any(|one| matches!(one, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

/// One line of a page from a foreign header: controls and line breaks become spaces; signs that turn the
/// direction become visible as `‹U+202E›`. At most `limit` characters, then `…`.
pub fn visible_line(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (at, one) in text.chars().enumerate() {
        if at >= limit {
            out.push('…');
            break;
        }
        push_visible(&mut out, one, true);
    }
    out.trim().to_owned()
}

/// A text of many lines with the same done to it; line breaks and tabs stay.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        push_visible(&mut out, one, false);
    }
    out
}

fn push_visible(out: &mut String, one: char, line: bool) {
    match one {
        '\n' | '\t' if !line => out.push(one),
        '\r' if !line => {}
        '\u{2028}' | '\u{2029}' if !line => out.push('\n'),
        '\u{2028}' | '\u{2029}' => out.push(' '),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            out.push_str(&format!("‹U+{:04X}›", u32::from(one)));
        }
        one if one.is_control() => {
            if line {
                out.push(' ');
            }
        }
        '\u{e0000}'..='\u{e007f}' => {}
        one => out.push(one),
    }
}

/// The scripts that are told apart: those whose letters are mistaken for one another, and a few whose
/// mixture is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Cherokee,
    EastAsian,
    Other,
}

fn script(one: char) -> Option<Script> {
    Some(match one {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{250}'..='\u{2af}'
        | '\u{1d00}'..='\u{1dbf}'
        | '\u{2c60}'..='\u{2c7f}'
        | '\u{a720}'..='\u{a7ff}' => Script::Other,
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Script::Greek,
        '\u{400}'..='\u{52f}'
        | '\u{1c80}'..='\u{1c8f}'
        | '\u{2de0}'..='\u{2dff}'
        | '\u{a640}'..='\u{a69f}' => Script::Cyrillic,
        '\u{530}'..='\u{58f}' => Script::Armenian,
        '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => Script::Cherokee,
        '\u{1100}'..='\u{11ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3130}'..='\u{318f}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' => Script::EastAsian,
        '0'..='9' | '-' | '.' | '_' => return None,
        one if one.is_alphabetic() => Script::Other,
        _ => return None,
    })
}

/// Cyrillic and Greek letters that look like Latin ones in most fonts.
const MISTAKEN: &str = "аеорсухіјѕһԁԛԝԍӏκονρυχωτιαηԌԚԜАВЕЗКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ";

/// Whether a host's name is written with letters that look like others: two scripts in one label, or a
/// label in which every letter could be taken for a Latin one. `host` may be in Unicode or `xn--` form.
pub fn is_look_alike(host: &str) -> bool {
    let (host, _) = idna::domain_to_unicode(host);
    host.split('.').any(|label| {
        if label.is_ascii() {
            return false;
        }
        if label.chars().any(is_invisible) {
            return true;
        }
        let mut scripts: Vec<Script> = Vec::new();
        for one in label.chars().filter_map(script) {
            if !scripts.contains(&one) {
                scripts.push(one);
            }
        }
        let foreign = scripts.iter().any(|one| *one != Script::Latin && *one != Script::EastAsian);
        if scripts.len() > 1 && foreign {
            return true;
        }
        let mut letters = label.chars().filter(|one| one.is_alphabetic());
        foreign
            && label.chars().any(char::is_alphabetic)
            && letters.all(|one| MISTAKEN.contains(one))
    })
}

/// Whether a word looks like a mail address.
pub fn looks_like_address(word: &str) -> bool {
    let Some((local, domain)) = word.rsplit_once('@') else { return false };
    !local.is_empty()
        && !word.contains(|one: char| one.is_whitespace() || one == '<' || one == '>')
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
}
