//! The folder that the owner of a seed keeps.
//!
//! In: its files, by path below the folder. Out: a [`Seed`]; and the way back. What is no part of a
//! seed is left alone, but for the folder of DKIM keys, where a wrong name would lose a key.

use std::collections::BTreeMap;

use mailkiln_dns::DkimKey;
use mailkiln_spec::{DomainName, Flaw};

use crate::{DkimKeys, Secret, Seed, SeedError, account_key, dkim, document, host_key};

/// What people read and change by hand.
pub const DOCUMENT: &str = "seed.toml";
/// The folder of DKIM keys: `rsa-DOMAIN.pem` and `ed25519-DOMAIN.pem`.
pub const DKIM: &str = "dkim";
/// The device's SSH key.
pub const HOST_KEY: &str = "ssh_host_ed25519_key";
/// The key of the account with the authority that gives certificates.
pub const ACME_ACCOUNT_KEY: &str = "acme-account-key.pem";

/// What each file is, for whoever finds the folder in ten years.
const README: &str = "\
The seed of a Mailkiln appliance. Keep this folder private; every file in it but this one is secret.

seed.toml               password hashes, SSH keys, keys for certificates, Wi-Fi, static network; made to be edited
dkim/rsa-DOMAIN.pem     what the domain signs its mail with; `mailkiln dns --seed DIR` prints the records
dkim/ed25519-DOMAIN.pem
ssh_host_ed25519_key    by which SSH clients know the device again
acme-account-key.pem    the account with the authority that gives certificates

The device makes whatever is missing here.
";

impl Seed {
    /// Reads the files of a folder, by their paths below it.
    ///
    /// # Errors
    /// [`SeedError`] with the file and what is wrong in it, never with a secret.
    pub fn from_files(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, SeedError> {
        let text = |name: &str| match files.get(name) {
            None => Ok(None),
            Some(bytes) => String::from_utf8(bytes.clone())
                .map(Some)
                .map_err(|_| SeedError::NotText { file: name.to_owned() }),
        };
        let document = text(DOCUMENT)?.ok_or(SeedError::NoDocument)?;
        let mut seed = document::parse(&document)?;
        let key = |file: &str, what, fits: fn(&str) -> bool| match text(file)? {
            Some(key) if fits(&key) => Ok(Some(Secret::new(key))),
            Some(_) => Err(SeedError::Key { file: file.to_owned(), what }),
            None => Ok(None),
        };
        seed.ssh.host_key =
            key(HOST_KEY, "an Ed25519 key of OpenSSH without a passphrase", |text| {
                host_key::public_line(text).is_some()
            })?;
        seed.acme_account_key =
            key(ACME_ACCOUNT_KEY, "a P-256 key in PKCS#8 PEM", account_key::fits)?;
        let mut halves: BTreeMap<DomainName, [Option<Secret>; 2]> = BTreeMap::new();
        for file in files.keys() {
            let Some(name) = file.strip_prefix(DKIM).and_then(|name| name.strip_prefix('/')) else {
                continue;
            };
            let (place, domain) = dkim_name(name)
                .ok_or_else(|| SeedError::DkimName { file: file.escape_debug().to_string() })?;
            let (what, fits) = KINDS[place];
            let found = key(file, what, fits)?;
            halves.entry(domain).or_default()[place] = found;
        }
        for (domain, halves) in halves {
            let half = |missing| SeedError::HalfDkim { domain: domain.to_string(), missing };
            let [rsa, ed25519] = halves;
            let rsa = rsa.ok_or_else(|| half(dkim::RSA))?;
            let ed25519 = ed25519.ok_or_else(|| half(dkim::ED25519))?;
            seed.dkim.insert(domain, DkimKeys { rsa, ed25519 });
        }
        Ok(seed)
    }

    /// The files of its folder, by their paths below it.
    pub fn to_files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::from([
            ("README".to_owned(), README.as_bytes().to_vec()),
            (DOCUMENT.to_owned(), document::write(self).into_bytes()),
        ]);
        let mut put = |name: String, secret: &Secret| {
            files.insert(name, secret.expose().as_bytes().to_vec());
        };
        for (domain, keys) in &self.dkim {
            put(format!("{DKIM}/{}-{domain}.pem", dkim::RSA), &keys.rsa);
            put(format!("{DKIM}/{}-{domain}.pem", dkim::ED25519), &keys.ed25519);
        }
        if let Some(key) = &self.ssh.host_key {
            put(HOST_KEY.to_owned(), key);
        }
        if let Some(key) = &self.acme_account_key {
            put(ACME_ACCOUNT_KEY.to_owned(), key);
        }
        files
    }

    /// The public halves of the DKIM keys, to publish.
    pub fn dkim_records(&self) -> Vec<DkimKey> {
        self.dkim.iter().filter_map(|(domain, keys)| keys.records(domain)).flatten().collect()
    }

    /// The device's SSH key as a line of a `known_hosts` file, without the host's name.
    pub fn host_key_line(&self) -> Option<String> {
        host_key::public_line(self.ssh.host_key.as_ref()?.expose())
    }

    /// What ssh shows when it meets that key for the first time.
    pub fn host_key_fingerprint(&self) -> Option<String> {
        host_key::fingerprint(&self.host_key_line()?)
    }
}

/// What a key is, and who judges it.
type Kind = (&'static str, fn(&str) -> bool);

/// The keys of each selector.
const KINDS: [Kind; 2] = [
    ("an RSA key of 2048 bits or more in PKCS#8 PEM", |text| dkim::rsa_public(text).is_some()),
    ("an Ed25519 key in PKCS#8 PEM", |text| dkim::ed25519_public(text).is_some()),
];

/// Place of the kind in [`KINDS`], and the domain.
fn dkim_name(name: &str) -> Option<(usize, DomainName)> {
    let name = name.strip_suffix(".pem")?;
    let kinds = [dkim::RSA, dkim::ED25519];
    kinds.iter().enumerate().find_map(|(place, kind)| {
        let domain = name.strip_prefix(kind)?.strip_prefix('-')?;
        // Only the one spelling that is written: two files must not be one domain's.
        let parsed: Result<DomainName, Flaw> = domain.parse();
        parsed.ok().filter(|parsed| parsed.as_str() == domain).map(|parsed| (place, parsed))
    })
}
