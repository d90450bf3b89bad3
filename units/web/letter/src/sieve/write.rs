//! Filters as a script.

use std::fmt::Write as _;

use super::rules::{Action, Comparison, Field, Filters, Flag, Rule, Test, Vacation};
use crate::text::visible_line;

/// The name under which the server keeps our script.
pub const SCRIPT_NAME: &str = "mailkiln";

/// The first line, by which [`super::read`] knows what is ours.
pub(super) const FIRST_LINE: &str =
    "# Written by the webmail. Change it there: what is written here by hand is lost.";

/// The script. [`Filters::check`] it first; whatever the texts hold, they stay inside their quotes.
pub fn write(filters: &Filters) -> String {
    let mut body = String::new();
    if let Some(name) = &filters.included {
        let _ = writeln!(body, "include :personal :optional {};\n", string(name));
    }
    if !filters.blocked.is_empty() {
        let _ = writeln!(
            body,
            "# Blocked\nif anyof ({}) {{\n    fileinto {};\n    stop;\n}}\n",
            blocked(&filters.blocked),
            string(&filters.junk_folder)
        );
    }
    for rule in &filters.rules {
        write_rule(&mut body, rule);
    }
    if !filters.forward_to.is_empty() {
        body.push_str("# Forward\n");
        for address in &filters.forward_to {
            let copy = if filters.forward_keeps_copy { ":copy " } else { "" };
            let _ = writeln!(body, "redirect {copy}{};", string(address));
        }
        body.push('\n');
    }
    if let Some(vacation) = &filters.vacation {
        write_vacation(&mut body, vacation);
    }
    format!("{FIRST_LINE}\n{}\n{body}", require(filters, body.contains(ENCODED)))
}

/// The extensions that the script uses, and no others: a server refuses what it doesn't know.
fn require(filters: &Filters, encoded: bool) -> String {
    let files = !filters.blocked.is_empty()
        || filters
            .rules
            .iter()
            .flat_map(|one| &one.actions)
            .any(|one| matches!(one, Action::FileInto(_)));
    let flags =
        filters.rules.iter().flat_map(|one| &one.actions).any(|one| matches!(one, Action::Flag(_)));
    let copies = (!filters.forward_to.is_empty() && filters.forward_keeps_copy)
        || filters
            .rules
            .iter()
            .flat_map(|one| &one.actions)
            .any(|one| matches!(one, Action::Forward(_, true)));
    let dated =
        filters.vacation.as_ref().is_some_and(|one| one.from.is_some() || one.until.is_some());
    let mut names = Vec::new();
    for (needed, name) in [
        (filters.included.is_some(), "include"),
        (files, "fileinto"),
        (flags, "imap4flags"),
        (copies, "copy"),
        (filters.vacation.is_some(), "vacation"),
        (dated, "date"),
        (dated, "relational"),
        (encoded, "encoded-character"),
    ] {
        if needed {
            names.push(string(name));
        }
    }
    if names.is_empty() { String::new() } else { format!("require [{}];\n", names.join(", ")) }
}

fn blocked(senders: &[String]) -> String {
    let (domains, addresses): (Vec<&String>, Vec<&String>) =
        senders.iter().partition(|one| one.starts_with('@'));
    let mut tests = Vec::new();
    if !addresses.is_empty() {
        let list: Vec<String> = addresses.iter().map(|one| string(one)).collect();
        tests.push(format!("address :is \"from\" [{}]", list.join(", ")));
    }
    if !domains.is_empty() {
        let list: Vec<String> =
            domains.iter().map(|one| string(one.trim_start_matches('@'))).collect();
        tests.push(format!("address :domain :is \"from\" [{}]", list.join(", ")));
    }
    tests.join(", ")
}

