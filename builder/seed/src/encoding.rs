//! The one file that goes onto the card.
//!
//! In: a [`Seed`]. Out: 16 bytes that name format and version, the length of what follows (32 bits,
//! little-endian), its SHA-256, and one JSON document (`docs/internals/contracts.md`); then zeros
//! to the end of the room. `units/agent/src/seed/file.rs` reads it.

use std::collections::BTreeMap;

use mailkiln_pin::Sha256;
use serde::Serialize;

use crate::{Secret, Seed, SeedError};

/// Format and version.
const MAGIC: &[u8; 16] = b"MAILKILN-SEED-01";

#[derive(Serialize)]
struct Document<'a> {
    host: &'a str,
    admin: Option<&'a str>,
    accounts: BTreeMap<String, &'a str>,
    dkim: BTreeMap<&'a str, DkimKeys<'a>>,
    acme_account_key: Option<&'a str>,
    acme_eab_key: Option<&'a str>,
    acme_dns_key: Option<&'a str>,
    ssh: Ssh<'a>,
    wifi: Vec<Wifi<'a>>,
    network: Option<Network<'a>>,
}

#[derive(Serialize)]
struct DkimKeys<'a> {
    rsa: &'a str,
    ed25519: &'a str,
}

#[derive(Serialize)]
struct Ssh<'a> {
    keys: &'a [String],
    host_key: Option<&'a str>,
}

#[derive(Serialize)]
struct Wifi<'a> {
    name: &'a str,
    password: Option<&'a str>,
}

#[derive(Serialize)]
struct Network<'a> {
    interface: &'a str,
    addresses: Vec<String>,
    gateways: Vec<String>,
    resolvers: Vec<String>,
}

impl Seed {
    /// The file: `room` bytes, the same ones for the same seed.
    ///
    /// # Errors
    /// [`SeedError::TooLarge`] when it needs more.
    pub fn encode(&self, room: u64) -> Result<Vec<u8>, SeedError> {
        // Texts and maps of texts always serialize.
        let json = serde_json::to_vec(&self.document()).unwrap_or_default();
        let mut file = MAGIC.to_vec();
        // A longer one has no room anyway.
        file.extend(u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
        file.extend(Sha256::of(&json).as_bytes());
        file.extend(json);
        let size = file.len() as u64;
        if size > room {
            return Err(SeedError::TooLarge { size, room });
        }
        file.resize(room as usize, 0);
        Ok(file)
    }

    fn document(&self) -> Document<'_> {
        let dkim = self.dkim.iter().map(|(domain, keys)| {
            let keys = DkimKeys { rsa: keys.rsa.expose(), ed25519: keys.ed25519.expose() };
            (domain.as_str(), keys)
        });
        let wifi = self.wifi.iter().map(|wifi| Wifi {
            name: &wifi.name,
            password: wifi.password.as_ref().map(Secret::expose),
        });
        let accounts = self.accounts.iter();
        Document {
            host: self.host.as_str(),
            admin: self.admin.as_ref().map(Secret::expose),
            accounts: accounts.map(|(it, hash)| (it.to_string(), hash.expose())).collect(),
            dkim: dkim.collect(),
            acme_account_key: self.acme_account_key.as_ref().map(Secret::expose),
            acme_eab_key: self.acme.eab_key.as_ref().map(Secret::expose),
            acme_dns_key: self.acme.dns_key.as_ref().map(Secret::expose),
            ssh: Ssh {
                keys: &self.ssh.keys,
                host_key: self.ssh.host_key.as_ref().map(Secret::expose),
            },
            wifi: wifi.collect(),
            network: self.network.as_ref().map(network),
        }
    }
}

fn network(network: &mailkiln_spec::Network) -> Network<'_> {
    Network {
        interface: &network.interface,
        addresses: network.addresses.iter().map(ToString::to_string).collect(),
        gateways: network.gateways.iter().map(ToString::to_string).collect(),
        resolvers: network.resolvers.iter().map(ToString::to_string).collect(),
    }
}
