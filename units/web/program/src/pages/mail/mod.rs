//! Folders, lists of messages, reading, search, flags.
//!
//! `place` is an address, `query` a search, `listing` finds the messages of a page and `row` reads them; `show` puts `folders`,
//! `list` and `pane` together. `message` opens one, `body` shows what strangers wrote in a frame of its own, `parts` hands out
//! files. `actions` are what forms do; `events` tells a page what changed.
//!
//! Messages are named by `f`, the folder as the server writes it, and `m`, the UID: `/mail?f=INBOX&m=7`. These pages link to
//! `/compose?WAY=UID&f=FOLDER`, where WAY is `reply`, `reply-all`, `forward` or `draft`, and to `/compose?to=ADDRESS&subject=TEXT`.
//! They read the preferences `time-zone` (a name of the tz database; UTC without it), `mail-grouped` (`1`: by conversation) and
//! `mail-mark-read` (`manual`: opening does not mark as read).

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