fn write_rule(out: &mut String, rule: &Rule) {
    let _ = writeln!(out, "# Rule: {}", visible_line(&rule.name, 100));
    let tests: Vec<String> = rule.tests.iter().map(test).collect();
    let all = if rule.needs_all { "allof" } else { "anyof" };
    let mut condition =
        if tests.is_empty() { "true".to_owned() } else { format!("{all} ({})", tests.join(", ")) };
    if rule.is_off {
        condition = format!("allof (false, {condition})");
    }
    let _ = writeln!(out, "if {condition} {{");
    for action in &rule.actions {
        let _ = match action {
            Action::FileInto(folder) => writeln!(out, "    fileinto {};", string(folder)),
            Action::Flag(Flag::Seen) => writeln!(out, "    addflag \"\\\\Seen\";"),
            Action::Flag(Flag::Flagged) => writeln!(out, "    addflag \"\\\\Flagged\";"),
            Action::Forward(to, true) => writeln!(out, "    redirect :copy {};", string(to)),
            Action::Forward(to, false) => writeln!(out, "    redirect {};", string(to)),
            Action::Discard => writeln!(out, "    discard;"),
        };
    }
    if rule.stops {
        out.push_str("    stop;\n");
    }
    out.push_str("}\n\n");
}

fn test(test: &Test) -> String {
    match test {
        Test::LargerThan(size) => format!("size :over {size}K"),
        Test::SmallerThan(size) => format!("size :under {size}K"),
        Test::Header(field, comparison, value) => {
            let names = match field {
                Field::From => "\"from\"".to_owned(),
                Field::Recipients => "[\"to\", \"cc\"]".to_owned(),
                Field::Subject => "\"subject\"".to_owned(),
                Field::List => "\"list-id\"".to_owned(),
                Field::Other(name) => string(name),
            };
            let (not, kind) = match comparison {
                Comparison::Contains => ("", "contains"),
                Comparison::Lacks => ("not ", "contains"),
                Comparison::Is => ("", "is"),
                Comparison::IsNot => ("not ", "is"),
                Comparison::Matches => ("", "matches"),
            };
            format!("{not}header :{kind} {names} {}", string(value))
        }
    }
}

fn write_vacation(out: &mut String, vacation: &Vacation) {
    let day = |compare: &str, day: &str| {
        format!("currentdate :value \"{compare}\" \"date\" {}", string(day))
    };
    let mut tests = Vec::new();
    if vacation.is_off {
        tests.push("false".to_owned());
    }
    tests.extend(vacation.from.as_deref().map(|one| day("ge", one)));
    tests.extend(vacation.until.as_deref().map(|one| day("le", one)));
    let condition =
        if tests.is_empty() { "true".to_owned() } else { format!("allof ({})", tests.join(", ")) };
    let _ = write!(out, "# Vacation\nif {condition} {{\n    vacation :days {}", vacation.days);
    if !vacation.subject.is_empty() {
        let _ = write!(out, " :subject {}", string(&visible_line(&vacation.subject, 200)));
    }
    if !vacation.addresses.is_empty() {
        let list: Vec<String> = vacation.addresses.iter().map(|one| string(one)).collect();
        let _ = write!(out, " :addresses [{}]", list.join(", "));
    }
    let _ = writeln!(out, " {};\n}}", string(&vacation.text));
}

/// How a sign is written that a server could take for more than itself (RFC 5228, section 2.4.2.4).
pub(super) const ENCODED: &str = "${hex:";

/// A quoted string (RFC 5228, section 2.4.2): the only form that is written. The other form, `text:`, ends
/// at a line with a dot, which a text could hold.
///
/// A backslash is written by its number, since servers disagree about where `"\\"` ends; and so is what begins
/// a variable, since some servers expand those in every script.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut signs = text.chars().peekable();
    while let Some(one) = signs.next() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => encode(&mut out, one),
            '$' | '%' if signs.peek() == Some(&'{') => encode(&mut out, one),
            '\0' => {}
            '\n' => out.push_str("\r\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn encode(out: &mut String, sign: char) {
    let _ = write!(out, "{ENCODED}{:02x}}}", u32::from(sign));
}
