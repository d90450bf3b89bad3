//! A NixOS system with all that it needs, from a local store or from binary caches.
//!
//! In: the path of a system, and where its store paths are. Out: a [`Closure`], whose every store path was hashed (a local
//! store) or checked against signed records (caches), its contents one by one, and the [`System`] in it: kernel, initrd,
//! command line. Nothing of it is executed. See README.md.

mod boot;
mod cache;
mod closure;
mod error;
mod local;
mod parallel;
mod system;

#[cfg(test)]
mod cache_tests;
#[cfg(test)]
mod tests;

pub use boot::{BootEntry, Loader};
pub use cache::Caches;
pub use closure::{Closure, Object, Visit};
pub use error::{ClosureError, SystemError};
pub use local::{LocalStore, in_store};
pub use system::{BootFile, System};

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    /// Reads `bytes` as `boot.json` of a system.
    pub fn boot_json(bytes: &[u8]) {
        let _ = crate::system::parse_boot_json(bytes);
    }
}
