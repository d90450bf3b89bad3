//! Folders, lists of messages, reading, search, flags.

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// The group's addresses, below `/mail`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
}
