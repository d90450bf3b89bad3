//! The key of the certificate: made once, kept across renewals.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mailkiln_store::durable::{self, DurableError};
use mailkiln_store::journal;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};

use crate::settings::KeyKind;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It could not be made.
    #[error("the certificate's key could not be made: {0}")]
    Make(String),
    /// It could not be read.
    #[error("cannot read {0}: {1}; run this as root or as the user mailkiln-acme")]
    Read(PathBuf, #[source] io::Error),
    /// It could not be kept.
    #[error(transparent)]
    Write(#[from] DurableError),
}

/// A private key.
pub struct Key {
    pem: String,
    pair: KeyPair,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// The one at `path` when it is of this kind; else a new one, which is kept there first.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn at(path: &Path, kind: KeyKind, anew: bool) -> Result<Self, KeyError> {
        let kept = match fs::read_to_string(path) {
            Ok(text) => Self::parse(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(KeyError::Read(path.to_owned(), error)),
        };
        match kept {
            Some(key) if !anew && key.is(kind) => Ok(key),
            _ => {
                let key = Self::generate(kind)?;
                durable::write(path, key.pem.as_bytes(), 0o600, None)?;
                journal::note("made a key for the certificate: TLSA records change with it");
                Ok(key)
            }
        }
    }

    fn parse(pem: String) -> Option<Self> {
        let pair = KeyPair::from_pem(&pem).ok()?;
        Some(Self { pem, pair })
    }

    fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let pem = match kind {
            KeyKind::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
                .map_err(|error| KeyError::Make(error.to_string()))?
                .serialize_pem()
                .replace('\r', ""),
            KeyKind::Rsa2048 => rsa(2048)?,
            KeyKind::Rsa4096 => rsa(4096)?,
        };
        Self::parse(pem).ok_or_else(|| KeyError::Make("it cannot be read back".to_owned()))
    }

    fn is(&self, kind: KeyKind) -> bool {
        let bits = 8 * self.pair.public_key_raw().len();
        match kind {
            KeyKind::EcdsaP256 => self.pair.algorithm() == &PKCS_ECDSA_P256_SHA256,
            // Modulus, exponent and their headers.
            KeyKind::Rsa2048 => (2048..2400).contains(&bits),
            KeyKind::Rsa4096 => (4096..4400).contains(&bits),
        }
    }

    /// PKCS#8 PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The bits of the public half, to compare with a certificate's.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key_raw()
    }

    /// DER of a request for a certificate for `names` (RFC 2986).
    ///
    /// # Errors
    /// [`KeyError::Make`].
    pub fn request(&self, names: &[String]) -> Result<Vec<u8>, KeyError> {
        let made = CertificateParams::new(names.to_vec()).and_then(|mut params| {
            params.distinguished_name = DistinguishedName::new();
            params.serialize_request(&self.pair)
        });
        made.map(|request| request.der().to_vec())
            .map_err(|error| KeyError::Make(error.to_string()))
    }
}

/// Returns true if the key at `path` is the one of this certificate, so that a certificate with a new key needs another.
/// A key that no certificate has used yet, left by an order that failed, is new already.
pub fn is_used(path: &Path, public: Option<&[u8]>) -> bool {
    public.is_some_and(|public| fits(&fs::read_to_string(path).unwrap_or_default(), public))
}

/// Whether `key` (PEM) is the private half of `public`.
pub fn fits(key: &str, public: &[u8]) -> bool {
    KeyPair::from_pem(key).is_ok_and(|pair| pair.public_key_raw() == public)
}

fn rsa(bits: usize) -> Result<String, KeyError> {
    let made = rsa::RsaPrivateKey::new(&mut rand_core::OsRng, bits)
        .map_err(|error| KeyError::Make(error.to_string()))?;
    let pem =
        made.to_pkcs8_pem(LineEnding::LF).map_err(|error| KeyError::Make(error.to_string()))?;
    Ok(pem.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_kept_until_another_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        let first = Key::at(&path, KeyKind::EcdsaP256, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Key::at(&path, KeyKind::EcdsaP256, false).unwrap().pem(), first.pem());
        assert!(fits(first.pem(), first.public()) && !fits("x", first.public()));
        // Runs that fail before an order is stored do not make a key each.
        assert!(!is_used(&path, None), "no certificate has used it");
        assert!(is_used(&path, Some(first.public())));
        assert!(!is_used(&path, Some(b"another")) && !is_used(Path::new("/none"), Some(b"x")));
        let second = Key::at(&path, KeyKind::EcdsaP256, true).unwrap();
        assert_ne!(second.pem(), first.pem());
        let rsa = Key::at(&path, KeyKind::Rsa2048, false).unwrap();
        assert!(rsa.is(KeyKind::Rsa2048) && !rsa.is(KeyKind::Rsa4096));
        assert_eq!(Key::at(&path, KeyKind::Rsa2048, false).unwrap().pem(), rsa.pem());
        assert!(!rsa.request(&["a.org".to_owned()]).unwrap().is_empty());
        fs::write(&path, "half").unwrap();
        assert!(Key::at(&path, KeyKind::EcdsaP256, false).is_ok());
    }
}
