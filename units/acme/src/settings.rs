//! `/etc/mailkiln/acme.json`: what `mail.toml` says about certificates. No secret.
//!
//! In: the file's text, written by the builder (docs/internals/contracts.md). Out: [`Settings`]
//! with names that are safe as parts of paths and of protocol messages.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What certificate is wanted, from whom, and how control over the names is proved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The machine's own name: the certificate's folder is called so, and without it there is none.
    pub host: Name,
    /// All names that the host's certificate shall have, the host among them.
    pub names: Vec<Name>,
    /// Further certificates: one for each domain that the host does not lie in.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// URL of the authority's directory (RFC 8555 section 7.1.1).
    pub directory: String,
    /// Whom the authority may write to: `mailto:` URLs.
    #[serde(default)]
    pub contact: Vec<String>,
    /// Kind of the certificate's key.
    #[serde(default)]
    pub key: KeyKind,
    /// Which of the authority's profiles is asked for, such as `shortlived`.
    #[serde(default)]
    pub profile: Option<String>,
    /// Identifier of the account that an authority wants this one bound to (RFC 8555 section 7.3.4);
    /// the key to it is a credential.
    #[serde(default)]
    pub eab_key_id: Option<String>,
    /// PEM file of roots that the authority's own server is trusted by, instead of the system's.
    #[serde(default)]
    pub roots: Option<PathBuf>,
    /// How control over the names is proved.
    pub challenge: Challenge,
    /// Whether a renewal keeps the key, so that TLSA records stay right.
    #[serde(default = "yes")]
    pub keep_key: bool,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// What its folder is called.
    pub name: Name,
    /// Names that it shall have.
    pub names: Vec<Name>,
    /// Names that it may have for now without being ordered anew.
    #[serde(skip)]
    pub tolerated: BTreeSet<String>,
}

const fn yes() -> bool {
    true
}

/// Kind of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    /// ECDSA on the curve P-256.
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// RSA of 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA of 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// How control over the names is proved (RFC 8555 section 8, RFC 8737).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Challenge {
    /// An answer over HTTP.
    #[serde(rename = "http-01")]
    Http01 {
        /// Where to listen, unless somebody else does already.
        listen: SocketAddr,
        /// Whether another service of the appliance serves the answers: then nothing listens here.
        #[serde(default)]
        served: bool,
    },
    /// A certificate of a special kind in a TLS handshake.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01 {
        /// Where to listen.
        listen: SocketAddr,
    },
    /// A record in the DNS.
    #[serde(rename = "dns-01")]
    Dns01 {
        /// Who puts it there.
        provider: Provider,
        /// Seconds until all of the zone's name servers have it.
        wait: u32,
    },
}

/// Who puts records into the DNS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Provider {
    /// A name server that takes updates (RFC 2136), signed with a shared key (RFC 8945).
    #[serde(rename = "rfc2136")]
    Rfc2136 {
        /// The primary name server.
        server: SocketAddr,
        /// Name of the key; the key itself is a credential.
        key_name: String,
        /// The zone; without it, the mail domain above the name.
        zones: Vec<Name>,
    },
    /// A company that hosts the zones; the secret to its interface is a credential.
    #[serde(rename = "company")]
    Company {
        /// Which.
        company: Company,
        /// Its zones.
        zones: Vec<Name>,
    },
    /// A program: `PROGRAM present|remove NAME VALUE`.
    #[serde(rename = "exec")]
    Exec {
        /// Its path.
        program: PathBuf,
    },
}

/// A company whose interface is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Company {
    /// bunny.net.
    Bunny,
    /// Cloudflare.
    Cloudflare,
    /// deSEC.
    Desec,
    /// DigitalOcean.
    DigitalOcean,
    /// DNSimple.
    Dnsimple,
    /// OVHcloud.
    Ovh,
    /// Porkbun.
    Porkbun,
    /// Amazon Route 53.
    Route53,
    /// Spaceship.
    Spaceship,
}

impl Company {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Bunny,
        Self::Cloudflare,
        Self::Desec,
        Self::DigitalOcean,
        Self::Dnsimple,
        Self::Ovh,
        Self::Porkbun,
        Self::Route53,
        Self::Spaceship,
    ];
}

impl fmt::Display for Company {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bunny => "bunny.net",
            Self::Cloudflare => "Cloudflare",
            Self::Desec => "deSEC",
            Self::DigitalOcean => "DigitalOcean",
            Self::Dnsimple => "DNSimple",
            Self::Ovh => "OVHcloud",
            Self::Porkbun => "Porkbun",
            Self::Route53 => "Amazon Route 53",
            Self::Spaceship => "Spaceship",
        })
    }
}

/// A host name in ASCII (IDNA A-labels), lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = SettingsError;

    fn try_from(name: String) -> Result<Self, SettingsError> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(SettingsError::Name(name));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; it comes with the image, so build it with `[acme]`")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has another shape than this program expects.
    #[error("{path} is not for this version of mailkiln-acme: {source}; build the image again")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        source: serde_json::Error,
    },
    /// Not a host name in ASCII.
    #[error("`{0}` is not a host name: write labels of a-z, 0-9 and `-` (IDNs as `xn--…`)")]
    Name(String),
}

impl Settings {
    /// The host's own certificate.
    pub fn hosts_certificate(&self, tolerated: BTreeSet<String>) -> Certificate {
        Certificate { name: self.host.clone(), names: self.names.clone(), tolerated }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`SettingsError`] when it cannot be read or does not fit.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        serde_json::from_str(&text)
            .map_err(|source| SettingsError::Parse { path: path.to_owned(), source })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The example of docs/internals/contracts.md.
    pub(crate) const EXAMPLE: &str = r#"{
      "host": "mail.example.org",
      "names": ["mail.example.org", "autoconfig.example.org", "mta-sts.example.org"],
      "directory": "https://ca.example.org/directory",
      "contact": ["mailto:postmaster@example.org"],
      "key": "ecdsa-p256",
      "profile": null,
      "eab_key_id": null,
      "roots": null,
      "challenge": {"kind": "http-01", "listen": "[::]:80"},
      "keep_key": true
    }"#;

    #[test]
    fn reads_the_contract() {
        let settings: Settings = serde_json::from_str(EXAMPLE).unwrap();
        assert_eq!(settings.names.len(), 3);
        assert_eq!(settings.key, KeyKind::EcdsaP256);
        assert!(settings.certificates.is_empty());
        let more = EXAMPLE.replacen(
            '{',
            r#"{"certificates": [{"name": "b.org", "names": ["mta-sts.b.org"]}],"#,
            1,
        );
        let more: Settings = serde_json::from_str(&more).unwrap();
        assert_eq!(more.certificates[0].name.as_str(), "b.org");
        let served = r#"{"kind": "http-01", "listen": "[::]:80", "served": true}"#;
        assert!(matches!(serde_json::from_str(served), Ok(Challenge::Http01 { served: true, .. })));
        let dns = r#"{"kind": "dns-01", "wait": 5, "provider": {"kind": "rfc2136",
                      "server": "192.0.2.53:53", "key_name": "acme", "zones": ["example.org"]}}"#;
        assert!(matches!(serde_json::from_str(dns).unwrap(), Challenge::Dns01 { wait: 5, .. }));
    }

    #[test]
    fn names_cannot_leave_their_directory() {
        for bad in ["", "..", "a/b", "a..b", "A.org", "a b", "*.a.org", "a."] {
            assert!(Name::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
