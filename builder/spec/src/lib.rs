//! `mail.toml` and target files: parsed, checked, explained.

mod model;

pub use model::*;
