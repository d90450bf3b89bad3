//!  compose, drafts, attachments, outbox.

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// The group's addresses, below `/compose`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
}
