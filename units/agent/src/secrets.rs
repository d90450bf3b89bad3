//! The secrets of the appliance, one file each below `/var/lib/mailkiln/secrets`.
//!
//! In: names and values. Out: files of mode 0600 without a newline at the end, as the mail server
//! and systemd's `LoadCredential=` want them. Nothing here is ever printed by `Debug`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::appliance::{Address, DomainName};
use crate::durable::{self, DurableError};

/// A name of a secret; safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(String);

impl SecretName {
    /// Password of the API's administrator.
    pub fn admin_password() -> Self {
        Self("admin-password".to_owned())
    }

    /// Its hash, which the mail server gets.
    pub fn admin_hash() -> Self {
        Self("admin-hash".to_owned())
    }

    /// Key that signs OAuth tokens.
    pub fn oauth_key() -> Self {
        Self("oauth-key".to_owned())
    }

    /// Password of the account that the health check uses.
    pub fn probe_password() -> Self {
        Self("probe-password".to_owned())
    }

    /// Hash of the administrator's own password, where a seed brought one.
    pub fn administrator_hash() -> Self {
        Self("hash-admin".to_owned())
    }

    /// Hash of an account's first password, where a seed brought one.
    pub fn account_hash(address: &Address) -> Self {
        Self(format!("hash-{}", escaped(address)))
    }

    /// Key of the account with the authority that gives certificates.
    pub fn acme_account_key() -> Self {
        Self("acme-account-key.pem".to_owned())
    }

    /// Key of external account binding, from the authority.
    pub fn acme_eab_key() -> Self {
        Self("acme-eab-key".to_owned())
    }

    /// TSIG key of the name server that takes the proofs for certificates.
    pub fn acme_dns_key() -> Self {
        Self("acme-dns-key".to_owned())
    }

    /// Exists once the passwords of the first boot have been written down.
    pub fn acknowledged() -> Self {
        Self("passwords-acknowledged".to_owned())
    }

    /// Exists once the administrator's first password is to be replaced at the next start.
    pub fn administrator_expired() -> Self {
        Self("admin-password-expired".to_owned())
    }

    /// DKIM key of `domain` for the selector `rsa` or `ed25519`.
    pub fn dkim(selector: &str, domain: &DomainName) -> Self {
        Self(format!("dkim-{selector}-{domain}.pem"))
    }

    /// Initial password of an account. Bytes that mean something in a path are escaped as `%XX`.
    pub fn account(address: &Address) -> Self {
        Self(format!("{ACCOUNT}{}", escaped(address)))
    }

