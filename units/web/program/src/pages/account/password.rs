//! Another password.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::json;

use super::{Owner, Unchanged, outcome, overview, refusal};
use crate::form::Form;
use crate::journal;
use crate::problem::Problem;
use crate::session::{Session, password};

/// The form.
pub(super) fn form(session: &Session, second_factor: bool) -> Markup {
    let field = |name: &str, key: &str| {
        html! {
            label for=(name) { (session.text(key)) }
            input id=(name) name=(name) type="password" required autocomplete="new-password" minlength=(password::SHORTEST);
        }
    };
    let more = html! {
        (field("new", "account.password-new"))
        (field("again", "account.password-again"))
        p.hint { (session.text("account.password-hint")) }
    };
    html! {
        section aria-labelledby="password" {
            h2 id="password" { (session.text("account.password")) }
            (overview::form(session, "/account/password", "password", second_factor, &more, "account.password-change"))
        }
    }
}

/// `POST /account/password`.
pub(super) async fn change(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let owner = Owner::of(&form);
    let new = form.text("new");
    if let Some(problem) = password::unfit(new, form.text("again"), &owner.password) {
        return refusal(&session, problem).await;
    }
    let hash = password::hash(new).await.ok_or(Problem::Internal)?;
    let changes = json!([{ "type": "setPassword", "password": hash }]);
    if let Err(unchanged) = owner.change(&session, &changes, "has another password").await {
        return outcome(&session, Err(unchanged)).await;
    }
    // The server takes tokens of the old password no more; these sessions end now, and not when they notice.
    session.app.sessions.end_others(&session.account, Some(session.id)).await?;
    let signed_in = session
        .app
        .backend
        .sign_in(&session.account, new, owner.code.as_deref(), session.client)
        .await;
    match signed_in {
        Ok(tokens) => session.replace(tokens).await?,
        Err(error) => {
            journal::warning(&error.to_string());
            session.app.sessions.end(session.id).await?;
            return Ok(crate::pages::sign_in::signed_out());
        }
    }
    outcome(&session, Ok::<_, Unchanged>("account.password-done")).await.map(|mut response| {
        *response.status_mut() = StatusCode::OK;
        response
    })
}
