//! One rule.

use axum::response::{IntoResponse as _, Redirect, Response};
use mailkiln_letter::sieve::{Action, Comparison, Field, Flag, Rule, Test};
use maud::{Markup, html};

use super::{page, said, scripts};
use crate::form::{Fields, Form, Query};
use crate::mailbox::problem;
use crate::problem::Problem;
use crate::session::Session;

/// Tests that a form can hold.
const MOST: usize = 50;
/// Empty lines below the tests.
const EMPTY: usize = 2;

const FIELDS: [(&str, &str); 7] = [
    ("from", "settings.field-from"),
    ("recipients", "settings.field-recipients"),
    ("subject", "settings.field-subject"),
    ("list", "settings.field-list"),
    ("other", "settings.field-other"),
    ("larger", "settings.field-larger"),
    ("smaller", "settings.field-smaller"),
];

const COMPARISONS: [(&str, Comparison, &str); 5] = [
    ("contains", Comparison::Contains, "settings.how-contains"),
    ("lacks", Comparison::Lacks, "settings.how-lacks"),
    ("is", Comparison::Is, "settings.how-is"),
    ("is-not", Comparison::IsNot, "settings.how-is-not"),
    ("matches", Comparison::Matches, "settings.how-matches"),
];

/// GET `/settings/filters/rule`; `n` is the number of an old one.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let filters = scripts::ours(&mut scripts).await?;
    let number =
        query.text("n").parse::<usize>().ok().filter(|number| *number < filters.rules.len());
    let rule =
        number.and_then(|number| filters.rules.get(number).cloned()).unwrap_or_else(|| Rule {
            tests: vec![Test::Header(
                Field::From,
                Comparison::Contains,
                query.text("from").chars().take(300).collect(),
            )],
            stops: true,
            ..Rule::default()
        });
    answer(&session, number, &rule, &[], None).await
}

/// The page; `typed` has the values of the tests as they were typed.
async fn answer(
    session: &Session,
    number: Option<usize>,
    rule: &Rule,
    typed: &[String],
    wrong: Option<&str>,
) -> Result<Response, Problem> {
    let mut guard = session.app.mailboxes.open(session).await?;
    let folders = guard.imap()?.folders().await.map_err(problem)?;
    drop(guard);
    let names: Vec<String> = folders
        .into_iter()
        .filter(|folder| folder.selectable())
        .map(|folder| folder.name)
        .collect();
    let content = html! { (said(session, "", wrong)) (form(session, number, rule, typed, &names)) };
    Ok(page(session, "/settings/filters", "settings.rule", &content))
}

fn form(
    session: &Session,
    number: Option<usize>,
    rule: &Rule,
    typed: &[String],
    folders: &[String],
) -> Markup {
    let text = |key| session.text(key);
    let rows = rule.tests.iter().map(Some).chain(std::iter::repeat_n(None, EMPTY));
    html! {
        form method="post" action="/settings/filters/rule" {
            (session.view.csrf())
            @if let Some(number) = number { input type="hidden" name="n" value=(number); }
            label for="name" { (text("settings.rule-name")) }
            input id="name" name="name" value=(rule.name) maxlength="100" autocomplete="off";
            fieldset {
                legend { (text("settings.if")) }
                label { input type="radio" name="all" value="0" checked[!rule.needs_all]; " " (text("settings.any")) }
                label { input type="radio" name="all" value="1" checked[rule.needs_all]; " " (text("settings.all")) }
                @for (index, test) in rows.take(MOST).enumerate() { (row(session, index, test, typed.get(index))) }
                p.hint { (text("settings.tests-hint")) }
            }
            fieldset {
                legend { (text("settings.then")) }
                (actions(session, rule, folders))
                label { input type="checkbox" name="stops" value="1" checked[rule.stops]; " " (text("settings.stops")) }
            }
            label { input type="checkbox" name="off" value="1" checked[rule.is_off]; " " (text("settings.off")) }
            button { (text("settings.save")) }
        }
    }
}

