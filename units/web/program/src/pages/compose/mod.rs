//! Writing: drafts, attachments, answers, sending.
//!
//! What is written lies as a draft in the account's own Drafts, attachments in it, and nowhere else: a page that is closed or a
//! browser that dies loses nothing that was saved. Every button saves first. Everything works without a script.

mod draft;
pub(crate) mod editor;
mod format;
mod page;
mod pictures;
mod place;
mod queue;
mod save;
mod start;
mod templates;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) use draft::{FORMAT, identities, prefers_rich};
pub(crate) use upload::Upload;

/// The group's addresses, below `/compose`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        // `upload` has the limit of the configuration.
        .route("/compose", get(start::show).post(save::act).layer(DefaultBodyLimit::disable()))
        .route("/compose/format", post(format::change).layer(DefaultBodyLimit::disable()))
        .route("/compose/image/{uid}/{id}", get(pictures::show))
        .route("/compose/templates", get(templates::show).post(templates::act))
        .route("/compose/templates/image/{uid}/{id}", get(pictures::show_of_template))
        .route("/compose/outbox", get(queue::show))
        .route("/compose/outbox/stop", post(queue::stop))
        .route("/compose/snooze", post(queue::snooze))
}
