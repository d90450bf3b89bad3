//! What the reader can choose.

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// The group's addresses, below `/settings`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
}
