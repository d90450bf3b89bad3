//! Signing in and out: the password, then a code where the account has a second factor.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::api::As;
use crate::app::App;
use crate::client::Client;
use crate::form::{Form, Query};
use crate::journal;
use crate::layout::{Page, View};
use crate::problem::Problem;
use crate::random;
use crate::session::code;
use crate::session::credential::{SignInError, Tokens};
use crate::session::{Session, cookie, password};

/// The longest account and password that are looked at, bytes.
const LONGEST: usize = 512;
/// What waits for a code.
const PENDING: &str = "sign-in";

/// The group's addresses.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sign-in", get(show).post(sign_in))
        .route("/sign-in/code", post(with_code))
        .route("/sign-out", post(sign_out))
}

/// A password that was right, until its code comes.
#[derive(Serialize, Deserialize)]
struct Waiting {
    account: String,
    password: String,
    next: String,
}

/// One attempt, on the request that it came with.
struct Attempt<'a> {
    app: &'a App,
    view: &'a View,
    client: Client,
    headers: &'a HeaderMap,
}

async fn show(
    State(app): State<Arc<App>>,
    view: View,
    headers: HeaderMap,
    Query(query): Query,
) -> Result<Response, Problem> {
    // The form is bound to this browser; one that has the cookie keeps it, so that two open forms both work.
    let secret = cookie::secret(&headers, cookie::GUEST).map_or_else(random::bytes::<32>, Ok)?;
    // Forms are bound to the session's cookie where there is one, even of a session that has ended.
    let view = match cookie::secret(&headers, cookie::SESSION) {
        Some(_) => view,
        None => view.with_guest(&secret),
    };
    let mut response = page(&app, &view, StatusCode::OK, "", local(query.text("next")), None);
    response.headers_mut().append(SET_COOKIE, cookie::set(cookie::GUEST, &secret, None));
    Ok(response)
}

/// The form; `problem` is the key of a text.
fn page(
    app: &App,
    view: &View,
    status: StatusCode,
    account: &str,
    next: &str,
    problem: Option<&str>,
) -> Response {
    let text = |key| view.language.text(key);
    let first = account.is_empty();
    let content = html! {
        section.narrow {
            h1 { (view.language.fill("sign-in.welcome", &[("host", &app.configuration.host)])) }
            (alert(view, problem))
            form method="post" action="/sign-in" {
                (view.csrf())
                input type="hidden" name="next" value=(next);
                label for="account" { (text("sign-in.account")) }
                input id="account" name="account" type="text" inputmode="email" required value=(account)
                    autocomplete="username" autocapitalize="none" spellcheck="false" autofocus[first];
                label for="password" { (text("sign-in.password")) }
                input id="password" name="password" type="password" required autocomplete="current-password" autofocus[!first];
                button { (text("sign-in.submit")) }
            }
        }
    };
    answer(view, status, content)
}

/// The form for the second step.
fn code_page(view: &View, status: StatusCode, problem: Option<&str>) -> Response {
    let text = |key| view.language.text(key);
    let content = html! {
        section.narrow {
            h1 { (text("sign-in.code-title")) }
            (alert(view, problem))
            form method="post" action="/sign-in/code" {
                (view.csrf())
                label for="code" { (text("sign-in.code")) }
                input id="code" name="code" type="text" required autofocus autocomplete="one-time-code"
                    autocapitalize="none" spellcheck="false" aria-describedby="code-hint";
                p.hint id="code-hint" { (text("sign-in.code-hint")) }
                button { (text("sign-in.submit")) }
            }
            p { a href="/sign-in" { (text("sign-in.again")) } }
        }
    };
    answer(view, status, content)
}

fn alert(view: &View, problem: Option<&str>) -> Markup {
    html! {
        @if let Some(problem) = problem {
            p.problem role="alert" { (view.language.text(problem)) }
        }
    }
}

fn answer(view: &View, status: StatusCode, content: Markup) -> Response {
    let title = view.language.text("sign-in.title").to_owned();
    view.page_with_status(status, Page { title, content, ..Page::default() })
}

