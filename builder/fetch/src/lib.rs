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

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    /// Reads `bytes` as a file of apt's sources, in both formats.
    pub fn apt_sources(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let found = crate::parse_one_line_sources(&text);
        let found = found.into_iter().chain(crate::parse_deb822_sources(&text).unwrap_or_default());
        for (_, base) in found {
            let again = crate::Base::parse(base.join("").trim_end_matches('/'));
            assert!(again.is_ok_and(|again| again == base), "an address reads as it was written");
        }
    }
}
