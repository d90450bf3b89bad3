//! The seed: what the owner of the appliance has chosen, so that it need not be made up here.
//!
//! In: the bytes of the place on the boot partition (docs/internals/contracts.md). Out: a [`Seed`]
//! that is right as a whole, or the reason why it is not; and the files that follow from it.
//! Nothing here shows a secret, in `Debug` or in an error.

mod file;
pub mod network;
pub mod wifi;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::appliance::{Address, Appliance, DomainName};
use crate::dkim::Algorithm;
use network::Network;
use wifi::Wifi;

pub(crate) use file::fuzz;
pub use file::{NONE, parse};

/// What the owner has chosen. What is missing, the device makes.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The host name of the appliance that it is for.
    pub host: DomainName,
    /// Hash of the administrator's password.
    pub admin: Option<String>,
    /// Hashes of accounts' first passwords.
    pub accounts: BTreeMap<Address, String>,
    /// DKIM keys by domain.
    pub dkim: BTreeMap<DomainName, DkimKeys>,
    /// Key of the account with the authority that gives certificates, PKCS#8 PEM.
    pub acme_account_key: Option<String>,
    /// Key of external account binding, base64.
    pub acme_eab_key: Option<String>,
    /// TSIG key of the name server, or the words that a DNS company asks for.
    pub acme_dns_key: Option<String>,
    /// Remote shells.
    pub ssh: Ssh,
    /// Wireless networks.
    pub wifi: Vec<Wifi>,
    /// Static addresses, in place of what `mail.toml` says.
    pub network: Option<Network>,
}

/// The keys that a domain signs with, PKCS#8 PEM.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkimKeys {
    rsa: String,
    ed25519: String,
}

/// Remote shells.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// Lines of `authorized_keys`, beside those of `mail.toml`.
    pub keys: Vec<String>,
    /// The device's Ed25519 key, in OpenSSH's format.
    pub host_key: Option<String>,
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed of {}", self.host)
    }
}

impl fmt::Debug for DkimKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DkimKeys")
    }
}

impl fmt::Debug for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ssh")
    }
}

/// Why a seed is not used. None of it is: a half that works hides the other one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Other bytes, or not all of them.
    #[error("it is damaged ({0}): apply it again, with `mailkiln seed apply`")]
    Damaged(&'static str),
    /// A format of another time.
    #[error(
        "its format is not this image's: apply it with the mailkiln that the image was built with"
    )]
    Version,
    /// The document has another shape.
    #[error(
        "its document makes no sense at column {0}: apply it again, with `mailkiln seed apply`"
    )]
    Document(usize),
    /// Something in it can't be used.
    #[error("{0} in it can't be used: make it anew, with `mailkiln seed new`")]
    Value(&'static str),
    /// It is for another machine.
    #[error("it is for {seed}, and this is {host}")]
    Host {
        /// The seed's host name.
        seed: String,
        /// This machine's.
        host: String,
    },
}

impl Seed {
    /// The key of `domain` for an algorithm.
    pub fn dkim_key(&self, algorithm: Algorithm, domain: &DomainName) -> Option<&str> {
        let keys = self.dkim.get(domain)?;
        Some(match algorithm {
            Algorithm::Rsa => &keys.rsa,
            Algorithm::Ed25519 => &keys.ed25519,
        })
    }

    /// Whether it is for this appliance.
    ///
    /// # Errors
    /// [`SeedError::Host`].
    pub fn is_for(&self, appliance: &Appliance) -> Result<(), SeedError> {
        if self.host == appliance.host {
            return Ok(());
        }
        Err(SeedError::Host { seed: self.host.to_string(), host: appliance.host.to_string() })
    }

    /// Judges everything that the types do not.
    fn check(self) -> Result<Self, SeedError> {
        let sound = |fine: bool, what| if fine { Ok(()) } else { Err(SeedError::Value(what)) };
        let hashes = self.admin.iter().chain(self.accounts.values());
        sound(hashes.into_iter().all(|hash| is_hash(hash)), "the hash of a password")?;
        for keys in self.dkim.values() {
            sound(Algorithm::Rsa.record(&keys.rsa).is_ok(), "an RSA key for DKIM")?;
            sound(Algorithm::Ed25519.record(&keys.ed25519).is_ok(), "an Ed25519 key for DKIM")?;
        }
        let acme = self.acme_account_key.iter();
        sound(acme.into_iter().all(|pem| is_pem(pem, "PRIVATE KEY")), "the ACME account's key")?;
        sound(self.acme_eab_key.iter().all(|key| is_base64(key)), "a key for certificates")?;
        sound(self.acme_dns_key.iter().all(|key| is_words(key)), "a key for certificates")?;
        sound(self.ssh.keys.iter().all(|line| is_ssh_key(line)), "an SSH key")?;
        let host_key = self.ssh.host_key.iter();
        sound(
            host_key.into_iter().all(|pem| is_pem(pem, "OPENSSH PRIVATE KEY")),
            "the SSH host key",
        )?;
        sound(self.wifi.iter().all(Wifi::is_sound), "a wireless network")?;
        sound(self.network.iter().all(Network::is_sound), "the static network")?;
        Ok(self)
    }
}

/// SHA-512 crypt, as the mail server checks it: crypt(5).
fn is_hash(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"./$=".contains(&b);
    text.starts_with("$6$") && (90..=130).contains(&text.len()) && text.bytes().all(plain)
}

/// A line without options: they could start a program for whoever logs in.
pub(crate) fn is_ssh_key(line: &str) -> bool {
    let kinds = ["ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
    line.len() < 8192
        && !line.chars().any(char::is_control)
        && kinds.iter().any(|kind| line.starts_with(kind))
}

/// A key as authorities show it: base64 or base64url, padded or not.
fn is_base64(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b);
    (16..=1026).contains(&text.len()) && text.bytes().all(plain)
}

/// A key as name servers and companies show it, in one line.
fn is_words(text: &str) -> bool {
    (16..=1026).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// One block of PEM (RFC 7468) with a label.
fn is_pem(text: &str, label: &str) -> bool {
    let body = text
        .trim_end()
        .strip_prefix(&format!("-----BEGIN {label}-----\n"))
        .and_then(|text| text.strip_suffix(&format!("-----END {label}-----")));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/=\n".contains(&b);
    body.is_some_and(|body| !body.is_empty() && body.bytes().all(plain))
}

#[cfg(test)]
pub(crate) mod tests;
