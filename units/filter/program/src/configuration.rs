//! The filter's settings: `/etc/mailkiln/filter.toml`, which the builder makes from `mail.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mailkiln_inspect::Class;
use serde::Deserialize;

use crate::clamd::Clamd;
use crate::policy::{Action, Policies, Policy};
use crate::quarantine::Quarantine;
use crate::quarantine::release::Target;

/// Where the settings are unless `--config` says otherwise.
pub const PATH: &str = "/etc/mailkiln/filter.toml";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// No such file, or no right to read it.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// Not what was expected.
    #[error("{0} is not a configuration of the filter: {1}")]
    Wrong(PathBuf, String),
}

/// What happens to a message that could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Its sender is asked to come back: nothing passes unseen.
    Defer,
    /// It passes with a mark.
    Pass,
}

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Configuration {
    /// Name of this host, for greetings.
    pub host: String,
    /// Where the mail server finds the filter.
    pub listen: SocketAddr,
    /// Where the mail server takes released mail and digests.
    pub release: SocketAddr,
    /// The filter's directory below `/var/lib`.
    pub state: PathBuf,
    /// The Unix socket of the API.
    pub socket: PathBuf,
    /// Who gets the digest; nobody does without it.
    pub digest_to: Option<String>,
    /// What happens to a message that could not be looked into.
    pub on_failure: OnFailure,
    /// Largest message, in bytes.
    pub largest_message: u64,
    /// Seconds that one message may take.
    pub seconds: u64,
    /// How long and how much is kept.
    quarantine: QuarantineTable,
    /// A clamd: a path or an address.
    #[serde(default)]
    clamd: Option<String>,
    /// Where rules come from.
    #[serde(default)]
    pub rules: Option<RulesTable>,
    /// Actions by class.
    policy: BTreeMap<String, String>,
    /// Actions of single domains.
    #[serde(default)]
    domain: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuarantineTable {
    days: u32,
    bytes: u64,
}

/// Where rules come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesTable {
    /// `https://…/NAME.yar`; the signature is at the same place with `.sig` behind it.
    pub url: String,
    /// The Ed25519 key that signs them: 32 bytes in base64.
    pub key: String,
}

impl Configuration {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// [`ConfigurationError`] with the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let text = fs::read_to_string(path)
            .map_err(|error| ConfigurationError::Read(path.to_owned(), error))?;
        Self::parse(&text).map_err(|why| ConfigurationError::Wrong(path.to_owned(), why))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let this: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for table in std::iter::once(&this.policy).chain(this.domain.values()) {
            policy(table)?;
        }
        this.clamd()?;
        Ok(this)
    }

    /// What is done about which finding.
    ///
    /// # Errors
    /// Never after [`Self::read`], which has checked it.
    pub fn policies(&self) -> Result<Policies, String> {
        let general = policy(&self.policy)?;
        let domain = |(name, table): (&String, _)| {
            policy(table).map(|own| (name.to_ascii_lowercase(), general.overlaid(&own)))
        };
        let domains = self.domain.iter().map(domain).collect::<Result<_, _>>()?;
        Ok(Policies { general, domains })
    }

    /// The clamd that is asked too.
    ///
    /// # Errors
    /// Never after [`Self::read`], which has checked it.
    pub fn clamd(&self) -> Result<Option<Clamd>, String> {
        let place = self.clamd.as_deref().map(str::parse).transpose();
        place.map_err(|error: crate::clamd::UnknownPlace| format!("clamd: {error}"))
    }

    /// The quarantine.
    pub fn quarantine(&self) -> Quarantine {
        let keep = Duration::from_secs(u64::from(self.quarantine.days) * 86_400);
        Quarantine::new(&self.state, keep, self.quarantine.bytes)
    }

    /// Where released mail goes.
    pub fn target(&self) -> Target {
        Target { server: self.release, host: self.host.clone() }
    }
}

fn policy(table: &BTreeMap<String, String>) -> Result<Policy, String> {
    let action = |(class, action): (&String, &String)| {
        let known: Class = class.parse().map_err(|it| format!("{it}"))?;
        let action: Action = action.parse().map_err(|it| format!("{class}: {it}"))?;
        Ok((known.as_str().to_owned(), action))
    };
    table.iter().map(action).collect::<Result<_, String>>().map(Policy::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
host = "mail.example.org"
listen = "127.0.0.1:10025"
release = "127.0.0.1:10026"
state = "/var/lib/mailkiln/filter"
socket = "/run/mailkiln-filter/api"
on-failure = "defer"
largest-message = 52428800
seconds = 20
clamd = "/run/clamav/clamd.ctl"

[quarantine]
days = 30
bytes = 1000

[policy]
malware = "reject"
executable = "quarantine"

[domain."lax.example"]
executable = "pass"
"#;

    #[test]
    fn settings_are_read() {
        let got = Configuration::parse(TEXT).unwrap();
        let policies = got.policies().unwrap();
        assert_eq!(policies.general.action(Class::Executable), Action::Quarantine);
        let lax = &policies.domains["lax.example"];
        assert_eq!(lax.action(Class::Executable), Action::Pass);
        assert_eq!(lax.action(Class::Malware), Action::Reject);
        assert_eq!(got.clamd().unwrap(), Some(Clamd::Unix("/run/clamav/clamd.ctl".into())));
        assert_eq!(got.quarantine().keep, Duration::from_secs(30 * 86_400));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, named) in [
            ("executable = \"pass\"", "executable = \"drop\"", "executable: `drop`"),
            ("malware = ", "virus = ", "`virus`"),
            ("/run/clamav/clamd.ctl", "localhost", "clamd: `localhost`"),
            ("\"defer\"", "\"lose\"", "lose"),
            ("seconds = 20", "minutes = 20", "minutes"),
        ] {
            let error = Configuration::parse(&TEXT.replace(from, to)).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
