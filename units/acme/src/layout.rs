//! Where things are on the appliance (docs/internals/contracts.md).

use std::path::{Path, PathBuf};

use mailkiln_store::certificate_folder::CertificateFolder;

use crate::settings::Certificate;

/// The paths the client uses, all below one root: `/` but in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    /// Which further certificate's state it is about; `None` for the host's.
    certificate: Option<String>,
}

impl Layout {
    /// Paths below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), certificate: None }
    }

    /// The same, with the state of a certificate that is not the host's.
    #[must_use]
    pub fn of(&self, certificate: &Certificate) -> Self {
        Self { root: self.root.clone(), certificate: Some(certificate.name.to_string()) }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// What `mail.toml` says about certificates.
    pub fn settings(&self) -> PathBuf {
        self.at("etc/mailkiln/acme.json")
    }

    fn own(&self, name: &str) -> PathBuf {
        self.at("var/lib/mailkiln-acme").join(name)
    }

    /// A file about the certificate.
    fn about(&self, name: &str) -> PathBuf {
        match &self.certificate {
            None => self.own(name),
            Some(certificate) => self.own("further").join(certificate).join(name),
        }
    }

    /// Directories to make for what is kept of a certificate that is not the host's, outermost first.
    pub fn further(&self) -> Vec<PathBuf> {
        let own = self.certificate.iter().map(|name| self.own("further").join(name));
        std::iter::once(self.own("further")).chain(own).collect()
    }

    /// The directory of the client's own state.
    pub fn directory(&self) -> PathBuf {
        self.at("var/lib/mailkiln-acme")
    }

    /// What was done and what was not; no secret, the agent reads it.
    pub fn state(&self) -> PathBuf {
        self.about("state.json")
    }

    /// The account with the authority, with its key.
    pub fn account(&self) -> PathBuf {
        self.own("account.json")
    }

    /// The key of the certificate, kept across renewals.
    pub fn key(&self) -> PathBuf {
        self.about("key.pem")
    }

    /// The record to publish for DANE, as a line of a zone file.
    pub fn tlsa(&self) -> PathBuf {
        self.own("tlsa.txt")
    }

    /// Written after the certificate has changed: what has to read it again watches this.
    pub fn installed(&self) -> PathBuf {
        self.about("installed")
    }

    /// What the administrator asks of the next run.
    pub fn request(&self) -> PathBuf {
        self.own("request")
    }

    /// Held while a run is under way.
    pub fn lock(&self) -> PathBuf {
        self.own("lock")
    }

    /// Certificates in use.
    pub fn certificates(&self) -> PathBuf {
        self.own("live")
    }

    /// Certificate and key in the folder `name`.
    pub fn certificate(&self, name: &str) -> CertificateFolder {
        CertificateFolder::new(&self.certificates(), name)
    }

    /// Answers of http-01, for a web server to serve at `/.well-known/acme-challenge/`.
    pub fn challenges(&self) -> PathBuf {
        self.own("challenges")
    }

    /// What the system resolver is.
    pub fn resolver_configuration(&self) -> PathBuf {
        self.at("etc/resolv.conf")
    }

    /// Exists while systemd runs the machine: sd_booted(3).
    pub fn systemd(&self) -> PathBuf {
        self.at("run/systemd/system")
    }

    /// A secret that systemd hands to this service alone (systemd.exec(5), `CREDENTIALS_DIRECTORY`);
    /// `None` when there is none, or only the word that stands in for one.
    pub fn credential(name: &str) -> Option<String> {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
        let text = std::fs::read_to_string(Path::new(&folder).join(name)).ok()?;
        (text.trim() != NO_SECRET).then_some(text)
    }
}

/// What the builder writes in place of a secret that is not there.
const NO_SECRET: &str = "none";
