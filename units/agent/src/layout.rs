//! Where things are on the appliance (docs/internals/contracts.md).
//!
//! In: a root directory, `/` but in tests. Out: paths.

use std::path::{Path, PathBuf};

use crate::appliance::DomainName;

/// The paths the agent uses, all below one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Paths below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// What `mail.toml` says.
    pub fn appliance(&self) -> PathBuf {
        self.at("etc/mailkiln/appliance.json")
    }

    /// The agent's own state.
    pub fn state(&self) -> PathBuf {
        self.at("var/lib/mailkiln")
    }

    /// One secret per file.
    pub fn secrets(&self) -> PathBuf {
        self.at("var/lib/mailkiln/secrets")
    }

    /// Public DKIM records, one file per domain.
    pub fn dkim_records(&self) -> PathBuf {
        self.at("var/lib/mailkiln/dkim")
    }

    /// Public DKIM records of `domain`, as lines of a zone file.
    pub fn dkim_record(&self, domain: &DomainName) -> PathBuf {
        self.dkim_records().join(format!("{domain}.txt"))
    }

    /// Certificate and key of `host`.
    pub fn certificate(&self, host: &DomainName) -> CertificateFiles {
        let directory = self.at("var/lib/acme").join(host.as_str());
        CertificateFiles {
            chain: directory.join("fullchain.pem"),
            key: directory.join("key.pem"),
            directory,
        }
    }

    /// What the system resolver is.
    pub fn resolver_configuration(&self) -> PathBuf {
        self.at("etc/resolv.conf")
    }

    /// Exists while systemd runs the machine: sd_booted(3).
    pub fn systemd(&self) -> PathBuf {
        self.at("run/systemd/system")
    }
}

/// The files of a certificate, in the layout of NixOS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// `/var/lib/acme/NAME`.
    pub directory: PathBuf,
    /// Certificate and intermediates, PEM.
    pub chain: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// `/var/lib/acme`, whose group may read certificates.
    pub fn shared_directory(&self) -> &Path {
        self.directory.parent().unwrap_or(&self.directory)
    }
}
