//! Where one is signed in.

use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use crate::form::Form;
use crate::i18n::Language;
use crate::problem::Problem;
use crate::session::Session;

/// The list.
pub(super) async fn list(session: &Session) -> Result<Markup, Problem> {
    let here = session.id.label();
    let entries = session.app.sessions.list(&session.account).await?;
    let text = |key: &str| session.text(key);
    let end = |which: &str, key: &str, class: &str| {
        html! {
            form method="post" action="/account/sessions/end" {
                (session.view.csrf())
                input type="hidden" name="which" value=(which);
                button class=(class) { (text(key)) }
            }
        }
    };
    Ok(html! {
        section aria-labelledby="sessions" {
            h2 id="sessions" { (text("account.sessions")) }
            table {
                thead {
                    tr {
                        th scope="col" { (text("account.sessions-browser")) }
                        th scope="col" { (text("account.sessions-address")) }
                        th scope="col" { (text("account.sessions-used")) }
                        th scope="col" { (text("account.sessions-action")) }
                    }
                }
                tbody {
                    @for entry in &entries {
                        tr {
                            td { (entry.agent) @if entry.label == here { " (" (text("account.sessions-here")) ")" } }
                            td { (entry.address) }
                            td { (ago(session.view.language, entry.used)) }
                            td { (end(&entry.label, "account.sessions-end", "quiet")) }
                        }
                    }
                }
            }
            div.row {
                (end("others", "account.sessions-end-others", "quiet"))
                (end("all", "account.sessions-end-all", "danger"))
            }
        }
    })
}

fn ago(language: Language, time: i64) -> String {
    let minutes = u64::try_from((crate::session::now() - time) / 60).unwrap_or(0);
    match minutes {
        0..=119 => language.count("account.ago-minutes", minutes),
        120..=2879 => language.count("account.ago-hours", minutes / 60),
        _ => language.count("account.ago-days", minutes / 1440),
    }
}

/// `POST /account/sessions/end`: one, all others, or all.
pub(super) async fn end(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let (sessions, account) = (&session.app.sessions, &session.account);
    match form.text("which") {
        "others" => sessions.end_others(account, Some(session.id)).await?,
        "all" => sessions.end_others(account, None).await?,
        label => sessions.end_labelled(account, label).await?,
    }
    let left = sessions.list(account).await?.iter().any(|entry| entry.label == session.id.label());
    if left {
        Ok(Redirect::to("/account").into_response())
    } else {
        Ok(crate::pages::sign_in::signed_out())
    }
}