fn row(session: &Session, index: usize, test: Option<&Test>, typed: Option<&String>) -> Markup {
    let language = session.view.language;
    let (field, name, how, value) = match test {
        Some(Test::Header(field, how, value)) => {
            let (kind, name) = match field {
                Field::From => ("from", ""),
                Field::Recipients => ("recipients", ""),
                Field::Subject => ("subject", ""),
                Field::List => ("list", ""),
                Field::Other(name) => ("other", name.as_str()),
            };
            (kind, name, *how, value.clone())
        }
        Some(Test::LargerThan(size)) => ("larger", "", Comparison::Is, size.to_string()),
        Some(Test::SmallerThan(size)) => ("smaller", "", Comparison::Is, size.to_string()),
        None => ("from", "", Comparison::Contains, String::new()),
    };
    let value = typed.cloned().unwrap_or(value);
    html! {
        div.line role="group" aria-label=(language.fill("settings.test", &[("n", &(index + 1))])) {
            select name=(format!("field-{index}")) aria-label=(language.text("settings.field")) {
                @for (value, key) in FIELDS { option value=(value) selected[value == field] { (language.text(key)) } }
            } " "
            input name=(format!("name-{index}")) value=(name) maxlength="70" autocomplete="off" aria-label=(language.text("settings.field-name")) placeholder="X-Field"; " "
            select name=(format!("how-{index}")) aria-label=(language.text("settings.how")) {
                @for (value, one, key) in COMPARISONS { option value=(value) selected[one == how] { (language.text(key)) } }
            } " "
            input name=(format!("value-{index}")) value=(value) maxlength="500" autocomplete="off" aria-label=(language.text("settings.value"));
        }
    }
}

fn actions(session: &Session, rule: &Rule, folders: &[String]) -> Markup {
    let text = |key| session.text(key);
    let has = |wanted: &Action| rule.actions.contains(wanted);
    let into = rule.actions.iter().find_map(|action| match action {
        Action::FileInto(folder) => Some(folder.as_str()),
        _ => None,
    });
    let forward = rule.actions.iter().find_map(|action| match action {
        Action::Forward(to, copy) => Some((to.as_str(), *copy)),
        _ => None,
    });
    html! {
        label for="into" { (text("settings.into")) }
        select id="into" name="into" {
            option value="" { (text("settings.into-none")) }
            @if let Some(gone) = into.filter(|into| !folders.iter().any(|folder| folder == into)) { option value=(gone) selected { (gone) } }
            @for folder in folders { option value=(folder) selected[into == Some(folder.as_str())] { (folder) } }
        }
        label { input type="checkbox" name="seen" value="1" checked[has(&Action::Flag(Flag::Seen))]; " " (text("settings.seen")) }
        label { input type="checkbox" name="flagged" value="1" checked[has(&Action::Flag(Flag::Flagged))]; " " (text("settings.flagged")) }
        label for="forward" { (text("settings.forward")) }
        input id="forward" name="forward" type="email" value=(forward.map_or("", |(to, _)| to)) maxlength="254";
        label { input type="checkbox" name="copy" value="1" checked[forward.is_none_or(|(_, copy)| copy)]; " " (text("settings.keep-copy")) }
        label { input type="checkbox" name="discard" value="1" checked[has(&Action::Discard)]; " " (text("settings.discard")) }
    }
}

