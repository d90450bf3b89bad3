//! A failure as people and programs read it.
//!
//! In: a [`Failure`]. Out: for people, each problem with the lines of `mail.toml` that it is about;
//! for programs, a JSON document.

use std::fmt;

use mailkiln_spec::Problem;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};
use serde::Serialize;

use crate::failure::{Failure, WrongSpec};

/// Columns of a report. A terminal's own width would make the text depend on it.
const WIDTH: usize = 100;
/// The end of the line before a private key, and of the one behind it.
const PRIVATE: &str = "PRIVATE KEY-----";

/// The failure as text of several lines, without a line feed at its end.
pub(crate) fn text(failure: &Failure, colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_links(false)
        .with_context_lines(1)
        .without_syntax_highlighting();
    let mut text = String::new();
    if let Failure::Spec(wrong) = failure {
        let source = NamedSource::new(wrong.path.display().to_string(), presentable(&wrong.text));
        for problem in wrong.errors.problems() {
            render(&handler, &Marked { problem, source: &source }, &mut text);
        }
        text.push_str(&summary(wrong));
    } else {
        render(&handler, &Plain(failure), &mut text);
    }
    text.trim_end().to_owned()
}

fn render(handler: &GraphicalReportHandler, diagnostic: &dyn Diagnostic, text: &mut String) {
    let before = text.len();
    if handler.render_report(text, diagnostic).is_err() {
        // The report could not be drawn, but its words can be said.
        text.truncate(before);
        text.push_str(&diagnostic.to_string());
    }
    text.push('\n');
}

/// `mail.toml has 3 problems.`
fn summary(wrong: &WrongSpec) -> String {
    let count = wrong.errors.problems().len() + wrong.errors.omitted();
    let noun = if count == 1 { "problem" } else { "problems" };
    let more = match wrong.errors.omitted() {
        0 => String::new(),
        omitted => format!(", {omitted} of them not shown"),
    };
    format!("{} has {count} {noun}{more}.", wrong.path.display())
}

/// The text of a file as a report may show it: without what a terminal would obey, and without
/// secrets; byte for byte as long as before, so that spans still fit.
fn presentable(text: &str) -> String {
    masked(&printable(text))
}

/// The text with the inside of private keys in PEM (RFC 7468) made unreadable.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PRIVATE) {
        let (before, inside) = rest.split_at(at + PRIVATE.len());
        masked.push_str(before);
        // A key without an end is not the rest of the file.
        let end = inside.find("-----END").or_else(|| inside.find('\n')).unwrap_or(inside.len());
        let (inside, after) = inside.split_at(end);
        let hide = |character: char| if character.is_ascii_graphic() { '*' } else { character };
        masked.extend(inside.chars().map(hide));
        rest = after;
        // The closing line has the same words, and starts no key.
        if rest.starts_with("-----END") {
            let line = rest.find('\n').unwrap_or(rest.len());
            let closing = rest[..line].find(PRIVATE).map_or(0, |at| at + PRIVATE.len());
            let (closing, after) = rest.split_at(closing);
            masked.push_str(closing);
            rest = after;
        }
    }
    masked + rest
}

/// The text with each control character that a terminal would obey replaced by a harmless one of
/// the same length, so that spans still fit.
fn printable(text: &str) -> String {
    let harmless = |character: char| match character {
        '\n' | '\t' => character,
        _ if !character.is_control() => character,
        _ if character.len_utf8() == 1 => '?',
        // The C1 controls are the others, and take two bytes.
        _ => '¿',
    };
    // Of a CR LF the CR draws nothing; any other CR would return to the start of the line.
    text.replace("\r\n", " \n").chars().map(harmless).collect()
}

/// A problem and the file that it is in.
#[derive(Debug)]
struct Marked<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
}

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Marked<'_> {}

impl Diagnostic for Marked<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.problem.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = Some(self.problem.label.clone());
        let span = self.problem.span.clone();
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(label, span))))
    }
}

/// A failure that is about no place in a file.
#[derive(Debug)]
struct Plain<'a>(&'a Failure);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.0.causes().iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Plain<'_> {}

impl Diagnostic for Plain<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.hint().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }
}

/// The failure as `--json` prints it.
pub(crate) fn document(failure: &Failure) -> impl Serialize {
    let problems = match failure {
        Failure::Spec(wrong) => {
            wrong.errors.problems().iter().map(|it| Place::of(it, &wrong.text)).collect()
        }
        _ => Vec::new(),
    };
    Document {
        error: Error {
            message: failure.to_string(),
            causes: failure.causes(),
            hint: failure.hint().map(str::to_owned),
            problems,
        },
    }
}

#[derive(Serialize)]
struct Document {
    error: Error,
}

#[derive(Serialize)]
struct Error {
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Place>,
}

/// A problem as programs read it.
#[derive(Serialize)]
struct Place {
    /// Counted from 1.
    line: usize,
    /// In characters, counted from 1.
    column: usize,
    /// First byte, counted from 0.
    start: usize,
    /// Byte behind the last.
    end: usize,
    message: String,
    label: String,
    help: String,
}

impl Place {
    fn of(problem: &Problem, text: &str) -> Self {
        let Problem { span, message, label, help } = problem.clone();
        let before = text.get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            start: span.start,
            end: span.end,
            message,
            label,
            help,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_file_can_not_drive_a_terminal() {
        let text = "a\u{1b}[31m\u{9b}\u{7f}\r\n\tb\rc";
        assert_eq!(printable(text), "a?[31m¿? \n\tb?c");
        assert_eq!(printable(text).len(), text.len());
    }

    #[test]
    fn private_keys_are_masked_and_nothing_moves() {
        for (text, masked_text) in [
            (
                "-----BEGIN PRIVATE KEY-----\nab/+\n-----END PRIVATE KEY-----\nx",
                "-----BEGIN PRIVATE KEY-----\n****\n-----END PRIVATE KEY-----\nx",
            ),
            ("PRIVATE KEY-----ab ä\nx", "PRIVATE KEY-----** ä\nx"),
            ("PRIVATE KEY-----a\nPRIVATE KEY-----b", "PRIVATE KEY-----*\nPRIVATE KEY-----*"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(masked(text), masked_text);
        }
        let two = "PRIVATE KEY-----a-----END PRIVATE KEY-----b".repeat(2);
        assert_eq!(masked(&two), "PRIVATE KEY-----*-----END PRIVATE KEY-----b".repeat(2));
    }
}
