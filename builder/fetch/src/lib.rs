//! The content-addressed cache and the downloads that fill it.
//!
//! In: pins, and addresses of mirrors. Out: paths of files whose size and SHA-256 are those of the
//! pin. Where a file came from does not matter: nothing enters the cache unless it hashes right.

mod cache;
mod derived;
mod error;
mod incoming;
mod progress;
mod prune;

pub use cache::Cache;
pub use error::CacheError;
pub use incoming::Incoming;
pub use progress::{Progress, Silent};
pub use prune::{Item, ItemKind, Pruned, Rules};