/// The rule that a form holds, and the values of its tests as they were typed: a size that is none is 0 in the rule.
fn read(fields: &Fields) -> (Rule, Vec<String>) {
    let set = |name: &str| fields.text(name) == "1";
    let (mut tests, mut typed) = (Vec::new(), Vec::new());
    for index in 0..MOST {
        let text = |name: &str| fields.text(&format!("{name}-{index}")).to_owned();
        let value = text("value");
        if value.is_empty() {
            continue;
        }
        let how = text("how");
        let how = COMPARISONS
            .iter()
            .find(|(name, ..)| *name == how)
            .map_or(Comparison::Contains, |(_, how, _)| *how);
        typed.push(value.clone());
        // Rule::check refuses 0.
        let size = || value.trim().parse::<u32>().unwrap_or(0);
        tests.push(match text("field").as_str() {
            "recipients" => Test::Header(Field::Recipients, how, value),
            "subject" => Test::Header(Field::Subject, how, value),
            "list" => Test::Header(Field::List, how, value),
            "other" => Test::Header(Field::Other(text("name").trim().to_owned()), how, value),
            "larger" => Test::LargerThan(size()),
            "smaller" => Test::SmallerThan(size()),
            _ => Test::Header(Field::From, how, value),
        });
    }
    let mut actions = Vec::new();
    if set("seen") {
        actions.push(Action::Flag(Flag::Seen));
    }
    if set("flagged") {
        actions.push(Action::Flag(Flag::Flagged));
    }
    if !fields.text("into").is_empty() {
        actions.push(Action::FileInto(fields.text("into").to_owned()));
    }
    if !fields.text("forward").trim().is_empty() {
        actions.push(Action::Forward(fields.text("forward").trim().to_owned(), set("copy")));
    }
    if set("discard") {
        actions.push(Action::Discard);
    }
    let rule = Rule {
        name: fields.text("name").trim().to_owned(),
        is_off: set("off"),
        needs_all: set("all"),
        tests,
        actions,
        stops: set("stops"),
    };
    (rule, typed)
}

/// POST `/settings/filters/rule`.
pub(super) async fn save(session: Session, Form(fields): Form) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let mut filters = scripts::ours(&mut scripts).await?;
    let (mut rule, typed) = read(&fields);
    let number =
        fields.text("n").parse::<usize>().ok().filter(|number| *number < filters.rules.len());
    // A script names its rules in one line.
    rule.name = mailkiln_letter::text::visible_line(&rule.name, 100);
    match number {
        Some(number) => filters.rules[number] = rule.clone(),
        None => filters.rules.push(rule.clone()),
    }
    match scripts::put(&mut scripts, &filters).await {
        Ok(()) => Ok(Redirect::to("/settings/filters?done=saved").into_response()),
        Err(Err(problem)) => Err(problem),
        Err(Ok(words)) => answer(&session, number, &rule, &typed, Some(&words)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailkiln_letter::sieve::{Filters, InvalidFilter};

    #[test]
    fn a_form_is_a_rule() {
        let form = "name=Lists&all=1&field-0=list&how-0=contains&value-0=rust&field-1=other&name-1=X-Spam&how-1=is-not&value-1=yes\
            &field-2=from&value-2=&field-3=larger&value-3=100&into=Lists%2FRust&seen=1&forward=a%40b.example&copy=1&stops=1";
        let (rule, _) = read(&Fields::parse(form.as_bytes()).unwrap());
        assert_eq!(
            rule.tests,
            [
                Test::Header(Field::List, Comparison::Contains, "rust".into()),
                Test::Header(Field::Other("X-Spam".into()), Comparison::IsNot, "yes".into()),
                Test::LargerThan(100),
            ]
        );
        assert_eq!(
            rule.actions,
            [
                Action::Flag(Flag::Seen),
                Action::FileInto("Lists/Rust".into()),
                Action::Forward("a@b.example".into(), true),
            ]
        );
        assert!(rule.needs_all && rule.stops && !rule.is_off);
    }

    #[test]
    fn a_size_that_is_none_is_refused_and_kept_as_it_was_typed() {
        let form = "field-0=from&value-0=&field-1=larger&value-1=10+MB&field-2=smaller&value-2=+7+&discard=1";
        let (rule, typed) = read(&Fields::parse(form.as_bytes()).unwrap());
        assert_eq!(rule.tests, [Test::LargerThan(0), Test::SmallerThan(7)]);
        assert_eq!(typed, ["10 MB", " 7 "]);
        let filters = Filters { rules: vec![rule], ..Filters::default() };
        assert_eq!(filters.check(), Err(InvalidFilter::Size));
    }
}
