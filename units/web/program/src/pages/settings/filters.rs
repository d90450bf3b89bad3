//! The list of rules, and blocked senders.

use axum::response::{IntoResponse as _, Redirect, Response};
use mailkiln_letter::sieve::{Filters, SCRIPT_NAME};
use mailkiln_servers::imap::SpecialUse;
use maud::{Markup, html};

use super::scripts::{self, Running};
use super::{page, said};
use crate::form::{Form, Query};
use crate::mailbox::problem;
use crate::problem::Problem;
use crate::session::Session;

/// GET `/settings/filters`.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let content = match scripts::running(&mut scripts).await? {
        Running::Ours(filters) => {
            html! { (said(&session, query.text("done"), None)) (list(&session, &filters)) }
        }
        Running::Foreign(name) => foreign(&session, &name),
    };
    Ok(page(&session, "/settings/filters", "settings.filters", &content))
}

/// What is said where another script runs.
pub(super) fn foreign(session: &Session, name: &str) -> Markup {
    let key =
        if name == SCRIPT_NAME { "settings.changed-script" } else { "settings.foreign-script" };
    html! {
        p { (session.view.language.fill(key, &[("name", &name)])) }
        form method="post" action="/settings/filters/adopt" {
            (session.view.csrf())
            input type="hidden" name="name" value=(name);
            button { (session.text("settings.adopt")) }
        }
        p { a href=(format!("/settings/filters/raw?name={}", crate::form::escaped(name))) { (session.text("settings.edit-as-text")) } }
    }
}

fn list(session: &Session, filters: &Filters) -> Markup {
    let text = |key| session.text(key);
    let named = |key: &str, name: &str| session.view.language.fill(key, &[("name", &name)]);
    html! {
        @if let Some(name) = &filters.included {
            p.hint { (session.view.language.fill("settings.included", &[("name", name)])) }
        }
        @if filters.rules.is_empty() { p { (text("settings.no-rules")) } }
        @else {
            form method="post" action="/settings/filters" {
                (session.view.csrf())
                table {
                    thead { tr { th { (text("settings.rule")) } th { (text("settings.actions")) } } }
                    tbody {
                        @for (index, rule) in filters.rules.iter().enumerate() {
                            tr {
                                td {
                                    a href=(format!("/settings/filters/rule?n={index}")) { @if rule.name.is_empty() { (text("settings.unnamed")) } @else { (rule.name) } }
                                    @if rule.is_off { " " span.hint { (text("settings.is-off")) } }
                                }
                                td {
                                    @if index > 0 { button.quiet name="up" value=(index) aria-label=(named("settings.up-named", &rule.name)) { "↑" } " " }
                                    @if index + 1 < filters.rules.len() { button.quiet name="up" value=(index + 1) aria-label=(named("settings.down-named", &rule.name)) { "↓" } " " }
                                    button.quiet.danger name="remove" value=(index) aria-label=(named("settings.remove-named", &rule.name)) { (text("settings.remove")) }
                                }
                            }
                        }
                    }
                }
            }
        }
        p { a.button href="/settings/filters/rule" { (text("settings.new-rule")) } }
        h2 { (text("settings.blocked")) }
        form method="post" action="/settings/filters" {
            (session.view.csrf())
            label for="blocked" { (text("settings.blocked-label")) }
            textarea id="blocked" name="blocked" rows="5" aria-describedby="blocked-hint" { "\n" (filters.blocked.join("\n")) }
            p.hint id="blocked-hint" { (text("settings.blocked-hint")) }
            button name="do" value="block" { (text("settings.save")) }
        }
    }
}

/// POST `/settings/filters`.
pub(super) async fn act(session: Session, Form(fields): Form) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let mut filters = scripts::ours(&mut scripts).await?;
    let index = |name: &str| fields.text(name).parse::<usize>().ok();
    if fields.text("do") == "block" {
        let lines = fields.text("blocked").lines().map(|line| line.trim().to_owned());
        filters.blocked = lines.filter(|line| !line.is_empty()).collect();
        filters.junk_folder = junk(&session).await?;
    } else if let Some(up) = index("up").filter(|up| (1..filters.rules.len()).contains(up)) {
        filters.rules.swap(up, up - 1);
    } else if let Some(gone) = index("remove").filter(|gone| *gone < filters.rules.len()) {
        filters.rules.remove(gone);
    } else {
        return Err(Problem::BadRequest);
    }
    match scripts::put(&mut scripts, &filters).await {
        Ok(()) => Ok(Redirect::to("/settings/filters?done=saved").into_response()),
        Err(Err(problem)) => Err(problem),
        Err(Ok(words)) => {
            let content = html! { (said(&session, "", Some(&words))) (list(&session, &filters)) };
            Ok(page(&session, "/settings/filters", "settings.filters", &content))
        }
    }
}

/// The junk folder, as Sieve names it.
async fn junk(session: &Session) -> Result<String, Problem> {
    let mut guard = session.app.mailboxes.open(session).await?;
    let folders = guard.imap()?.folders().await.map_err(problem)?;
    let found = folders.into_iter().find(|folder| folder.special_use() == Some(SpecialUse::Junk));
    Ok(found.map_or_else(|| "Junk Mail".to_owned(), |folder| folder.name))
}

/// POST `/settings/filters/adopt`.
pub(super) async fn adopt(session: Session, Form(fields): Form) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let Running::Foreign(name) = scripts::running(&mut scripts).await? else {
        return Ok(Redirect::to("/settings/filters").into_response());
    };
    // The page may be old: only what runs now is adopted.
    if name != fields.text("name") {
        return Ok(Redirect::to("/settings/filters").into_response());
    }
    match scripts::adopt(&mut scripts, &name).await {
        Ok(()) => Ok(Redirect::to("/settings/filters?done=saved").into_response()),
        Err(Err(problem)) => Err(problem),
        Err(Ok(words)) => {
            let content = html! { (said(&session, "", Some(&words))) (foreign(&session, &name)) };
            Ok(page(&session, "/settings/filters", "settings.filters", &content))
        }
    }
}
