//! Signing in and out.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, StatusCode};
use maud::html;

use crate::app::App;
use crate::client::Client;
use crate::form::{Form, Query};
use crate::layout::{Page, View};
use crate::problem::Problem;
use crate::random;
use crate::session::credential::SignInError;
use crate::session::{Session, cookie};

/// The group's addresses.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/sign-in", get(show).post(sign_in)).route("/sign-out", post(sign_out))
}

async fn show(
    State(app): State<Arc<App>>,
    view: View,
    headers: HeaderMap,
    Query(query): Query,
) -> Result<Response, Problem> {
    // The form is bound to this browser; one that has the cookie keeps it, so that two open forms both work.
    let known = cookie::secret(&headers, cookie::GUEST);
    let secret = known.map_or_else(random::bytes::<32>, Ok)?;
    // A session that has ended must not be what the form is bound to.
    let had_session = cookie::secret(&headers, cookie::SESSION).is_some();
    let view = if had_session { view } else { view.with_guest(&secret) };
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
    let content = html! {
        section.narrow {
            h1 { (view.language.fill("sign-in.welcome", &[("host", &app.configuration.host)])) }
            @if let Some(problem) = problem {
                p.problem role="alert" { (text(problem)) }
            }
            form method="post" action="/sign-in" {
                (view.csrf())
                input type="hidden" name="next" value=(next);
                label for="account" { (text("sign-in.account")) }
                input id="account" name="account" type="email" required value=(account) autocomplete="username" autofocus[account.is_empty()];
                label for="password" { (text("sign-in.password")) }
                input id="password" name="password" type="password" required autocomplete="current-password" autofocus[!account.is_empty()];
                button { (text("sign-in.submit")) }
            }
        }
    };
    view.page_with_status(
        status,
        Page { title: text("sign-in.title").to_owned(), content, ..Page::default() },
    )
}

async fn sign_in(
    State(app): State<Arc<App>>,
    view: View,
    client: Client,
    headers: HeaderMap,
    Form(form): Form,
) -> Result<Response, Problem> {
    let account = form.text("account").trim().to_lowercase();
    let next = local(form.text("next"));
    let again = |status, problem| Ok(page(&app, &view, status, &account, next, Some(problem)));
    match app.backend.sign_in(&account, form.text("password"), None, client).await {
        Ok(tokens) => {
            let agent = headers.get(USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or_default();
            let secret = app.sessions.begin(&account, client, agent, tokens).await?;
            let mut response = Redirect::to(next).into_response();
            response.headers_mut().append(SET_COOKIE, cookie::set(cookie::SESSION, &secret, None));
            response.headers_mut().append(SET_COOKIE, cookie::removed(cookie::GUEST));
            Ok(response)
        }
        Err(SignInError::Refused | SignInError::CodeNeeded) => {
            again(StatusCode::FORBIDDEN, "sign-in.wrong")
        }
        Err(error @ SignInError::Away(_)) => {
            crate::journal::warning(&error.to_string());
            again(StatusCode::BAD_GATEWAY, "error.server-away")
        }
    }
}

async fn sign_out(session: Session, Form(_): Form) -> Result<Response, Problem> {
    session.app.sessions.end(session.id).await?;
    let mut response = Redirect::to("/sign-in").into_response();
    response.headers_mut().append(SET_COOKIE, cookie::removed(cookie::SESSION));
    // The back button shows no page of this session any more.
    response.headers_mut().insert("clear-site-data", http::HeaderValue::from_static("\"cache\""));
    Ok(response)
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
