//! What an image says of itself, and whether a seed is for it.
//!
//! In: the image's `/etc/mailkiln/appliance.json`. Out: why a seed would not do there what its
//! owner expects, if so.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::Seed;

/// What of `appliance.json` a seed must fit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Facts {
    host: String,
    domains: Vec<Domain>,
    accounts: Vec<Account>,
    #[serde(default)]
    ssh: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Domain {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Account {
    address: String,
}

/// A seed is not for an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Another machine's.
    #[error(
        "the seed is for {seed}, and the image for {image}: take the other folder, or the other image"
    )]
    Host {
        /// The seed's host name.
        seed: String,
        /// The image's.
        image: String,
    },
    /// Keys that nothing would sign with.
    #[error(
        "the seed has DKIM keys of {0}, and the image no such domain: remove them from the folder, \
         or build the image from the mail.toml that has it"
    )]
    StrangeDomain(String),
    /// Published records would not be complete.
    #[error(
        "the image has the domain {0}, and the seed no DKIM keys for it: make the seed anew \
         (`mailkiln seed new`), or remove the folder dkim, and the device makes all of them"
    )]
    DomainWithoutKeys(String),
    /// A password that nobody would use.
    #[error(
        "the seed has a password for {0}, and the image no such account: correct the address in \
         seed.toml"
    )]
    StrangeAccount(String),
    /// Nobody listens.
    #[error(
        "the seed has SSH keys, and the image no SSH server: add [ssh] to mail.toml and build again, \
         or take [ssh] and ssh_host_ed25519_key out of the seed"
    )]
    NoSsh,
}

impl Facts {
    /// Reads the text of an `appliance.json`; `None` when it is something else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether `seed` is for this image.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn fit(&self, seed: &Seed) -> Result<(), Misfit> {
        let host = seed.host.as_str();
        if host != self.host {
            return Err(Misfit::Host { seed: host.to_owned(), image: self.host.clone() });
        }
        let domains: BTreeSet<&str> = self.domains.iter().map(|it| it.name.as_str()).collect();
        let keys: BTreeSet<&str> = seed.dkim.keys().map(|domain| domain.as_str()).collect();
        if let Some(domain) = keys.difference(&domains).next() {
            return Err(Misfit::StrangeDomain((*domain).to_owned()));
        }
        // A seed without any leaves all of them to the device.
        if let Some(domain) = domains.difference(&keys).next().filter(|_| !keys.is_empty()) {
            return Err(Misfit::DomainWithoutKeys((*domain).to_owned()));
        }
        let has = |address: &str| self.accounts.iter().any(|it| it.address == address);
        let mut accounts = seed.accounts.keys().map(ToString::to_string);
        if let Some(stranger) = accounts.find(|address| !has(address)) {
            return Err(Misfit::StrangeAccount(stranger));
        }
        let has_ssh = !seed.ssh.keys.is_empty() || seed.ssh.host_key.is_some();
        if has_ssh && !self.ssh { Err(Misfit::NoSsh) } else { Ok(()) }
    }
}
