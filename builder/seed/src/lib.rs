//! What an appliance shall not make up itself: keys, password hashes, the way to the network.
//!
//! In: a checked `mail.toml`, or the files of a folder that was made from one. Out: a [`Seed`], the
//! files of its folder, the DKIM records to publish, and the bytes that go onto a card. Pure but for
//! the kernel's random numbers: no file system, no clock. No secret is in a `Debug` or an error.

mod account_key;
mod dkim;
mod document;
mod encoding;
mod error;
mod facts;
mod folder;
mod host_key;
mod make;
mod password;
mod seed;

pub use dkim::DkimKeys;
pub use error::SeedError;
pub use facts::{Facts, Misfit};
pub use folder::{ACME_ACCOUNT_KEY, DKIM, DOCUMENT, HOST_KEY};
pub use make::make;
pub use password::{Passwords, generate as generate_password};
pub use seed::{Acme, Secret, Seed, Ssh, Wifi};

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use std::collections::BTreeMap;

    use crate::{Facts, Passwords, Seed};

    /// Reads `bytes` as a `seed.toml`; what it says is written as it was read.
    pub fn seed_toml(bytes: &[u8]) {
        let files = BTreeMap::from([("seed.toml".to_owned(), bytes.to_vec())]);
        if let Ok(seed) = Seed::from_files(&files) {
            let _ = seed.encode(1 << 18);
            assert_eq!(Seed::from_files(&seed.to_files()).ok(), Some(seed));
        }
    }

    /// Reads `bytes` as a list of passwords, and as what an image says of itself.
    pub fn seed_inputs(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let _ = Passwords::parse(&text);
        let _ = Facts::parse(bytes);
    }
}
