//! The rules of a form.

use crate::writing::is_address;

/// All that a person has set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// A script written by hand that runs first.
    pub included: Option<String>,
    /// Senders whose mail goes to the junk folder: addresses, or domains with an `@` in front.
    pub blocked: Vec<String>,
    /// Where blocked mail goes.
    pub junk_folder: String,
    /// Rules in order.
    pub rules: Vec<Rule>,
    /// Where everything goes on to.
    pub forward_to: Vec<String>,
    /// Whether a copy of what is forwarded stays.
    pub forward_keeps_copy: bool,
    /// The absence note.
    pub vacation: Option<Vacation>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// What it is called.
    pub name: String,
    /// Whether it is switched off.
    pub is_off: bool,
    /// Whether every test must hold, not just one.
    pub needs_all: bool,
    /// What must hold. None: always.
    pub tests: Vec<Test>,
    /// What is done.
    pub actions: Vec<Action>,
    /// Whether no later rule is looked at.
    pub stops: bool,
}

/// What a test looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `From`.
    From,
    /// `To` and `Cc`.
    Recipients,
    /// `Subject`.
    Subject,
    /// `List-Id`.
    List,
    /// A field by its name.
    Other(String),
}

/// How a test compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The field holds the text.
    Contains,
    /// It does not.
    Lacks,
    /// The field is the text.
    Is,
    /// It is not.
    IsNot,
    /// The text is a pattern with `*` and `?`.
    Matches,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A field's text.
    Header(Field, Comparison, String),
    /// Larger than so many KiB.
    LargerThan(u32),
    /// Smaller than so many KiB.
    SmallerThan(u32),
}

/// A flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Read.
    Seen,
    /// Starred.
    Flagged,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Into a folder.
    FileInto(String),
    /// A flag.
    Flag(Flag),
    /// On to an address; with `true`, a copy stays.
    Forward(String, bool),
    /// Away.
    Discard,
}

/// The absence note.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vacation {
    /// Whether it is switched off.
    pub is_off: bool,
    /// Subject; empty for the server's own.
    pub subject: String,
    /// Text.
    pub text: String,
    /// First and last day, `2026-12-24`, each if there is one.
    pub from: Option<String>,
    /// As `from`.
    pub until: Option<String>,
    /// How many days one sender is not told again, 1 to 30.
    pub days: u32,
    /// The person's other addresses.
    pub addresses: Vec<String>,
}

/// Why filters can't be saved. Each names the thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// An address to forward to is none.
    #[error("`{0}` is not a mail address")]
    Address(String),
    /// No folder is named.
    #[error("the rule `{0}` files into no folder; choose one")]
    Folder(String),
    /// A field name is none.
    #[error("`{0}` is not the name of a header field; use letters, digits and hyphens")]
    FieldName(String),
    /// A date is none.
    #[error("`{0}` is not a date; write it as 2026-12-24")]
    Date(String),
    /// The first day comes after the last.
    #[error("the absence ends on {1}, before it begins on {0}")]
    Dates(String, String),
    /// The number of days is out of range.
    #[error("an absence note is repeated after 1 to 30 days, not {0}")]
    Days(u32),
    /// There is too much.
    #[error("there are more than {1} {0}")]
    TooMany(&'static str, usize),
    /// A rule does nothing.
    #[error("the rule `{0}` does nothing; choose an action")]
    NoAction(String),
    /// A size is none: every message is larger than 0 KiB.
    #[error("a size is a number of KiB, 1 or more, such as 5120")]
    Size,
}

impl Filters {
    /// Checks everything that a server would refuse or that would break the script's sense.
    ///
    /// # Errors
    ///
    /// With the first thing that is wrong.
    pub fn check(&self) -> Result<(), InvalidFilter> {
        limit("rules", self.rules.len(), 200)?;
        limit("blocked senders", self.blocked.len(), 1000)?;
        limit("addresses to forward to", self.forward_to.len(), 10)?;
        for one in &self.blocked {
            let whole = if one.starts_with('@') { format!("x{one}") } else { one.clone() };
            address(&whole).map_err(|_| InvalidFilter::Address(one.clone()))?;
        }
        self.forward_to.iter().try_for_each(|one| address(one))?;
        self.rules.iter().try_for_each(Rule::check)?;
        self.vacation.as_ref().map_or(Ok(()), Vacation::check)
    }
}

impl Rule {
    fn check(&self) -> Result<(), InvalidFilter> {
        limit("tests in a rule", self.tests.len(), 50)?;
        limit("actions in a rule", self.actions.len(), 20)?;
        if self.actions.is_empty() && !self.stops {
            return Err(InvalidFilter::NoAction(self.name.clone()));
        }
        for test in &self.tests {
            match test {
                Test::Header(Field::Other(name), ..) if !is_field_name(name) => {
                    return Err(InvalidFilter::FieldName(name.clone()));
                }
                Test::LargerThan(0) | Test::SmallerThan(0) => return Err(InvalidFilter::Size),
                _ => {}
            }
        }
        for action in &self.actions {
            match action {
                Action::FileInto(folder) if folder.trim().is_empty() => {
                    return Err(InvalidFilter::Folder(self.name.clone()));
                }
                Action::Forward(to, _) => address(to)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Vacation {
    fn check(&self) -> Result<(), InvalidFilter> {
        for day in [&self.from, &self.until].into_iter().flatten() {
            if !is_date(day) {
                return Err(InvalidFilter::Date(day.clone()));
            }
        }
        if let (Some(from), Some(until)) = (&self.from, &self.until)
            && from > until
        {
            return Err(InvalidFilter::Dates(from.clone(), until.clone()));
        }
        if !(1..=30).contains(&self.days) {
            return Err(InvalidFilter::Days(self.days));
        }
        limit("own addresses", self.addresses.len(), 50)?;
        self.addresses.iter().try_for_each(|one| address(one))
    }
}

fn limit(what: &'static str, count: usize, most: usize) -> Result<(), InvalidFilter> {
    if count > most { Err(InvalidFilter::TooMany(what, most)) } else { Ok(()) }
}

fn address(text: &str) -> Result<(), InvalidFilter> {
    if is_address(text) {
        Ok(())
    } else {
        Err(InvalidFilter::Address(crate::text::visible_line(text, 100)))
    }
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 70
        && name.bytes().all(|one| one.is_ascii_alphanumeric() || one == b'-')
}

fn is_date(day: &str) -> bool {
    let parts: Vec<Option<u32>> = day.split('-').map(|one| one.parse().ok()).collect();
    let form = day.len() == 10
        && day
            .bytes()
            .enumerate()
            .all(|(at, one)| if matches!(at, 4 | 7) { one == b'-' } else { one.is_ascii_digit() });
    match parts.as_slice() {
        [Some(year), Some(month), Some(date)] if form => {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = match month {
                4 | 6 | 9 | 11 => 30,
                2 if leap => 29,
                2 => 28,
                _ => 31,
            };
            (1..=12).contains(month) && (1..=days).contains(date)
        }
        _ => false,
    }
}
