//! Text of systemd's ini-like files, and how values are escaped in it: systemd.syntax(7).

use std::fmt::Display;
use std::time::Duration;

use super::RenderError;

/// First line of everything we write for systemd.
const HEADING: &str =
    "# Made by mailkiln from mail.toml; every change is lost with the next image.\n";

/// One setting of a unit, as systemd reads it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Directive {
    /// Its section, without brackets.
    pub section: String,
    /// Its name; one that is there several times makes a list.
    pub key: String,
    /// Its value, with all that has to be escaped escaped.
    pub value: String,
}

/// A file that is being written.
pub(super) struct UnitText {
    place: String,
    section: String,
    lines: Vec<Line>,
}

enum Line {
    Section(String),
    Comment(String),
    Set(Directive),
}

impl UnitText {
    /// An empty file; `place` names it in errors.
    pub(super) fn new(place: impl Into<String>) -> Self {
        Self { place: place.into(), section: String::new(), lines: Vec::new() }
    }

    /// Starts a section.
    pub(super) fn section(&mut self, name: &str) {
        self.section = name.to_owned();
        self.lines.push(Line::Section(name.to_owned()));
    }

    /// A line for people.
    pub(super) fn comment(&mut self, text: &str) {
        self.lines.push(Line::Comment(text.to_owned()));
    }

    /// A setting whose value is taken as it is. Empty values reset a list.
    pub(super) fn set(&mut self, key: &str, value: impl Display) -> Result<(), RenderError> {
        let value = value.to_string();
        if value.chars().any(char::is_control) {
            return Err(RenderError::Control {
                key: key.to_owned(),
                place: self.place.clone(),
                value: value.escape_debug().to_string(),
            });
        }
        let section = self.section.clone();
        self.lines.push(Line::Set(Directive { section, key: key.to_owned(), value }));
        Ok(())
    }

    /// A list separated by spaces; nothing when it is empty.
    pub(super) fn list<T: AsRef<str>>(
        &mut self,
        key: &str,
        values: &[T],
    ) -> Result<(), RenderError> {
        if values.is_empty() {
            return Ok(());
        }
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        self.set(key, values.join(" "))
    }

    /// `yes` or `no`.
    pub(super) fn flag(&mut self, key: &str, value: bool) -> Result<(), RenderError> {
        self.set(key, if value { "yes" } else { "no" })
    }

    /// The settings alone.
    pub(super) fn directives(self) -> Vec<Directive> {
        let setting = |line| match line {
            Line::Set(directive) => Some(directive),
            Line::Section(_) | Line::Comment(_) => None,
        };
        self.lines.into_iter().filter_map(setting).collect()
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        let text = |line| match line {
            Line::Section(name) => format!("\n[{name}]\n"),
            Line::Comment(text) => format!("# {text}\n"),
            Line::Set(Directive { key, value, .. }) => format!("{key}={value}\n"),
        };
        std::iter::once(HEADING.to_owned()).chain(self.lines.into_iter().map(text)).collect()
    }
}

/// Doubles `%`, which starts a specifier.
pub(super) fn literal(text: &str) -> String {
    text.replace('%', "%%")
}

/// One argument of a command line: specifiers and variables are switched off, and what a shell
/// would split is quoted.
pub(super) fn argument(text: &str) -> String {
    word(&text.replace('$', "$$"))
}

/// One word of a setting in which systemd expands no variables, such as `Environment=` (systemd.exec(5)).
pub(super) fn word(text: &str) -> String {
    let text = literal(text).replace('\\', "\\\\").replace('"', "\\\"");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=%+,$".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("\"{text}\"") }
}

/// A time span in whole seconds.
pub(super) fn seconds(span: Duration) -> String {
    format!("{}s", span.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_reach_the_program_unchanged() {
        for (text, written) in [
            ("--config", "--config"),
            ("/etc/a.toml", "/etc/a.toml"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("100%", "100%%"),
            ("$HOME", "$$HOME"),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("'", "\"'\""),
        ] {
            assert_eq!(argument(text), written, "{text}");
        }
        assert_eq!(word("A=$B 100%"), "\"A=$B 100%%\"");
    }

    #[test]
    fn a_line_break_is_refused_with_its_place() {
        let mut text = UnitText::new("a.service");
        let error = text.set("Description", "x\nExecStart=/bin/sh").unwrap_err();
        assert!(error.to_string().contains("a.service"), "{error}");
    }
}
