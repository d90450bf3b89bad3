//! What holds for every answer: security headers, forms only from our own pages, error pages, a line in the log.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use maud::html;

use crate::app::App;
use crate::client::Client;
use crate::journal;
use crate::layout::{Page, View};
use crate::problem::Problem;

/// What pages may load and do, with images from these places and these makers of trusted HTML.
macro_rules! policy {
    ($images:literal, $types:literal) => {
        concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src ",
            $images,
            "; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; ",
            "require-trusted-types-for 'script'; trusted-types ",
            $types
        )
    };
}

/// Of our pages. A page with foreign contents brings a policy of its own, and a frame.
const POLICY: &str = policy!("'self'", "mk");
/// Of the page to write on: there DOMPurify cleans what is pasted, and images are shown before they are stored.
pub(crate) const WRITING: &str = policy!("'self' blob: data:", "mk dompurify");

/// Headers of every answer that does not bring its own.
static HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// Adds [`HEADERS`], and over TLS the promise to stay there.
pub(crate) async fn headers(
    State(app): State<Arc<App>>,
    client: Client,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    harden(response.headers_mut());
    if client.secure {
        promise_tls(&app, response.headers_mut());
    }
    response
}

/// Adds what is missing of [`HEADERS`].
pub(crate) fn harden(headers: &mut HeaderMap) {
    for (name, value) in &HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// HSTS (RFC 6797).
pub(crate) fn promise_tls(app: &App, headers: &mut HeaderMap) {
    let seconds = app.configuration.hsts_seconds;
    if seconds > 0
        && let Ok(value) = HeaderValue::try_from(format!("max-age={seconds}"))
    {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// Refuses what another site makes a browser send. Every browser of today says where a request comes from; with
/// the field in forms this makes two proofs, and this one no handler can forget.
pub(crate) async fn own_pages_only(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || is_from_us(&app, request.headers()) {
        return next.run(request).await;
    }
    Problem::ForeignForm.into_response()
}

fn is_from_us(app: &App, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin == app.configuration.origin(),
        // Not a browser: it has no cookies that somebody else could use.
        (None, None) => true,
    }
}

/// Turns a [`Problem`], or what axum itself refuses, into a page.
pub(crate) async fn error_pages(request: Request, next: Next) -> Response {
    let view = View::of_guest(request.headers());
    let wants_page = wants_page(request.headers());
    let response = next.run(request).await;
    let problem = response.extensions().get::<Problem>().copied();
    let problem = problem.or(match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => Some(Problem::MethodNotAllowed),
        StatusCode::BAD_REQUEST if is_plain(&response) => Some(Problem::BadRequest),
        _ => None,
    });
    let Some(problem) = problem else { return response };
    let text = view.language.text(problem.key());
    let mut page = if wants_page {
        let title = view.language.text("error.title").to_owned();
        let content = html! {
            h1 { (title) }
            p { (text) }
            p { a href="/" { (view.language.text("error.back")) } }
        };
        view.page_with_status(problem.status(), Page { title, content, ..Page::default() })
    } else {
        (problem.status(), text).into_response()
    };
    for name in [header::RETRY_AFTER, header::ALLOW, header::SET_COOKIE] {
        if let Some(value) = response.headers().get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn is_plain(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// Writes one line for each request: who, what, how it ended, how long it took. The pattern of the path instead of the path, and no
/// query: folders, searches and signed addresses are the reader's.
pub(crate) async fn access_log(client: Client, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let pattern = request.extensions().get::<MatchedPath>();
    let path = pattern.map_or_else(|| "(other)".to_owned(), |it| it.as_str().to_owned());
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), begin.elapsed().as_millis());
    journal::access(&format!("{} {method} {path} {status} {took} ms", client.address));
    response
}
