//! What someone can change of their own account: password, second factor, app passwords, sessions.
//!
//! Each change asks for the password again, and for a code where there is a second factor: an open browser alone changes nothing.

mod app_passwords;
mod overview;
mod password;
mod second_factor;
mod sessions;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use crate::api::{Api, ApiError, As};
use crate::app::App;
use crate::form::Fields;
use crate::journal;
use crate::layout::{Page, Section};
use crate::problem::Problem;
use crate::session::{Session, code};

/// The group's addresses.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/account", get(overview::show))
        .route("/account/password", post(password::change))
        .route("/account/second-factor/start", post(second_factor::start))
        .route("/account/second-factor/confirm", post(second_factor::confirm))
        .route("/account/second-factor/stop", post(second_factor::stop))
        .route("/account/app-passwords/add", post(app_passwords::add))
        .route("/account/app-passwords/withdraw", post(app_passwords::withdraw))
        .route("/account/sessions/end", post(sessions::end))
}

/// Why a change was not made.
enum Unchanged {
    /// Password or code is wrong.
    Wrong,
    /// Something else, with a page of its own.
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for Unchanged {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

/// Who makes a change, as typed again.
struct Owner {
    password: String,
    code: Option<String>,
}

impl Owner {
    /// From the form.
    fn of(form: &Fields) -> Self {
        Self { password: form.text("current").to_owned(), code: code::digits(form.text("code")) }
    }

    fn name<'a>(&'a self, session: &'a Session) -> As<'a> {
        As::Owner {
            account: &session.account,
            password: &self.password,
            code: self.code.as_deref(),
        }
    }

    /// Makes the change, unless password or code is wrong. Each wrong one costs time as at sign-in. The journal says who made it and
    /// from where: "ACCOUNT `what`, from ADDRESS".
    async fn change(
        &self,
        session: &Session,
        changes: &Value,
        what: &str,
    ) -> Result<(), Unchanged> {
        let api = api(session)?;
        let delay = session.app.guesses.delay(&session.account, session.client).await;
        let seconds =
            |away: std::time::Duration| Problem::TooMany { seconds: away.as_secs().max(1) };
        tokio::time::sleep(delay.map_err(seconds)?).await;
        if crate::session::password::is_app(&self.password) {
            return Err(self.wrong(session));
        }
        // A code that was seen over a shoulder must not make a change either.
        if let Some(code) = &self.code
            && api
                .sign_in_state(self.name(session), session.client)
                .await
                .is_ok_and(|state| state.second_factor)
            && !code::take(&session.app.database, &session.account, code).await?
        {
            return Err(self.wrong(session));
        }
        match api.change(self.name(session), changes, session.client).await {
            Ok(()) => {
                tell(session, what);
                Ok(())
            }
            Err(ApiError::Unauthorized | ApiError::CodeNeeded) => Err(self.wrong(session)),
            Err(error) => {
                journal::warning(&error.to_string());
                Err(Unchanged::Problem(Problem::ServerAway))
            }
        }
    }

    fn wrong(&self, session: &Session) -> Unchanged {
        session.app.guesses.wrong(&session.account, session.client);
        tell(session, "is not changed: password or code is wrong");
        Unchanged::Wrong
    }
}

/// Writes to the journal what became of an account, and from where.
fn tell(session: &Session, what: &str) {
    journal::notice(&format!("{} {what}, from {}", session.account, session.client.address));
}

fn api(session: &Session) -> Result<&Api, Problem> {
    session.app.backend.own().ok_or(Problem::NotFound)
}

/// The overview, with what became of a change.
async fn outcome(
    session: &Session,
    changed: Result<&'static str, Unchanged>,
) -> Result<Response, Problem> {
    match changed {
        Ok(done) => overview::page(session, StatusCode::OK, Some((done, true))).await,
        Err(Unchanged::Wrong) => refusal(session, "account.wrong").await,
        Err(Unchanged::Problem(problem)) => Err(problem),
    }
}

/// The overview, with why nothing was changed.
async fn refusal(session: &Session, problem: &'static str) -> Result<Response, Problem> {
    overview::page(session, StatusCode::FORBIDDEN, Some((problem, false))).await
}

/// Fields that ask who makes a change. `id` tells several on one page apart.
fn owner_fields(session: &Session, id: &str, second_factor: bool) -> Markup {
    html! {
        (session.view.csrf())
        label for={ (id) "-current" } { (session.text("account.current")) }
        input id={ (id) "-current" } name="current" type="password" required autocomplete="current-password";
        @if second_factor {
            label for={ (id) "-code" } { (session.text("account.code")) }
            input id={ (id) "-code" } name="code" type="text" inputmode="numeric" required autocomplete="one-time-code";
        }
    }
}

fn answer(session: &Session, status: StatusCode, content: Markup) -> Response {
    let title = session.text("account.title").to_owned();
    session.view.page_with_status(
        status,
        Page { section: Some(Section::Account), title, content, ..Page::default() },
    )
}
