//! The content-addressed cache and the downloads that fill it.
//!
//! In: pins, and addresses of mirrors. Out: paths of files whose size and SHA-256 are those of the
//! pin. Where a file came from does not matter: nothing enters the cache unless it hashes right.

mod apt;
mod cache;
mod derived;
mod download;
mod error;
mod incoming;
mod mirror;
mod progress;
mod prune;
mod transport;

pub use apt::{parse_deb822_sources, parse_one_line_sources, read_apt_sources};
pub use cache::Cache;
pub use download::{Fetcher, Wanted};
pub use error::{CacheError, FetchError};
pub use incoming::Incoming;
pub use mirror::{Base, MirrorError, Mirrors};
pub use progress::{Progress, Silent};
pub use prune::{Item, ItemKind, Pruned, Rules};
