//! The configuration file, `web.toml`: what the builder, a NixOS module or an administrator writes.
//! It holds no secret. docs/web.md explains each key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mailkiln_servers::{Endpoint, Trust};
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The name that people type: `mail.example.org`. Other names are answered only with what belongs to them.
    pub host: String,
    /// Where sessions and preferences are kept: a directory that belongs to us alone.
    pub state: PathBuf,
    /// Addresses, besides the sockets that systemd hands over.
    #[serde(default)]
    pub listen: Listen,
    /// The certificate; needed where HTTPS is listened on.
    pub tls: Option<Tls>,
    /// Where answers to http-01 challenges lie, one file for each token.
    pub challenges: Option<PathBuf>,
    /// The server that holds the mail.
    pub server: Server,
    /// The domains that mail is received for.
    #[serde(default)]
    pub domains: BTreeMap<String, Domain>,
    /// Seconds that browsers insist on HTTPS for; 0 for none.
    #[serde(default = "year")]
    pub hsts_seconds: u64,
    /// Sign-in and sessions.
    #[serde(default)]
    pub sessions: Sessions,
    /// What one client may take.
    #[serde(default)]
    pub limits: Limits,
}

/// Addresses: `[::]:443`, or the absolute path of a Unix socket.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where TLS is spoken.
    #[serde(default)]
    pub https: Vec<Address>,
    /// Where only challenges are answered and all else is sent to HTTPS.
    #[serde(default)]
    pub http: Vec<Address>,
    /// Where a proxy of ours speaks plain HTTP/1.1, and is believed about who the client is.
    #[serde(default)]
    pub proxied: Vec<Address>,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket, made with mode 0660.
    Unix(PathBuf),
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!("`{text}` is neither ADDRESS:PORT nor the absolute path of a Unix socket")
        })
    }
}

/// PEM files; read again when they change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificates for those who ask for certain names.
    #[serde(default)]
    pub further: Vec<Further>,
}

/// A certificate for some names; while it can't be read, the first one is shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Further {
    /// Names in ASCII, lower case.
    pub names: Vec<String>,
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The mail server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Loopback address of the API and DAV of our own server: `127.0.0.1:8080`. Without it passwords are
    /// checked by IMAP and kept sealed, and there is no DAV, no app password and no second factor.
    pub api: Option<SocketAddr>,
    /// The principal of type `oauthClient` that tokens are given to.
    #[serde(default = "oauth_client")]
    pub oauth_client: String,
    /// IMAP.
    pub imap: Service,
    /// Submission.
    pub submission: Service,
    /// ManageSieve, if there is one.
    pub sieve: Option<Service>,
}

/// How one service is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Name or address: `127.0.0.1`.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `tls` from the first byte, or `starttls`. There is no plain text.
    #[serde(default)]
    pub security: Security,
    /// PEM file with the certificates one of which the service must show; without it the system's
    /// authorities decide, for the name in `host`.
    pub pin: Option<PathBuf>,
    /// Announce the reader's address by a PROXY header, version 2.
    #[serde(default)]
    pub proxy_header: bool,
}

/// Where distributions keep the authorities.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

impl Service {
    /// As the clients of `mailkiln-servers` want it.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let authorities = || {
            let found = AUTHORITIES.iter().map(PathBuf::from).find(|path| path.exists());
            Trust::Roots(found.unwrap_or_else(|| PathBuf::from(AUTHORITIES[0])))
        };
        Endpoint {
            host: self.host.clone(),
            port: self.port,
            name: self.host.clone(),
            security: match self.security {
                Security::Tls => mailkiln_servers::Security::Implicit,
                Security::StartTls => mailkiln_servers::Security::StartTls,
            },
            trust: self.pin.clone().map_or_else(authorities, Trust::Pinned),
            proxy: self.proxy_header,
        }
    }
}

/// How TLS begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// With the first byte.
    #[default]
    Tls,
    /// After STARTTLS.
    StartTls,
}

/// What is served in the name of a domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// The MTA-STS policy, as served at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.
    pub mta_sts: Option<String>,
}

/// Sign-in and sessions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// A session that was not used for so long ends.
    pub idle_seconds: u64,
    /// Every session ends after so long.
    pub absolute_seconds: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle_seconds: 14 * 86_400, absolute_seconds: 28 * 86_400 }
    }
}

/// What one client, an IPv4 address or an IPv6 /64, may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections of all clients.
    pub connections: usize,
    /// Open connections of one.
    pub connections_per_client: usize,
    /// Event streams of one.
    pub streams_per_client: usize,
    /// DAV requests of one at the same time.
    pub dav_per_client: usize,
    /// Seconds that a head may take, and that may pass between two pieces of a body.
    pub read_seconds: u64,
    /// Bytes of the largest upload.
    pub upload_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_client: 64,
            streams_per_client: 16,
            dav_per_client: 16,
            read_seconds: 15,
            upload_bytes: 52_428_800,
        }
    }
}

