//! What is wrong with a file, where, and what to write instead.
//!
//! In: flaws that the rules find, one after the other. Out: [`SpecErrors`], all of them in file
//! order, so that one run of `mailkiln check` shows everything there is to mend.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

/// Most problems that are kept; a file with more is the wrong file, and the rest is counted only.
const MOST_PROBLEMS: usize = 50;

/// What is wrong with one value, before anybody knows where in the file it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {label}; {help}")]
pub struct Flaw {
    /// What is wrong, naming the value: one line, no final stop.
    pub message: String,
    /// The reason, short enough to stand under the marked text.
    pub label: String,
    /// The cure: what to write instead.
    pub help: String,
}

impl Flaw {
    /// A flaw with its reason and its cure.
    pub fn new(
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { message: message.into(), label: label.into(), help: help.into() }
    }

    /// The flaw at its place in the file.
    pub fn at(self, span: &Range<usize>) -> Problem {
        Problem { span: span.clone(), message: self.message, label: self.label, help: self.help }
    }
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the text that are meant; always within the text and on character boundaries.
    pub span: Range<usize>,
    /// What is wrong, naming the value: one line, no final stop.
    pub message: String,
    /// The reason, short enough to stand under the marked text.
    pub label: String,
    /// The cure: what to write instead.
    pub help: String,
}

/// Everything that is wrong with a file, in file order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecErrors {
    problems: Vec<Problem>,
    omitted: usize,
}

impl SpecErrors {
    /// The problems, in file order; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many more there are that are not listed.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let Problem { span, message, label, help } = problem;
            let gap = if number == 0 { "" } else { "\n" };
            write!(f, "{gap}byte {}: {message}: {label}; {help}", span.start)?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecErrors {}

/// Proof that a problem was reported: made only by [`Problems`], so that a reader which gives up
/// can't do so in silence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported(());

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    omitted: usize,
    /// Keys whose values were taken out before the rules saw them, as `acme.dns_provider`.
    taken_out: BTreeSet<String>,
}

impl Problems {
    /// Adds one.
    pub(crate) fn add(&mut self, problem: Problem) -> Reported {
        if self.list.len() < MOST_PROBLEMS {
            self.list.push(problem);
        } else {
            self.omitted += 1;
        }
        Reported(())
    }

    /// Adds one about the value of `key`, which the rules will not see.
    pub(crate) fn take_out(&mut self, key: String, problem: Problem) -> Reported {
        self.taken_out.insert(key);
        self.add(problem)
    }

    /// Whether something was said of what stood at `key`, so that its absence is none of the user's.
    pub(crate) fn of_taken_out(&self, key: &str) -> Option<Reported> {
        self.taken_out.contains(key).then_some(Reported(()))
    }

    /// Adds one about a rule that wants `key`, unless something stood there.
    pub(crate) fn missing(&mut self, key: &str, problem: Problem) -> Reported {
        self.of_taken_out(key).unwrap_or_else(|| self.add(problem))
    }

    /// Takes the value out of a result, or reports its flaw at `span`.
    pub(crate) fn check<T>(
        &mut self,
        span: &Range<usize>,
        result: Result<T, Flaw>,
    ) -> Result<T, Reported> {
        result.map_err(|flaw| self.add(flaw.at(span)))
    }

    /// For a value that is absent because an earlier step refused it. Reports it as missing should
    /// that earlier step have said nothing.
    pub(crate) fn absent(&mut self, span: &Range<usize>, key: &str) -> Reported {
        if !self.list.is_empty() {
            return Reported(());
        }
        self.add(
            Flaw::new(format!("`{key}` is missing"), "needed here", format!("add `{key} = …`"))
                .at(span),
        )
    }

    /// Whether anything was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The value, if nothing was reported; else every problem in file order.
    pub(crate) fn finish<T>(mut self, value: Result<T, Reported>) -> Result<T, SpecErrors> {
        match value {
            Ok(value) if self.is_empty() => Ok(value),
            _ => {
                self.list.sort_by(|a, b| {
                    (a.span.start, a.span.end, &a.message).cmp(&(
                        b.span.start,
                        b.span.end,
                        &b.message,
                    ))
                });
                Err(SpecErrors { problems: self.list, omitted: self.omitted })
            }
        }
    }
}

/// Text of the file as a message may show it: control characters escaped, 60 characters at most.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(visible).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

/// The character itself, or its escape where a terminal would obey it instead of showing it.
fn visible(character: char) -> Vec<char> {
    if is_control(character) { character.escape_unicode().collect() } else { vec![character] }
}

/// Control characters and the two Unicode line ends that are none by category.
pub(crate) fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// The word among `known` that was probably meant by `word`.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer text is no slip of the pen, and the distance costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised() {
        let known = ["name", "timezone", "address"];
        for (word, meant) in [
            ("nmae", Some("name")),
            ("Name", Some("name")),
            ("time_zone", Some("timezone")),
            ("adress", Some("address")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest(&"n".repeat(100_000), known), None);
    }

    #[test]
    fn shown_text_can_not_drive_a_terminal() {
        assert_eq!(shown("a\u{1b}[31m\u{9b}"), "a\\u{1b}[31m\\u{9b}");
        assert_eq!(shown(&"ä".repeat(61)), format!("{}…", "ä".repeat(60)));
    }

    #[test]
    fn problems_come_in_file_order_and_are_bounded() {
        let mut problems = Problems::default();
        for start in (0..60).rev() {
            problems.add(Flaw::new("m", "l", "h").at(&(start..start + 1)));
        }
        let errors = problems.finish(Ok(())).unwrap_err();
        assert_eq!(errors.problems().len(), MOST_PROBLEMS);
        assert_eq!(errors.omitted(), 10);
        assert!(errors.problems().is_sorted_by_key(|problem| problem.span.start));
        assert!(errors.to_string().ends_with("and 10 more"));
    }
}
