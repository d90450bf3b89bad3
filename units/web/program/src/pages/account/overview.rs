//! The page with all of it.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use super::{answer, app_passwords, owner_fields, password, second_factor, sessions};
use crate::api::{As, SignInState};
use crate::journal;
use crate::problem::Problem;
use crate::session::{Credential, Session, code};

/// `GET /account`.
pub(super) async fn show(session: Session) -> Result<Response, Problem> {
    page(&session, StatusCode::OK, None).await
}

/// The page; `outcome` is the key of a text and whether it is good news.
pub(super) async fn page(
    session: &Session,
    status: StatusCode,
    outcome: Option<(&str, bool)>,
) -> Result<Response, Problem> {
    let own = match session.app.backend.own() {
        Some(_) => Some(state(session).await?),
        None => None,
    };
    let left = code::recovery_left(&session.app.database, &session.account).await?;
    let content = html! {
        h1 { (session.text("account.title")) " " span.account { (session.account) } }
        @if let Some((key, good)) = outcome {
            p class=(if good { "done" } else { "problem" }) role=(if good { "status" } else { "alert" }) { (session.text(key)) }
        }
        @if let Some(state) = &own {
            (changes(session, state, left))
        } @else {
            p { (session.text("account.unavailable")) }
        }
        (sessions::list(session).await?)
    };
    Ok(answer(session, status, content))
}

fn changes(session: &Session, state: &SignInState, left: u64) -> Markup {
    html! {
        (password::form(session, state.second_factor))
        section aria-labelledby="factor" {
            h2 id="factor" { (session.text("account.factor")) }
            (second_factor::section(session, state.second_factor, left))
        }
        (app_passwords::section(session, state))
    }
}

/// What the account has; the session's own token is enough to see it.
pub(super) async fn state(session: &Session) -> Result<SignInState, Problem> {
    let api = super::api(session)?;
    let Credential::Token(token) = session.credential().await? else {
        return Err(Problem::Internal);
    };
    api.sign_in_state(As::Bearer(&token)).await.map_err(|error| {
        journal::warning(&error.to_string());
        Problem::ServerAway
    })
}

/// A form below one heading.
pub(super) fn form(
    session: &Session,
    action: &str,
    id: &str,
    second_factor: bool,
    more: &Markup,
    button: &str,
) -> Markup {
    html! {
        form.narrow-form method="post" action=(action) {
            (owner_fields(session, id, second_factor))
            (more)
            button { (session.text(button)) }
        }
    }
}
