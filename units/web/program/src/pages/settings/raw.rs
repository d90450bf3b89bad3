//! Scripts as text, checked by the server.

use axum::response::{IntoResponse as _, Redirect, Response};
use mailkiln_letter::sieve::SCRIPT_NAME;
use mailkiln_servers::sieve::{Script, Scripts};
use maud::{Markup, html};

use super::{page, said, scripts};
use crate::form::{Form, Query, escaped};
use crate::mailbox::problem;
use crate::problem::Problem;
use crate::session::Session;

/// GET `/settings/filters/raw`; `name` is the script that is open.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let all = scripts.list().await.map_err(problem)?;
    let name = query.text("name");
    let source = if all.iter().any(|script| script.name == name) {
        scripts::text(&mut scripts, name).await?
    } else {
        String::new()
    };
    let content =
        html! { (said(&session, query.text("done"), None)) (form(&session, &all, name, &source)) };
    Ok(page(&session, "/settings/filters/raw", "settings.raw", &content))
}

fn form(session: &Session, all: &[Script], name: &str, source: &str) -> Markup {
    let text = |key| session.text(key);
    html! {
        p { (text("settings.raw-hint")) }
        ul {
            @for script in all {
                li {
                    a href=(format!("/settings/filters/raw?name={}", escaped(&script.name))) { (script.name) }
                    @if script.active { " " span.hint { (text("settings.runs")) } }
                }
            }
        }
        form method="post" action="/settings/filters/raw" {
            (session.view.csrf())
            label for="name" { (text("settings.script-name")) }
            input id="name" name="name" value=(name) required maxlength="128" autocomplete="off";
            @if name == SCRIPT_NAME { p.problem { (text("settings.raw-ours")) } }
            label for="source" { (text("settings.script")) }
            textarea.code id="source" name="source" rows="20" spellcheck="false" { "\n" (source) }
            label { input type="checkbox" name="active" value="1"; " " (text("settings.activate")) }
            button name="do" value="save" { (text("settings.save")) } " "
            button.quiet name="do" value="check" { (text("settings.check")) } " "
            button.quiet.danger name="do" value="delete" { (text("settings.delete-script")) }
        }
    }
}

async fn act(
    scripts: &mut Scripts,
    action: &str,
    name: &str,
    source: &str,
    activate: bool,
) -> mailkiln_servers::Result<()> {
    match action {
        "delete" => scripts.delete(name).await,
        "check" => scripts.check(source).await,
        _ => {
            scripts.check(source).await?;
            scripts.put(name, source).await?;
            if activate { scripts.activate(name).await } else { Ok(()) }
        }
    }
}

/// POST `/settings/filters/raw`.
pub(super) async fn save(session: Session, Form(fields): Form) -> Result<Response, Problem> {
    let mut scripts = scripts::open(&session).await?;
    let (name, action) = (fields.text("name").trim(), fields.text("do"));
    let source = fields.text("source").replace("\r\n", "\n").replace('\n', "\r\n");
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Problem::BadRequest);
    }
    let done = act(&mut scripts, action, name, &source, fields.text("active") == "1").await;
    let wrong = match done {
        Ok(()) if action == "check" => None,
        Ok(()) => {
            let name = if action == "delete" { "" } else { name };
            return Ok(Redirect::to(&format!(
                "/settings/filters/raw?name={}&done=saved",
                escaped(name)
            ))
            .into_response());
        }
        Err(error) => Some(scripts::words(error)?),
    };
    // The server may have closed the line after an error.
    let all = scripts.list().await.unwrap_or_default();
    let checked = html! { @if wrong.is_none() { p.done role="status" { (session.text("settings.checked")) } } };
    let content = html! {
        (checked) (said(&session, "", wrong.as_deref()))
        (form(&session, &all, name, &source.replace("\r\n", "\n")))
    };
    Ok(page(&session, "/settings/filters/raw", "settings.raw", &content))
}
