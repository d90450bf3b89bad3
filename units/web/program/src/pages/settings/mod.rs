//! What the reader can choose.

mod away;
mod filters;
mod general;
mod raw;
mod rule;
mod scripts;
mod signature;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use maud::{Markup, html};

use crate::app::App;
use crate::layout::{Page, Section};
use crate::session::Session;

/// The group's addresses, below `/settings`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/settings", get(general::show).post(general::save))
        .route(
            "/settings/signature",
            get(signature::show).post(signature::save).layer(DefaultBodyLimit::disable()),
        )
        .route("/settings/filters", get(filters::show).post(filters::act))
        .route("/settings/filters/adopt", post(filters::adopt))
        .route("/settings/filters/rule", get(rule::show).post(rule::save))
        .route("/settings/filters/raw", get(raw::show).post(raw::save))
        .route("/settings/away", get(away::show).post(away::save))
}

/// The pages of the group; `here` is the address of this one.
fn tabs(session: &Session, here: &str) -> Markup {
    let pages = [
        ("/settings", "settings.general"),
        ("/settings/signature", "settings.signature"),
        ("/settings/filters", "settings.filters"),
        ("/settings/away", "settings.away"),
        ("/settings/filters/raw", "settings.raw"),
    ];
    html! {
        nav.tools aria-label=(session.text("settings.pages")) {
            @for (address, key) in pages {
                a.button.quiet href=(address) aria-current=[(address == here).then_some("page")] { (session.text(key)) } " "
            }
        }
    }
}

/// A page of the group.
fn page(
    session: &Session,
    here: &str,
    title: &'static str,
    content: &Markup,
) -> axum::response::Response {
    session.view.page(framed(session, here, title, content))
}

/// The same, for one that is answered in another way.
fn framed(session: &Session, here: &str, title: &'static str, content: &Markup) -> Page {
    Page {
        section: Some(Section::Settings),
        title: session.text(title).to_owned(),
        content: html! { h1 { (session.text(title)) } (tabs(session, here)) (content) },
        ..Page::default()
    }
}

/// What the last form did: its result or what was wrong with it.
fn said(session: &Session, done: &str, problem: Option<&str>) -> Markup {
    html! {
        @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
        @else if done == "saved" { p.done role="status" { (session.text("settings.saved")) } }
    }
}
