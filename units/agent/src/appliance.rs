//! `/etc/mailkiln/appliance.json`: what `mail.toml` says, as far as the agent needs it.
//!
//! In: the file's text, written by the builder (docs/internals/contracts.md). Out: [`Appliance`]
//! with names that are safe as parts of paths and protocol lines.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What the appliance is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Appliance {
    /// Fully qualified host name, the `MX` of all domains.
    pub host: DomainName,
    /// Mail domains; at least one.
    pub domains: Vec<Domain>,
    /// Accounts that must exist.
    pub accounts: Vec<Account>,
    /// Root of the mail server's API, plain HTTP on loopback.
    pub api: String,
    /// Devices on which the status is shown.
    #[serde(default)]
    pub consoles: Vec<PathBuf>,
    /// Those of them that others than the people at the machine can read: a cloud keeps what is written
    /// to its serial port.
    #[serde(default)]
    pub recorded_consoles: Vec<PathBuf>,
    /// Where reports go.
    pub postmaster: Address,
    /// Where the page listens on which people change their password; `None` where there is none.
    #[serde(default)]
    pub page: Option<SocketAddr>,
    /// What the web unit signs people in by; `None` where there is none.
    #[serde(default)]
    pub web: Option<Web>,
    /// What becomes of mail that ClamAV can't look into; `None` where there is no ClamAV.
    #[serde(default)]
    pub clamav: Option<Unscanned>,
    /// The file with the certificate, where the host's administrator (on NixOS also `security.acme`)
    /// looks after it; `None` where we do.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Folders of certificates beside the host's, which the ACME client fills.
    #[serde(default)]
    pub certificates: Vec<DomainName>,
    /// What becomes of accounts that are no longer in `mail.toml`.
    #[serde(default)]
    pub removed: Removed,
    /// Where the mail server listens, as the health probe reaches it.
    #[serde(default)]
    pub loopback: Loopback,
}

/// The OAuth client of the web unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Web {
    /// Its name.
    pub oauth_client: String,
    /// The address that tokens are asked for with.
    pub redirect: String,
}

/// What becomes of mail that could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unscanned {
    /// Its sender is asked to come back.
    Defer,
    /// It is delivered with a mark.
    Pass,
}

/// What becomes of accounts that were taken out of `mail.toml`. They can't sign in at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Removed {
    /// What becomes of new mail to them.
    pub mail: RemovedMail,
    /// After how many days they are deleted with their mail; `None` for never.
    pub grace_days: Option<u32>,
}

impl Default for Removed {
    fn default() -> Self {
        Self { mail: RemovedMail::Refuse, grace_days: Some(30) }
    }
}

/// What becomes of new mail to an account that was taken out of `mail.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovedMail {
    /// Its address is unknown.
    Refuse,
    /// It waits in the queue, and is returned when it has waited too long.
    Defer,
}

/// A mail domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Domain {
    /// Its name.
    pub name: DomainName,
    /// Who gets mail for addresses that do not exist.
    #[serde(default)]
    pub catch_all: Option<Address>,
}

/// An account that must exist.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// Its address, which is also its login.
    pub address: Address,
    /// The person's name.
    #[serde(default)]
    pub name: String,
    /// Further addresses of the same mailbox.
    #[serde(default)]
    pub aliases: Vec<Address>,
    /// Bytes the mailbox may hold; `None` or 0 for no limit.
    #[serde(default)]
    pub quota: Option<u64>,
}

/// The mail server's listeners on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Loopback {
    /// Submission with implicit TLS.
    pub submissions: SocketAddr,
    /// IMAP with implicit TLS.
    pub imaps: SocketAddr,
}

impl Default for Loopback {
    fn default() -> Self {
        Self {
            submissions: SocketAddr::from(([127, 0, 0, 1], 465)),
            imaps: SocketAddr::from(([127, 0, 0, 1], 993)),
        }
    }
}

/// A host or domain name in ASCII (IDNA A-labels), lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct DomainName(String);

impl DomainName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DomainName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(NameError::Domain(name));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mail address: printable, no blank, a domain name after the last `@`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    text: String,
    domain: DomainName,
}

impl Address {
    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What follows the `@`.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }
}

