//! A script that [`super::write`] has written, as filters again.

use super::rules::{Action, Comparison, Field, Filters, Flag, Rule, Test as Wanted, Vacation};
use super::syntax::{self, Argument, Command, Test};
use super::write::{FIRST_LINE, write};

/// The script isn't one of ours, or it was changed by hand so that the form can't show all of it. It can
/// be edited as text, or kept and included by a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this script was not written by the webmail, or was changed since; edit it as text, or start new rules that include it"
)]
pub struct NotOurs;

/// Reads a script.
///
/// # Errors
///
/// If writing what was read would give another script: then something in it would be lost.
pub fn read(script: &str) -> Result<Filters, NotOurs> {
    if script.trim().is_empty() {
        return Ok(Filters::default());
    }
    if script.len() > 1 << 20 || !script.starts_with(FIRST_LINE) {
        return Err(NotOurs);
    }
    let commands = syntax::parse(script).ok_or(NotOurs)?;
    let mut filters = Filters::default();
    for command in &commands {
        take(&mut filters, command).ok_or(NotOurs)?;
    }
    let same = |one: &str, other: &str| {
        one.replace("\r\n", "\n").trim_end() == other.replace("\r\n", "\n").trim_end()
    };
    if same(&write(&filters), script) { Ok(filters) } else { Err(NotOurs) }
}

fn take(filters: &mut Filters, command: &Command) -> Option<()> {
    match command.name.as_str() {
        "require" => {}
        "include" => filters.included = Some(single(command.arguments.last()?)?),
        "redirect" => {
            filters.forward_keeps_copy =
                command.arguments.first() == Some(&Argument::Tag("copy".into()));
            filters.forward_to.push(single(command.arguments.last()?)?);
        }
        "if" if command.comment == "Blocked" => take_blocked(filters, command)?,
        "if" if command.comment == "Vacation" => filters.vacation = Some(vacation(command)?),
        "if" => filters.rules.push(rule(command)?),
        _ => return None,
    }
    Some(())
}

fn single(argument: &Argument) -> Option<String> {
    match argument {
        Argument::Strings(list) => match list.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn strings(argument: &Argument) -> Option<&[String]> {
    match argument {
        Argument::Strings(list) => Some(list),
        _ => None,
    }
}

fn take_blocked(filters: &mut Filters, command: &Command) -> Option<()> {
    let [any] = command.tests.as_slice() else { return None };
    for test in &any.tests {
        let is_domain = test.arguments.first() == Some(&Argument::Tag("domain".into()));
        let list = strings(test.arguments.last()?)?;
        filters
            .blocked
            .extend(list.iter().map(|one| if is_domain { format!("@{one}") } else { one.clone() }));
    }
    filters.junk_folder = single(command.block.first()?.arguments.last()?)?;
    Some(())
}

fn rule(command: &Command) -> Option<Rule> {
    let mut out =
        Rule { name: command.comment.strip_prefix("Rule:")?.trim().to_owned(), ..Rule::default() };
    let [mut condition] = command.tests.iter().collect::<Vec<_>>()[..] else { return None };
    if condition.name == "allof" && condition.tests.first().is_some_and(|one| one.name == "false") {
        out.is_off = true;
        condition = condition.tests.get(1)?;
    }
    match condition.name.as_str() {
        "true" => {}
        name @ ("allof" | "anyof") => {
            out.needs_all = name == "allof";
            out.tests = condition.tests.iter().map(test).collect::<Option<_>>()?;
        }
        _ => return None,
    }
    for command in &command.block {
        match action(command)? {
            Some(action) => out.actions.push(action),
            None => out.stops = true,
        }
    }
    Some(out)
}

fn test(test: &Test) -> Option<Wanted> {
    if test.name == "size" {
        let [Argument::Tag(kind), Argument::Number(bytes)] = test.arguments.as_slice() else {
            return None;
        };
        let size = u32::try_from(bytes / 1024).ok()?;
        return match kind.as_str() {
            "over" => Some(Wanted::LargerThan(size)),
            "under" => Some(Wanted::SmallerThan(size)),
            _ => None,
        };
    }
    let (not, test) = if test.name == "not" { (true, test.tests.first()?) } else { (false, test) };
    let [Argument::Tag(kind), names, value] = test.arguments.as_slice() else { return None };
    let comparison = match (kind.as_str(), not) {
        ("contains", false) => Comparison::Contains,
        ("contains", true) => Comparison::Lacks,
        ("is", false) => Comparison::Is,
        ("is", true) => Comparison::IsNot,
        ("matches", false) => Comparison::Matches,
        _ => return None,
    };
    let names: Vec<&str> = strings(names)?.iter().map(String::as_str).collect();
    let field = match names.as_slice() {
        ["from"] => Field::From,
        ["to", "cc"] => Field::Recipients,
        ["subject"] => Field::Subject,
        ["list-id"] => Field::List,
        [other] => Field::Other((*other).to_owned()),
        _ => return None,
    };
    Some(Wanted::Header(field, comparison, single(value)?))
}

/// `Some(None)` is `stop`.
fn action(command: &Command) -> Option<Option<Action>> {
    let last = || command.arguments.last().and_then(single);
    Some(Some(match command.name.as_str() {
        "stop" => return Some(None),
        "discard" => Action::Discard,
        "fileinto" => Action::FileInto(last()?),
        "redirect" => Action::Forward(last()?, command.arguments.len() > 1),
        "addflag" => Action::Flag(match last()?.as_str() {
            "\\Seen" => Flag::Seen,
            "\\Flagged" => Flag::Flagged,
            _ => return None,
        }),
        _ => return None,
    }))
}

fn vacation(command: &Command) -> Option<Vacation> {
    let [note] = command.block.as_slice() else { return None };
    let mut out = Vacation { text: single(note.arguments.last()?)?, ..Vacation::default() };
    let mut arguments = note.arguments.iter();
    while let Some(argument) = arguments.next() {
        if let Argument::Tag(name) = argument {
            match (name.as_str(), arguments.next()?) {
                ("days", Argument::Number(days)) => out.days = u32::try_from(*days).ok()?,
                ("subject", value) => out.subject = single(value)?,
                ("addresses", value) => out.addresses = strings(value)?.to_vec(),
                _ => return None,
            }
        }
    }
    let [condition] = command.tests.as_slice() else { return None };
    for test in &condition.tests {
        match test.arguments.as_slice() {
            [] if test.name == "false" => out.is_off = true,
            [Argument::Tag(_), compare, _, day] => match single(compare)?.as_str() {
                "ge" => out.from = Some(single(day)?),
                "le" => out.until = Some(single(day)?),
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(out)
}
