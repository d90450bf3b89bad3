//! Where things are on the appliance (docs/internals/contracts.md).
//!
//! In: a root directory, `/` but in tests. Out: paths.

use std::path::{Path, PathBuf};

use mailkiln_store::certificate_folder::CertificateFolder;

use crate::appliance::{Appliance, DomainName};

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

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the kernel tells about its devices.
    pub fn sys(&self) -> PathBuf {
        self.at("sys")
    }

    /// Where devices are.
    pub fn devices(&self) -> PathBuf {
        self.at("dev")
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

    /// What provisioning has made so far.
    pub fn provisioned(&self) -> PathBuf {
        self.at("var/lib/mailkiln/provisioned.json")
    }

    /// Public DKIM records, one file per domain.
    pub fn dkim_records(&self) -> PathBuf {
        self.at("var/lib/mailkiln/dkim")
    }

    /// Public DKIM records of `domain`, as lines of a zone file.
    pub fn dkim_record(&self, domain: &DomainName) -> PathBuf {
        self.dkim_records().join(format!("{domain}.txt"))
    }

    /// Certificate and key of `host`, where we look after them ourselves.
    pub fn certificate(&self, host: &DomainName) -> CertificateFolder {
        CertificateFolder::new(&self.certificates(), host.as_str())
    }

    /// Certificates of all programs, where we look after them ourselves.
    pub fn certificates(&self) -> PathBuf {
        self.at("var/lib/mailkiln-acme/live")
    }

    /// The certificate that the mail server serves, with its intermediates.
    pub fn chain(&self, appliance: &Appliance) -> PathBuf {
        match &appliance.certificate {
            Some(path) => self.root.join(path.strip_prefix("/").unwrap_or(path)),
            None => self.certificate(&appliance.host).chain,
        }
    }

    /// What the ACME client has done, and what it could not do; where there is one.
    pub fn acme_state(&self) -> PathBuf {
        self.at("var/lib/mailkiln-acme/state.json")
    }

    /// The same of a certificate that is not the host's.
    pub fn further_acme_state(&self, name: &DomainName) -> PathBuf {
        self.at("var/lib/mailkiln-acme/further").join(name.as_str()).join("state.json")
    }

    /// What ClamAV looks for, where there is one.
    pub fn clamav_signatures(&self) -> PathBuf {
        self.at("var/lib/clamav")
    }

    /// When the administrator was told last that certificates fail.
    pub fn renewal_notice(&self) -> PathBuf {
        self.at("var/lib/mailkiln/renewal-notice")
    }

    /// For how long the appliance has run with the passwords of its first boot.
    pub fn first_passwords(&self) -> PathBuf {
        self.at("var/lib/mailkiln/first-passwords")
    }

    /// Where a seed is between the card and those who take it over; gone after the boot.
    pub fn seed(&self) -> SeedFiles {
        let directory = self.at("run/mailkiln-seed");
        SeedFiles {
            seed: directory.join("seed"),
            refused: directory.join("refused"),
            erase: directory.join("erase"),
        }
    }

    /// Where first boot data is, between the parts that find it and those that use it.
    pub fn cloud(&self) -> CloudFiles {
        let run = self.at("run/mailkiln-cloud");
        let fetched = self.at("run/mailkiln-cloud-fetch");
        CloudFiles {
            kept: self.at("var/lib/mailkiln-cloud/kept.json"),
            local: run.join("local.json"),
            ask: run.join("ask"),
            fetched: fetched.join("found.json"),
            failed: fetched.join("failed"),
            instance: run.join("instance"),
            seed: run.join("seed"),
            notes: run.join("notes"),
        }
    }

    /// The instance that the secrets were made on.
    pub fn instance(&self) -> PathBuf {
        self.at("var/lib/mailkiln/instance")
    }

    /// Who may log in, as the cloud says.
    pub fn cloud_keys(&self) -> PathBuf {
        self.at("var/lib/ssh/authorized_keys/root.cloud")
    }

    /// The folder of the device's own SSH keys.
    pub fn host_keys(&self) -> PathBuf {
        self.at("var/lib/ssh/etc/ssh")
    }

    /// What systemd has bound over `/etc/machine-id`.
    pub fn machine_id(&self) -> PathBuf {
        self.at("run/machine-id")
    }

    /// Where networkd looks for what holds until the next boot.
    pub fn networks(&self) -> PathBuf {
        self.at("run/systemd/network")
    }

    /// Where systemd puts the secrets for this service alone: `CREDENTIALS_DIRECTORY`, systemd.exec(5).
    pub fn credentials() -> Option<PathBuf> {
        std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }

    /// Who may log in, beside those of `mail.toml`.
    pub fn authorized_keys(&self) -> PathBuf {
        self.at("var/lib/ssh/authorized_keys/root")
    }

    /// The device's own SSH key.
    pub fn host_key(&self) -> PathBuf {
        self.at("var/lib/ssh/etc/ssh/ssh_host_ed25519_key")
    }

    /// Wireless networks, one file each.
    pub fn wifi(&self) -> PathBuf {
        self.at("var/lib/iwd")
    }

    /// The static network of a seed, where it is kept and where networkd looks for it.
    pub fn network(&self) -> (PathBuf, PathBuf) {
        let at = |folder: &str| self.at(folder).join(crate::seed::network::FILE_NAME);
        (at("var/lib/mailkiln-seed"), at("run/systemd/network"))
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

/// What is known of a seed during one boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedFiles {
    /// The seed itself, for `prepare`.
    pub seed: PathBuf,
    /// Why it is not used, for the consoles.
    pub refused: PathBuf,
    /// Exists when the card has to be erased.
    pub erase: PathBuf,
}

/// What is known of first boot data during one boot, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudFiles {
    /// What earlier boots found.
    pub kept: PathBuf,
    /// What was attached.
    pub local: PathBuf,
    /// Exists when a cloud has to be asked, and says which.
    pub ask: PathBuf,
    /// What the cloud said.
    pub fetched: PathBuf,
    /// Why it said nothing, or what it did not take.
    pub failed: PathBuf,
    /// Which instance this is, for `prepare`.
    pub instance: PathBuf,
    /// A seed of the user-data.
    pub seed: PathBuf,
    /// Lines for the consoles.
    pub notes: PathBuf,
}