impl Limits {
    /// Bytes of the largest message that is written, opened again and sent: the files of an upload in base64, where 57 bytes
    /// become a line of 78 (RFC 2045, section 6.8), and 4 MiB for the text, which may take 1 MiB and three times as much in
    /// quoted-printable, and the headers.
    pub(crate) fn message_bytes(&self) -> u64 {
        (self.upload_bytes / 57).saturating_add(1).saturating_mul(78).saturating_add(4 << 20)
    }
}

fn year() -> u64 {
    365 * 86_400
}

fn oauth_client() -> String {
    "mailkiln-web".to_owned()
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The file can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what we expect.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// It contradicts itself.
    #[error("{}: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What, and how to fix it.
        problem: String,
    },
}

impl Configuration {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigurationError::Read { path: path.to_owned(), source })?;
        let read: Self = toml::from_str(&text).map_err(|source| ConfigurationError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        read.checked()
            .map_err(|problem| ConfigurationError::Wrong { path: path.to_owned(), problem })
    }

    fn checked(self) -> Result<Self, String> {
        let is_name = |name: &str| {
            let allowed = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte)
            };
            !name.is_empty() && name.len() <= 253 && name.bytes().all(allowed)
        };
        let further = self.tls.iter().flat_map(|tls| &tls.further).flat_map(|it| &it.names);
        for name in self.domains.keys().chain([&self.host]).chain(further) {
            if !is_name(name) {
                return Err(format!("`{name}` is not a host name in lower case and ASCII"));
            }
        }
        if self.tls.is_none() && !self.listen.https.is_empty() {
            return Err("listen.https needs [tls] with certificate and key".to_owned());
        }
        if let Some(api) = self.server.api.filter(|api| !api.ip().is_loopback()) {
            return Err(format!("server.api is {api}: passwords may only travel to loopback"));
        }
        if self.sessions.idle_seconds < 60 || self.sessions.absolute_seconds < 60 {
            return Err("a session lasts 60 seconds or more".to_owned());
        }
        if self.limits.read_seconds == 0 || self.limits.connections == 0 {
            return Err("limits.read_seconds and limits.connections must be at least 1".to_owned());
        }
        Ok(self)
    }

    /// `https://mail.example.org`, without a slash at the end.
    pub fn origin(&self) -> String {
        format!("https://{}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "host = \"mail.example.org\"\nstate = \"/s\"\n[server]\n\
        imap = { host = \"127.0.0.1\", port = 993 }\nsubmission = { host = \"127.0.0.1\", port = 465 }\n";

    fn parse(more: &str) -> Result<Configuration, String> {
        let text = format!("{more}\n{SMALL}");
        toml::from_str::<Configuration>(&text).map_err(|error| error.to_string())?.checked()
    }

    #[test]
    fn defaults_and_addresses() {
        let read =
            parse("listen = { http = [\"[::]:80\"], proxied = [\"/run/web/http\"] }").unwrap();
        assert_eq!(read.listen.http, [Address::Tcp("[::]:80".parse().unwrap())]);
        assert_eq!(read.listen.proxied, [Address::Unix("/run/web/http".into())]);
        assert_eq!(read.hsts_seconds, 31_536_000);
        assert_eq!(read.server.oauth_client, "mailkiln-web");
        assert_eq!(read.origin(), "https://mail.example.org");
    }

    #[test]
    fn the_largest_upload_is_a_message_that_can_be_opened_again() {
        use mailkiln_letter::writing::{Attachment, Body, Outgoing, Recipient, message_id};
        let limits = Limits { upload_bytes: 9_000_000, ..Limits::default() };
        let from = Recipient { name: String::new(), address: "ann@a.example".into() };
        let message = Outgoing {
            message_id: message_id(&[7; 16], &from.address),
            from,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: None,
            subject: "S".repeat(20_000),
            date: 0,
            offset: 0,
            in_reply_to: Vec::new(),
            references: Vec::new(),
            body: Body::Plain("ü".repeat(crate::form::LARGEST / 2)),
            attachments: vec![Attachment {
                name: "a.bin".into(),
                media_type: "application/octet-stream".into(),
                data: vec![0xff; 9_000_000],
            }],
            is_draft: true,
        };
        let size = message.write().unwrap().len() as u64;
        assert!(size <= limits.message_bytes(), "{size} {}", limits.message_bytes());
        assert!(limits.message_bytes() < size + (2 << 20), "and not far more");
        let most = Limits { upload_bytes: u64::MAX, ..Limits::default() };
        assert!(most.message_bytes() > u64::MAX / 2);
    }

    #[test]
    fn mistakes_are_named() {
        for (more, expected) in [
            ("listen = { https = [\"[::]:443\"] }", "[tls]"),
            ("listen = { https = [\"443\"] }", "ADDRESS:PORT"),
            ("sessions = { idle_seconds = 1 }", "60 seconds"),
            ("domains = { \"Example.org\" = {} }", "`Example.org`"),
            ("colour = 1", "colour"),
        ] {
            let error = parse(more).unwrap_err();
            assert!(error.contains(expected), "{more}: {error}");
        }
    }
}
