//! A second factor: set up with a picture and a first code, removed with password and code.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, PreEscaped, html};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde_json::json;

use super::{Owner, Unchanged, answer, outcome, overview, owner_fields};
use crate::form::Form;
use crate::problem::Problem;
use crate::session::Session;
use crate::session::code::{self, Secret};

/// What waits to be confirmed.
const PENDING: &str = "second factor";

/// What the overview says about it.
pub(super) fn section(session: &Session, on: bool, left: u64) -> Markup {
    html! {
        @if on {
            p { (session.text("account.factor-on")) " " (session.view.language.count("account.factor-left", left)) }
            (overview::form(session, "/account/second-factor/stop", "factor", true, &html! {}, "account.factor-stop"))
        } @else {
            p { (session.text("account.factor-off")) }
            form method="post" action="/account/second-factor/start" {
                (session.view.csrf())
                button { (session.text("account.factor-start")) }
            }
        }
    }
}

/// `POST /account/second-factor/start`: a new key, not in force yet.
pub(super) async fn start(session: Session, Form(_): Form) -> Result<Response, Problem> {
    if overview::state(&session).await?.second_factor {
        return Err(Problem::Forbidden);
    }
    let secret = Secret::generate()?;
    let value = url(&session, &secret);
    session.app.pending.put(&session.browser(), PENDING, secret.as_bytes())?;
    Ok(scan_page(&session, StatusCode::OK, &secret, &value, None))
}

fn url(session: &Session, secret: &Secret) -> String {
    secret.url(&session.app.configuration.host, &session.account)
}

fn scan_page(
    session: &Session,
    status: StatusCode,
    secret: &Secret,
    url: &str,
    problem: Option<&str>,
) -> Response {
    let key: Vec<String> = secret
        .base32()
        .as_bytes()
        .chunks(4)
        .map(|it| String::from_utf8_lossy(it).into_owned())
        .collect();
    let content = html! {
        h1 { (session.text("account.factor-start")) }
        @if let Some(problem) = problem {
            p.problem role="alert" { (session.text(problem)) }
        }
        p { (session.text("account.factor-scan")) }
        div.picture role="img" aria-label=(session.text("account.factor-picture")) { (picture(url)) }
        p { (session.text("account.factor-key")) ": " span.code { (key.join(" ")) } }
        form.narrow-form method="post" action="/account/second-factor/confirm" {
            (owner_fields(session, "factor", true))
            button { (session.text("account.factor-confirm")) }
        }
    };
    answer(session, status, content)
}

/// A QR code of `text`, as a picture in the page.
fn picture(text: &str) -> Markup {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return html! {} };
    let picture = code.render::<svg::Color<'_>>().min_dimensions(220, 220).build();
    let picture = picture.find("<svg").and_then(|start| picture.get(start..));
    PreEscaped(picture.unwrap_or_default().to_owned())
}

/// `POST /account/second-factor/confirm`: in force, once a code shows that the app has the key.
pub(super) async fn confirm(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let waiting = session.app.pending.try_take(&session.browser(), PENDING);
    let Some(secret) = waiting.and_then(|value| Secret::from_bytes(&value)) else {
        return super::refusal(&session, "account.factor-late").await;
    };
    let url = url(&session, &secret);
    let Owner { password, code } = Owner::of(&form);
    let Some(code) = code.filter(|code| secret.accepts(code)) else {
        let problem = Some("account.factor-code-wrong");
        return Ok(scan_page(&session, StatusCode::FORBIDDEN, &secret, &url, problem));
    };
    // There is no second factor yet: the server takes the password alone.
    let owner = Owner { password, code: None };
    let changes = json!([{ "type": "enableOtpAuth", "url": url }]);
    match owner.change(&session, &changes, "has a second factor").await {
        Ok(()) => {}
        Err(Unchanged::Wrong) => {
            let problem = Some("account.wrong");
            return Ok(scan_page(&session, StatusCode::FORBIDDEN, &secret, &url, problem));
        }
        Err(Unchanged::Problem(problem)) => return Err(problem),
    }
    session.app.pending.remove(&session.browser(), PENDING);
    code::take(&session.app.database, &session.account, &code).await?;
    session.app.sessions.end_others(&session.account, Some(session.id)).await?;
    let recovery = code::make_recovery(&session.app.database, &session.account, &secret).await?;
    let content = html! {
        h1 { (session.text("account.factor-done")) }
        p { (session.text("account.factor-recovery")) }
        ul.codes { @for code in recovery { li.code { (code) } } }
        p { a.button href="/account" { (session.text("account.title")) } }
    };
    let mut response = answer(&session, StatusCode::OK, content);
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `POST /account/second-factor/stop`.
pub(super) async fn stop(session: Session, Form(form): Form) -> Result<Response, Problem> {
    let owner = Owner::of(&form);
    let changes = json!([{ "type": "disableOtpAuth", "url": null }]);
    let changed = owner.change(&session, &changes, "has no second factor any more").await;
    if changed.is_ok() {
        code::forget_recovery(&session.app.database, &session.account).await?;
    }
    outcome(&session, changed.map(|()| "account.factor-removed")).await
}