async fn sign_in(
    State(app): State<Arc<App>>,
    view: View,
    client: Client,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, Problem> {
    let account = form.text("account").trim().to_lowercase();
    let (secret, next) = (form.text("password"), local(form.text("next")));
    let attempt = Attempt { app: &app, view: &view, client, headers: &headers };
    let again = |status, problem| Ok(page(&app, &view, status, &account, next, Some(problem)));
    if let Some(refusal) = attempt.wait(&account).await {
        return Ok(refusal);
    }
    let odd =
        |text: &str| text.is_empty() || text.len() > LONGEST || text.contains(char::is_control);
    if odd(&account) || odd(secret) || account.contains(':') {
        attempt.wrong(&account);
        return again(StatusCode::FORBIDDEN, "sign-in.wrong");
    }
    if password::is_app(secret) {
        return again(StatusCode::FORBIDDEN, "sign-in.app-password");
    }
    // Whether the password is right is said only together with the code.
    if code::is_asked(&app.database, &account).await? {
        return attempt.ask_for_code(account, secret, next);
    }
    match app.backend.sign_in(&account, secret, None, client).await {
        Ok(tokens) => {
            if attempt.is_replayed(&account, secret, &tokens).await? {
                attempt.wrong(&account);
                return again(StatusCode::FORBIDDEN, "sign-in.code-used");
            }
            attempt.finish(&account, tokens, next).await
        }
        Err(SignInError::CodeNeeded) => attempt.ask_for_code(account, secret, next),
        Err(SignInError::Refused) => {
            attempt.wrong(&account);
            again(StatusCode::FORBIDDEN, "sign-in.wrong")
        }
        Err(error @ SignInError::Away(_)) => {
            journal::warning(&error.to_string());
            again(StatusCode::BAD_GATEWAY, "error.server-away")
        }
    }
}

async fn with_code(
    State(app): State<Arc<App>>,
    view: View,
    client: Client,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, Problem> {
    let attempt = Attempt { app: &app, view: &view, client, headers: &headers };
    let browser = attempt.browser()?;
    let waiting = app.pending.try_take(&browser, PENDING);
    let Some(Waiting { account, password, next }) =
        waiting.and_then(|value| serde_json::from_slice(&value).ok())
    else {
        return Ok(page(&app, &view, StatusCode::FORBIDDEN, "", "/", Some("sign-in.code-late")));
    };
    if let Some(refusal) = attempt.wait(&account).await {
        return Ok(refusal);
    }
    let typed = form.text("code");
    let (code, recovery) = match code::digits(typed) {
        Some(code) => (Some(code), false),
        None => {
            let secret = code::open_recovery(&app.database, &account, typed).await?;
            (secret.map(|secret| secret.current()), true)
        }
    };
    let Some(code) = code else {
        attempt.wrong(&account);
        return Ok(code_page(&view, StatusCode::FORBIDDEN, Some("sign-in.code-wrong")));
    };
    match app.backend.sign_in(&account, &password, Some(&code), client).await {
        Ok(tokens) => {
            // Only now is it known to be right: a stranger can't use up codes of others.
            let unused = if recovery {
                code::spend_recovery(&app.database, &account, typed).await?
            } else {
                code::take(&app.database, &account, &code).await?
            };
            if !unused {
                attempt.wrong(&account);
                return Ok(code_page(&view, StatusCode::FORBIDDEN, Some("sign-in.code-used")));
            }
            app.pending.remove(&browser, PENDING);
            attempt.finish(&account, tokens, local(&next)).await
        }
        Err(SignInError::Refused | SignInError::CodeNeeded) => {
            attempt.wrong(&account);
            Ok(code_page(&view, StatusCode::FORBIDDEN, Some("sign-in.code-wrong")))
        }
        Err(error @ SignInError::Away(_)) => {
            journal::warning(&error.to_string());
            Ok(code_page(&view, StatusCode::BAD_GATEWAY, Some("error.server-away")))
        }
    }
}

impl Attempt<'_> {
    /// Waits as long as earlier wrong passwords demand; an answer when that is too long.
    async fn wait(&self, account: &str) -> Option<Response> {
        match self.app.guesses.delay(account, self.client).await {
            Ok(delay) => {
                tokio::time::sleep(delay).await;
                None
            }
            Err(away) => Some(Problem::TooMany { seconds: away.as_secs().max(1) }.into_response()),
        }
    }

    /// Counts a wrong password or code, and tells the journal. A typed account may be a password: only what looks like an address is
    /// written down.
    fn wrong(&self, account: &str) {
        self.app.guesses.wrong(account, self.client);
        let known = account
            .split_once('@')
            .is_some_and(|(_, domain)| self.app.configuration.domains.contains_key(domain));
        let account = if known { account } else { "an unknown account" };
        journal::notice(&format!("sign-in of {account} from {} refused", self.client.address));
    }

    /// What tells this browser from others before it has a session.
    fn browser(&self) -> Result<cookie::Secret, Problem> {
        cookie::secret(self.headers, cookie::GUEST).ok_or(Problem::ForeignForm)
    }

    /// Keeps the password for minutes, and asks for a code.
    fn ask_for_code(
        &self,
        account: String,
        password: &str,
        next: &str,
    ) -> Result<Response, Problem> {
        let waiting = Waiting { account, password: password.to_owned(), next: next.to_owned() };
        let value = serde_json::to_vec(&waiting).map_err(|_| Problem::Internal)?;
        self.app.pending.put(&self.browser()?, PENDING, &value)?;
        Ok(code_page(self.view, StatusCode::OK, None))
    }

    /// Whether the password brought a code along that was used before: a second factor that was not set up here is typed so.
    async fn is_replayed(
        &self,
        account: &str,
        password: &str,
        tokens: &Tokens,
    ) -> Result<bool, Problem> {
        let (Some(code), Some(api)) = (code::at_end(password), self.app.backend.own()) else {
            return Ok(false);
        };
        let Tokens::OAuth { access, .. } = tokens else { return Ok(false) };
        let state = api.sign_in_state(As::Bearer(access), self.client).await.map_err(|error| {
            journal::warning(&error.to_string());
            Problem::ServerAway
        })?;
        Ok(state.second_factor && !code::take(&self.app.database, account, code).await?)
    }

    /// Begins a session.
    async fn finish(&self, account: &str, tokens: Tokens, next: &str) -> Result<Response, Problem> {
        self.app.guesses.right(account, self.client).await?;
        let agent =
            self.headers.get(USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let secret = self.app.sessions.begin(account, self.client, agent, tokens).await?;
        // A session that this browser had is left: nobody sees its cookie again.
        if let Some(old) = cookie::secret(self.headers, cookie::SESSION) {
            self.app.sessions.end(crate::session::Id::of(&old)).await?;
        }
        journal::notice(&format!("{account} signed in from {}", self.client.address));
        let mut response = Redirect::to(next).into_response();
        let age = Some(self.app.configuration.sessions.absolute_seconds);
        response.headers_mut().append(SET_COOKIE, cookie::set(cookie::SESSION, &secret, age));
        response.headers_mut().append(SET_COOKIE, cookie::removed(cookie::GUEST));
        Ok(response)
    }
}

async fn sign_out(session: Session, Form(_): Form) -> Result<Response, Problem> {
    session.app.sessions.end(session.id).await?;
    session.app.mailboxes.forget(session.id);
    Ok(signed_out())
}

/// Sends the browser to the sign-in page, without its cookie.
pub(crate) fn signed_out() -> Response {
    let mut response = Redirect::to("/sign-in").into_response();
    response.headers_mut().append(SET_COOKIE, cookie::removed(cookie::SESSION));
    // The back button shows no page of this session any more.
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    response
}

/// `next`, if it stays on our site.
fn local(next: &str) -> &str {
    let ours = next.starts_with('/') && !next.starts_with("//");
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if ours && plain && next.len() <= 2000 { next } else { "/" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sign_in_leads_nowhere_else() {
        for (next, expected) in [
            ("/mail?folder=a", "/mail?folder=a"),
            ("", "/"),
            ("//evil.test", "/"),
            ("/\\evil.test", "/"),
            ("https://evil.test", "/"),
            ("/a\r\nSet-Cookie: b", "/"),
            ("/\t/evil.test", "/"),
        ] {
            assert_eq!(super::local(next), expected, "{next:?}");
        }
    }
}
