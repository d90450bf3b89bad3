//! The mail server's configuration file as a value: sections of keys, and their text.
//!
//! The server reads its own subset of TOML: keys are flattened to `a.b.c`, a list of inline
//! tables is a chain of conditions, `%{file:PATH}%` stands for a file's bytes. What is written
//! here is also valid TOML, and holds no escape sequence, since the server reads those its own
//! way.

use std::fmt::Write as _;

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text; also durations (`5m`), rates (`20/1h`), and expressions.
    Text(String),
    /// A number, or bytes.
    Number(u64),
    /// Yes or no.
    Truth(bool),
    /// Several texts.
    List(Vec<String>),
    /// `(condition, result)` in order, and what holds when none does. All are expressions.
    Rules(Vec<(String, String)>, String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(texts: [&str; N]) -> Self {
        Self::List(texts.map(str::to_owned).to_vec())
    }
}

/// One rule and what holds otherwise.
pub(super) fn when(condition: &str, then: &str, otherwise: &str) -> Value {
    Value::Rules(vec![(condition.to_owned(), then.to_owned())], otherwise.to_owned())
}

/// A text constant inside an expression. Addresses may hold `'` but never `"`.
pub(super) fn constant(text: &str) -> String {
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}

/// A table: its path, why it says what it says, and its keys.
#[derive(Debug, Clone)]
pub(super) struct Section {
    path: Vec<String>,
    why: &'static str,
    keys: Vec<(String, Value)>,
}

impl Section {
    /// An empty section; `path` is separated by dots.
    pub(super) fn new(path: &str, why: &'static str) -> Self {
        Self { path: path.split('.').map(str::to_owned).collect(), why, keys: Vec::new() }
    }

    /// An empty section for one `item` (which may hold dots) below `path`.
    pub(super) fn item(path: &str, item: &str, why: &'static str) -> Self {
        let mut section = Self::new(path, why);
        section.path.push(item.to_owned());
        section
    }

    /// Adds a key.
    pub(super) fn set(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.keys.push((key.into(), value.into()));
        self
    }
}

/// The file's text: a heading, then each section.
pub(super) fn text(heading: &str, sections: &[Section]) -> String {
    let mut out = String::new();
    comment(&mut out, heading);
    for section in sections {
        out.push('\n');
        comment(&mut out, section.why);
        let path: Vec<String> = section.path.iter().map(|name| bare_or_quoted(name)).collect();
        line(&mut out, format_args!("[{}]", path.join(".")));
        for (key, value) in &section.keys {
            line(&mut out, format_args!("{key} = {}", rendered(value)));
        }
    }
    out
}

fn comment(out: &mut String, text: &str) {
    for part in text.lines() {
        line(out, format_args!("# {part}"));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(out, "{text}");
}

fn bare_or_quoted(name: &str) -> String {
    let bare = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

fn rendered(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Number(number) => number.to_string(),
        Value::Truth(truth) => truth.to_string(),
        Value::List(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("[{}]", texts.join(", "))
        }
        Value::Rules(rules, otherwise) => {
            let mut parts: Vec<String> = rules
                .iter()
                .map(|(condition, then)| {
                    format!("{{ if = {}, then = {} }}", quoted(condition), quoted(then))
                })
                .collect();
            parts.push(format!("{{ else = {} }}", quoted(otherwise)));
            format!("[{}]", parts.join(", "))
        }
    }
}

/// A string that TOML and the server's reader agree on. Where it holds a quotation mark or a
/// backslash it is written between `'''`, where both take every character as it is; three
/// apostrophes in a row occur in no name, address or expression, and are broken up to be sure.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.contains(['"', '\\']) {
        let mut safe = text;
        while safe.contains("'''") {
            safe = safe.replace("'''", "''");
        }
        if safe.ends_with('\'') {
            safe.push(' ');
        }
        format!("'''{safe}'''")
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_to_toml() {
        for text in ["plain", "it's", r"CORP\tom", r#"say "so""#, "%{file:/a}%", "a = 'b'"] {
            let document = format!("key = {}", quoted(text));
            let table: toml::Table = document.parse().unwrap();
            assert_eq!(table["key"].as_str(), Some(text), "{document}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_can_end_its_string(text in ".*|[\"'\\\\\n]{0,8}") {
            let document = format!("key = {}\nnext = 1", quoted(&text));
            let table: toml::Table = document.parse().unwrap();
            assert_eq!(table.len(), 2, "{document}");
            if !text.contains(char::is_control) && !text.contains('\'') {
                assert_eq!(table["key"].as_str(), Some(text.as_str()));
            }
        }
    }

    #[test]
    fn sections_are_toml() {
        let sections = [
            Section::item("signature", "rsa.example", "why").set("headers", ["From", "To"]),
            Section::new("session.rcpt", "two\nlines")
                .set("relay", when("a == 'b'", "true", "false"))
                .set("limits.size", 10)
                .set("vrfy", false),
        ];
        let table: toml::Table = text("Heading", &sections).parse().unwrap();
        assert_eq!(table["signature"]["rsa.example"]["headers"][1].as_str(), Some("To"));
        assert_eq!(table["session"]["rcpt"]["relay"][1]["else"].as_str(), Some("false"));
        assert_eq!(table["session"]["rcpt"]["limits"]["size"].as_integer(), Some(10));
    }
}
