//! The seed as a value.

use std::collections::BTreeMap;
use std::fmt;

use mailkiln_spec::{Address, DomainName, Network};

use crate::dkim::DkimKeys;

/// A text that is never shown: a private key, a hash, the password of a wireless network.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever writes it to where it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What an appliance shall not make up itself. What is not there, the device makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The host name of the appliance that it is for.
    pub host: DomainName,
    /// Hash of the administrator's password (crypt(5), SHA-512).
    pub admin: Option<Secret>,
    /// Hashes of accounts' first passwords.
    pub accounts: BTreeMap<Address, Secret>,
    /// DKIM keys by domain.
    pub dkim: BTreeMap<DomainName, DkimKeys>,
    /// Key of the account with the authority that gives certificates: P-256, PKCS#8 PEM.
    pub acme_account_key: Option<Secret>,
    /// Keys that others gave for getting certificates.
    pub acme: Acme,
    /// Remote shells.
    pub ssh: Ssh,
    /// Wireless networks.
    pub wifi: Vec<Wifi>,
    /// Static addresses, in place of what `mail.toml` says.
    pub network: Option<Network>,
}

/// Keys that others gave for getting certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acme {
    /// Of external account binding, from the authority, in base64: the one of `acme.eab_key_id`.
    pub eab_key: Option<Secret>,
    /// Of whoever `acme.dns_provider` names: TSIG key in base64, or what a company's interface asks for.
    pub dns_key: Option<Secret>,
}

/// Remote shells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssh {
    /// Lines of `authorized_keys`, beside those of `mail.toml`.
    pub keys: Vec<String>,
    /// The device's Ed25519 key, in OpenSSH's format.
    pub host_key: Option<Secret>,
}

/// A wireless network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wifi {
    /// Its name: the SSID, 1 to 32 bytes.
    pub name: String,
    /// Its password, 8 to 63 printable characters; none where it is open.
    pub password: Option<Secret>,
}
