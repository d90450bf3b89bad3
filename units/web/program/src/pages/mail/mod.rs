//! Folders, lists of messages, reading, search, flags.
//!
//! `place` is an address, `query` a search, `listing` finds the messages of a page and `row` reads them; `show` puts `folders`,
//! `list` and `pane` together. `message` opens one, `body` shows what strangers wrote in a frame of its own, `parts` hands out
//! files. `actions` are what forms do; `events` tells a page what changed.

mod actions;
mod body;
mod conversation;
mod events;
mod folders;
mod keys;
mod list;
mod listing;
mod message;
mod pane;
mod parts;
mod pictures;
mod place;
mod query;
mod row;
mod show;
#[cfg(test)]
mod tests;
mod when;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) use message::Last;
pub(crate) use pictures::Pictures;

/// The group's addresses, below `/mail`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/mail", get(show::show))
        .route("/mail/do", post(actions::act))
        .route("/mail/undo", post(actions::undo))
        .route("/mail/body", get(body::show))
        .route("/mail/picture/{token}", get(body::picture))
        .route("/mail/part", get(parts::part))
        .route("/mail/source", get(parts::source))
        .route("/mail/headers", get(parts::headers))
        .route("/mail/conversation", get(conversation::show))
        .route("/mail/folders", get(folders::manage).post(folders::change))
        .route("/mail/keys", get(keys::show))
        .route("/mail/events", get(events::events))
}
