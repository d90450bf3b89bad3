//! The pages. Each group is a module with `pub(crate) fn routes() -> Router<Arc<App>>`, merged in `router`.

pub(crate) mod account;
pub(crate) mod compose;
pub(crate) mod mail;
pub(crate) mod settings;
pub(crate) mod sign_in;