    /// A secret an administrator brings along, such as `relay-password`.
    ///
    /// # Errors
    /// [`SecretError::Name`] for anything but lower-case letters, digits and `-`.
    pub fn given(name: &str) -> Result<Self, SecretError> {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 100 || !name.bytes().all(fine) {
            return Err(SecretError::Name(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    /// What other services need of what people bring as files: who asks for mail through a relay,
    /// and who gets certificates.
    pub fn brought() -> [Self; 4] {
        ["relay-password", "acme-account-key.pem", "acme-eab-key", "acme-dns-key"]
            .map(|name| Self(name.to_owned()))
    }

    /// The password that an account has by a file; accounts are counted from 0, as in
    /// `appliance.json`: not every address can be the name of a credential.
    pub fn account_credential(index: usize) -> Self {
        Self(format!("account-password-{index}"))
    }

    /// A DKIM key that came as a file; domains are counted from 0, as in `appliance.json`: there they are
    /// A-labels, and whoever names the file may spell them otherwise.
    pub fn dkim_credential(selector: &str, index: usize) -> Self {
        Self(format!("dkim-{selector}-{index}.pem"))
    }

    /// The same for the hash of a password.
    pub fn account_hash_credential(index: usize) -> Self {
        Self(format!("account-hash-{index}"))
    }

    /// The address that [`SecretName::account`] was made from.
    pub fn account_address(&self) -> Option<String> {
        let mut bytes = self.0.strip_prefix(ACCOUNT)?.bytes();
        let mut address = Vec::new();
        while let Some(byte) = bytes.next() {
            address.push(match byte {
                b'%' => {
                    let mut digit = || char::from(bytes.next()?).to_digit(16);
                    u8::try_from(digit()? << 4 | digit()?).ok()?
                }
                byte => byte,
            });
        }
        String::from_utf8(address).ok()
    }

    /// The file name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const ACCOUNT: &str = "account-";

/// An address as part of a file name.
fn escaped(address: &Address) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"@._-+".contains(&b);
    let escaped = address.as_str().bytes().map(|byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// Larger than any key or password; a file beyond it is no secret of ours.
const LARGEST: u64 = 64 * 1024;

/// Why a secret could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A name that cannot be a file name.
    #[error("`{0}` is not a name of a secret: use a-z, 0-9 and `-`, as in `relay-password`")]
    Name(String),
    /// A file could not be read.
    #[error("cannot read the secret {path}: {source}; run this as root or as the user mailkiln")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is not text of a sensible size.
    #[error("the secret {0} is damaged; remove it and run `mailkiln-agent prepare`")]
    Damaged(PathBuf),
    /// A secret that must be there is not.
    #[error("the secret {0} does not exist; run `mailkiln-agent prepare`")]
    Missing(PathBuf),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] DurableError),
}

/// The directory of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    directory: PathBuf,
}

impl Secrets {
    /// The secrets in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Makes the directory, or closes it to others.
    ///
    /// # Errors
    /// [`SecretError::Write`].
    pub fn create_directory(&self) -> Result<(), SecretError> {
        Ok(durable::make_directory(&self.directory, 0o700, None)?)
    }

    /// The file of `name`.
    pub fn path(&self, name: &SecretName) -> PathBuf {
        self.directory.join(name.as_str())
    }

    /// Reads a secret; `None` when it does not exist or is empty (a file system may leave an empty
    /// file behind after a power cut).
    ///
    /// # Errors
    /// [`SecretError::Read`] and [`SecretError::Damaged`].
    pub fn read(&self, name: &SecretName) -> Result<Option<String>, SecretError> {
        let path = self.path(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > LARGEST => return Err(SecretError::Damaged(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        let bytes =
            fs::read(&path).map_err(|source| SecretError::Read { path: path.clone(), source })?;
        let text = String::from_utf8(bytes).map_err(|_| SecretError::Damaged(path))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Reads a secret that people wrote: without the newlines that editors append.
    ///
    /// # Errors
    /// Those of [`Secrets::read`].
    pub fn read_written(&self, name: &SecretName) -> Result<Option<String>, SecretError> {
        let text = self.read(name)?.map(|text| text.trim_end_matches(['\n', '\r']).to_owned());
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// Reads a secret that must exist.
    ///
    /// # Errors
    /// [`SecretError::Missing`] and those of [`Secrets::read`].
    pub fn require(&self, name: &SecretName) -> Result<String, SecretError> {
        self.read(name)?.ok_or_else(|| SecretError::Missing(self.path(name)))
    }

    /// Writes a secret with mode 0600, replacing an older one.
    ///
    /// # Errors
    /// [`SecretError::Write`].
    pub fn write(&self, name: &SecretName, value: &str) -> Result<(), SecretError> {
        Ok(durable::write(&self.path(name), value.as_bytes(), 0o600, None)?)
    }

    /// Removes a secret, which may be gone already.
    ///
    /// # Errors
    /// [`SecretError::Write`].
    pub fn remove(&self, name: &SecretName) -> Result<(), SecretError> {
        Ok(durable::remove(&self.path(name))?)
    }

    /// Moves a secret that makes no sense to `NAME.damaged`, where somebody can look at it.
    /// Returns the new place.
    ///
    /// # Errors
    /// [`SecretError::Read`] when it cannot be moved.
    pub fn set_aside(&self, name: &SecretName) -> Result<PathBuf, SecretError> {
        let path = self.path(name);
        let aside = self.directory.join(format!("{}.damaged", name.as_str()));
        match fs::rename(&path, &aside) {
            Ok(()) => Ok(aside),
            Err(source) => Err(SecretError::Read { path, source }),
        }
    }

    /// Names of the initial account passwords that are still kept, sorted.
    ///
    /// # Errors
    /// [`SecretError::Read`] when the directory cannot be read.
    pub fn initial_passwords(&self) -> Result<Vec<SecretName>, SecretError> {
        let unreadable = |source| SecretError::Read { path: self.directory.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
            if name.starts_with(ACCOUNT) && !name.ends_with(".damaged") {
                names.push(SecretName(name));
            }
        }
        names.sort();
        Ok(names)
    }

    /// Where the secrets are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn address(text: &str) -> Address {
        Address::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn keeps_reads_and_lists() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(directory.path().join("secrets"));
        secrets.create_directory().unwrap();
        let name = SecretName::account(&address("a/b@example.org"));
        assert_eq!(name.as_str(), "account-a%2Fb@example.org");
        assert_eq!(secrets.read(&name).unwrap(), None);
        assert!(matches!(secrets.require(&name), Err(SecretError::Missing(_))));
        secrets.write(&name, "x").unwrap();
        assert_eq!(secrets.require(&name).unwrap(), "x");
        let mode = fs::metadata(secrets.path(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        secrets.write(&SecretName::oauth_key(), "k").unwrap();
        assert_eq!(secrets.initial_passwords().unwrap(), std::slice::from_ref(&name));
        secrets.remove(&name).unwrap();
        assert_eq!(secrets.initial_passwords().unwrap(), []);
    }

    #[test]
    fn empty_is_missing_and_nonsense_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(directory.path());
        let name = SecretName::oauth_key();
        fs::write(secrets.path(&name), "").unwrap();
        assert_eq!(secrets.read(&name).unwrap(), None);
        fs::write(secrets.path(&name), [0xff, 0xfe]).unwrap();
        assert!(matches!(secrets.read(&name), Err(SecretError::Damaged(_))));
        fs::write(secrets.path(&name), vec![b'x'; 70_000]).unwrap();
        assert!(matches!(secrets.read(&name), Err(SecretError::Damaged(_))));
        let aside = secrets.set_aside(&name).unwrap();
        assert!(aside.exists() && secrets.read(&name).unwrap().is_none());
    }

    #[test]
    fn given_names_stay_in_the_directory() {
        assert!(SecretName::given("relay-password").is_ok());
        for bad in ["", "..", "a/b", "A", "x.pem", "a\0"] {
            assert!(SecretName::given(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn account_names_are_file_names_and_differ(a in "[^\\s@<>\"\\\\\\pC]{1,20}", b in "[^\\s@<>\"\\\\\\pC]{1,20}") {
            let names = [&a, &b].map(|local| SecretName::account(&address(&format!("{local}@x.org"))));
            prop_assert!(!names[0].as_str().contains('/'));
            prop_assert_eq!(names[0].account_address(), Some(format!("{a}@x.org").to_lowercase()));
            prop_assert_eq!(a.to_lowercase() == b.to_lowercase(), names[0] == names[1]);
        }
    }
}