impl TryFrom<String> for Address {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let text = text.to_lowercase();
        let printable = |c: char| !c.is_whitespace() && !c.is_control() && !"<>\"\\".contains(c);
        match text.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() && local.chars().all(printable) => {
                let domain = DomainName::try_from(domain.to_owned())?;
                Ok(Self { text, domain })
            }
            _ => Err(NameError::Address(text)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a domain name in ASCII.
    #[error("`{0}` is not a domain name: write labels of a-z, 0-9 and `-` (IDNs as `xn--…`)")]
    Domain(String),
    /// Not a mail address.
    #[error("`{0}` is not a mail address: write NAME@DOMAIN")]
    Address(String),
}

/// Why the description of the appliance cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApplianceError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; it comes with the image, so write the image again")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has another shape than this program expects.
    #[error("{path} is not for this version of the agent: {source}; build the image again")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        source: serde_json::Error,
    },
    /// There is no domain.
    #[error("{0} names no mail domain; add one to mail.toml and build the image again")]
    NoDomain(PathBuf),
}

impl Appliance {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ApplianceError`] when it cannot be read or does not fit.
    pub fn read(path: &Path) -> Result<Self, ApplianceError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ApplianceError::Read { path: path.to_owned(), source })?;
        let appliance: Self = serde_json::from_str(&text)
            .map_err(|source| ApplianceError::Parse { path: path.to_owned(), source })?;
        if appliance.domains.is_empty() {
            return Err(ApplianceError::NoDomain(path.to_owned()));
        }
        Ok(appliance)
    }

    /// Names the self-signed certificate is for: the host first, then the mail domains.
    pub fn certificate_names(&self) -> Vec<DomainName> {
        let domains = self.domains.iter().map(|domain| &domain.name).filter(|n| **n != self.host);
        let unique: BTreeSet<_> = domains.cloned().collect();
        std::iter::once(self.host.clone()).chain(unique).collect()
    }

    /// The account of the health probe, in the first domain.
    ///
    /// # Errors
    /// [`NameError`] when there is no domain to put it in.
    pub fn probe_address(&self) -> Result<Address, NameError> {
        let domain = self.domains.first().map_or("", |domain| domain.name.as_str());
        Address::try_from(format!("mailkiln-probe@{domain}"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of docs/internals/contracts.md, with a second domain.
    pub(crate) const EXAMPLE: &str = r#"{
      "host": "mail.example.org",
      "domains": [{"name": "example.org", "catch_all": "alice@example.org"},
                  {"name": "example.net", "catch_all": null}],
      "accounts": [{"address": "alice@example.org", "name": "Alice",
                    "aliases": ["postmaster@example.org"], "quota": 1073741824},
                   {"address": "Bob@example.net", "name": "Bob", "aliases": [], "quota": null}],
      "api": "http://127.0.0.1:8080",
      "consoles": ["/dev/tty1", "/dev/ttyS0"],
      "postmaster": "postmaster@example.org",
      "web": {"oauth_client": "mailkiln-web", "redirect": "https://mail.example.org/sign-in"},
      "relay_user": null,
      "ssh": false
    }"#;

    pub(crate) fn example() -> Appliance {
        serde_json::from_str(EXAMPLE).unwrap()
    }

    #[test]
    fn reads_the_contract() {
        let appliance = example();
        assert_eq!(appliance.accounts[0].quota, Some(1 << 30));
        assert_eq!(appliance.accounts[1].address.as_str(), "bob@example.net");
        assert_eq!(appliance.loopback.imaps.to_string(), "127.0.0.1:993");
        let web = appliance.web.as_ref().map(|web| web.redirect.as_str());
        assert_eq!(web, Some("https://mail.example.org/sign-in"));
        let names: Vec<_> = appliance.certificate_names().iter().map(|n| n.0.clone()).collect();
        assert_eq!(names, ["mail.example.org", "example.net", "example.org"]);
        assert_eq!(appliance.probe_address().unwrap().as_str(), "mailkiln-probe@example.org");
    }

    #[test]
    fn names_cannot_leave_their_directory_or_line() {
        for bad in ["", "..", "a/b", "a..b", "exämple.org", "A.org", "a b", "a\n", ".a", "a."] {
            assert!(DomainName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        for bad in ["a", "@x.org", "a b@x.org", "a\r\nX@x.org", "a@..", "<a>@x.org", "a@"] {
            assert!(Address::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn errors_name_file_and_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("appliance.json");
        assert!(Appliance::read(&path).unwrap_err().to_string().contains("write the image again"));
        std::fs::write(&path, EXAMPLE.replace("mail.example.org", "a/b")).unwrap();
        let error = Appliance::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("`a/b` is not a domain name") && error.contains("line 2"),
            "{error}"
        );
        std::fs::write(&path, EXAMPLE.replace("domains", "d").replace('{', "{\"domains\":[],"))
            .unwrap();
        assert!(Appliance::read(&path).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = Address::try_from(text.clone());
            let _ = serde_json::from_str::<Appliance>(&text);
        }
    }
}
