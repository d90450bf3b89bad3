//! What strangers wrote, in a document of its own: no script, no origin, no way to load anything but the images in the message.

use std::collections::BTreeMap;

use axum::response::{IntoResponse as _, Response};
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue};
use mailkiln_letter::html::{BODY_CLASS, Images, Policy, WARNING_CLASS};
use mailkiln_letter::reading::{self, Letter, Preference, Shown};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::message::{self, Message};
use super::pictures::{PATH, Pictures};
use super::place::Place;
use super::{pane, when};
use crate::app::App;
use crate::form::Query;
use crate::problem::Problem;
use crate::remote;
use crate::session::Session;

/// How the frame looks. In the document itself, as it may load nothing.
const STYLE: &str = "html{color-scheme:light;background:#fff;color:#1b1e23;font:16px/1.5 system-ui,sans-serif}\
    body{margin:1rem;overflow-wrap:break-word}img{max-width:100%;height:auto}pre,.mk-plain{white-space:pre-wrap}\
    blockquote{margin:.5rem 0;padding-left:.75rem;border-left:3px solid #b8bec7}\
    table.fields td{padding:0 .75rem .25rem 0;vertical-align:top}";

/// Images of one message.
struct Own<'a> {
    pictures: &'a Pictures,
    addresses: BTreeMap<String, String>,
    /// Whether the reader asked for images from elsewhere.
    remote: bool,
}

impl Images for Own<'_> {
    fn remote(&self, url: &str) -> Option<String> {
        if self.remote { remote::sign(url) } else { None }
    }

    fn inline(&self, content_id: &str) -> Option<String> {
        self.addresses.get(content_id).cloned()
    }

    fn is_ours(&self, url: &str) -> bool {
        url.strip_prefix(PATH).is_some_and(|token| self.pictures.get(token).is_some())
            || (self.remote && remote::is_ours(url))
    }
}

/// The body of a message, cleaned.
pub(super) fn shown(
    app: &App,
    letter: &Letter,
    message: &Message,
    preference: Preference,
    remote: bool,
) -> Shown {
    let mut addresses = BTreeMap::new();
    // Of a large message only the texts are at hand.
    let images = letter.parts.iter().filter(|part| part.is_image && message.structure.is_none());
    for part in images.take(50) {
        let Ok(bytes) = reading::content(&message.bytes, &part.id) else { continue };
        let Some(kind) = reading::inline_image_type(&bytes) else { continue };
        let key = part.content_id.clone().unwrap_or_else(|| format!("part:{}", part.id));
        addresses.extend(app.pictures.put(kind, bytes).map(|address| (key, address)));
    }
    let images = Own { pictures: &app.pictures, addresses, remote };
    let policy = Policy { images: &images, compose: Some("/compose?to="), quoting: false };
    reading::show(letter, preference, &policy)
}

/// GET `/mail/body`: the frame; with `print` the fields above it, for paper.
pub(super) async fn show(session: Session, Query(query): Query) -> Result<Response, Problem> {
    let place = Place::read(&query);
    let uid = place.message.ok_or(Problem::BadRequest)?;
    let mut mailbox = session.app.mailboxes.open(&session).await?;
    let message = message::open(&mut mailbox, &place.folder, uid).await?;
    drop(mailbox);
    let letter = reading::read(&message.bytes);
    let preference = if query.text("as") == "text" { Preference::Text } else { Preference::Html };
    let shown = shown(&session.app, &letter, &message, preference, query.text("images") == "1");
    let print = query.text("print") == "1";
    let fields = if print {
        fields(&session, &letter, &message)
    } else {
        html! {}
    };
    let warning = format!(".{WARNING_CLASS}{{color:#8c1d18;font-size:.875em}}");
    let document = html! {
        (DOCTYPE)
        html lang=(session.view.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (letter.headers.subject) }
                style { (PreEscaped(STYLE)) (PreEscaped(&warning)) (PreEscaped(&shown.style)) }
                base target="_blank";
            }
            body {
                (fields)
                main class=(BODY_CLASS) { (PreEscaped(&shown.body)) }
            }
        }
    };
    let mut response = document.into_string().into_response();
    isolate(response.headers_mut(), &session.app, print);
    Ok(response)
}

/// The headers that make a document harmless, whatever is in it.
fn isolate(headers: &mut HeaderMap, app: &App, print: bool) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let modals = if print { " allow-modals" } else { "" };
    let policy = format!(
        "default-src 'none'; img-src {0}{PATH} {0}{1} data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; \
         frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox{modals}",
        app.configuration.origin(),
        remote::PATH
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

fn fields(session: &Session, letter: &Letter, message: &Message) -> Markup {
    let text = |key: &str| session.text(key);
    html! {
        h1 { (pane::subject(session, letter)) }
        table.fields {
            @for (key, people) in pane::people(letter) {
                @if !people.is_empty() { tr { td { (text(key)) } td { (pane::plain(people)) } } }
            }
            tr { td { (text("mail.date")) } td { (when::long(&session.view, letter.headers.date.or(message.row.received).unwrap_or(0))) } }
        }
        hr;
    }
}

/// GET `/mail/picture/{token}`: an image of a message, for its frame, which has no cookie.
pub(super) async fn picture(
    axum::extract::State(app): axum::extract::State<std::sync::Arc<App>>,
    axum::extract::Path(token): axum::extract::Path<String>,
) -> Result<Response, Problem> {
    let (kind, bytes) = app.pictures.get(&token).ok_or(Problem::NotFound)?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    // The frame's origin is none, and so not ours.
    let anyone = HeaderValue::from_static("cross-origin");
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), anyone);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=300"));
    Ok(response)
}
