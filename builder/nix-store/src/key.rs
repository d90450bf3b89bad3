//! What signs the records of a cache.
//!
//! In: random bytes, or the text of a key file. Out: the public key that users are told, and signatures. The texts are those
//! of `nix-store --generate-binary-cache-key`: `NAME:BASE64`, of 64 bytes (seed and public key) or of 32.

use std::slice;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use nix_narinfo::{NixSignature, TrustedPublicKey};

/// Signs for a name. Neither `Debug` nor an error shows it.
#[derive(Clone)]
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

/// A text is no secret key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name can't be told from the key, or from other keys.
    #[error("`{0}` can't be a key's name: take letters, digits and ._-, as in cache.example.org-1")]
    Name(String),
    /// Not `NAME:BASE64` with 64 bytes that belong together.
    #[error("this is not a secret key of a binary cache; `mailkiln keygen` creates one")]
    Secret,
}

impl SecretKey {
    /// The key that these random bytes make.
    ///
    /// # Errors
    /// [`KeyError::Name`] unless the name is of letters, digits and `._-`.
    pub fn new(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(KeyError::Name(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) })
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// [`KeyError::Secret`] when it is none, without saying what it is.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, encoded) = text.trim_end().split_once(':').ok_or(KeyError::Secret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Secret)?;
        let bytes: [u8; 64] = bytes.try_into().map_err(|_| KeyError::Secret)?;
        let key = SigningKey::from_keypair_bytes(&bytes).map_err(|_| KeyError::Secret)?;
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(KeyError::Secret);
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// The text of a key file: a secret.
    pub fn to_secret_text(&self) -> String {
        format!("{}:{}", self.name, STANDARD.encode(self.key.to_keypair_bytes()))
    }

    /// What goes into `trusted-public-keys`.
    pub fn public_text(&self) -> String {
        format!("{}:{}", self.name, STANDARD.encode(self.key.verifying_key().to_bytes()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A signature over `message`, as `NAME:BASE64`. Messages of different kinds must begin
    /// differently, so that none can be taken for another.
    pub fn signature(&self, message: &[u8]) -> String {
        format!("{}:{}", self.name, STANDARD.encode(self.sign(message)))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

/// The key among `keys` that has made this signature, `NAME:BASE64`, over `message`.
pub fn signed_by<'a>(
    message: &[u8],
    signature: &str,
    keys: &'a [TrustedPublicKey],
) -> Option<&'a TrustedPublicKey> {
    let signature = NixSignature::parse(signature).ok()?;
    let made_by =
        |key: &&TrustedPublicKey| signature.verify(message, slice::from_ref(*key)) == Ok(true);
    keys.iter().find(made_by)
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Nix 2.26: `nix-store --generate-binary-cache-key test-1 SECRET PUBLIC`.
    const SECRET: &str = "test-1:ulPAxdLKtaYM88xCiBle4XVSjZW3I9cpemIggQmBSFGqLgES0eEGYilrrHI9aF8lcZtjHQbWRjlEPP7u6NnhHA==";
    const PUBLIC: &str = "test-1:qi4BEtHhBmIpa6xyPWhfJXGbYx0G1kY5RDz+7ujZ4Rw=";

    #[test]
    fn a_key_of_nix_is_read_and_written() {
        let key = SecretKey::parse(SECRET).unwrap();
        assert_eq!(key.public_text(), PUBLIC);
        assert_eq!(key.to_secret_text(), SECRET);
        assert_eq!(SecretKey::parse(&format!("{SECRET}\n")).unwrap().public_text(), PUBLIC);
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let key = SecretKey::parse(SECRET).unwrap();
        let keys = [
            TrustedPublicKey::parse(&SecretKey::new("test-1", [1; 32]).unwrap().public_text())
                .unwrap(),
            TrustedPublicKey::parse(PUBLIC).unwrap(),
        ];
        let signature = key.signature(b"a");
        assert_eq!(signed_by(b"a", &signature, &keys), Some(&keys[1]));
        assert_eq!(signed_by(b"b", &signature, &keys), None);
        assert_eq!(signed_by(b"a", &signature, &keys[..1]), None);
        for wrong in
            ["", "test-1", "test-1:", "test-1:AAAA", &signature.replace("test-1", "test-2")]
        {
            assert_eq!(signed_by(b"a", wrong, &keys), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_shows_the_secret() {
        let key = SecretKey::parse(SECRET).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey { name: \"test-1\", .. }");
        let broken = SECRET.replace("test-1:", "test-1:A");
        let error = SecretKey::parse(&broken).unwrap_err();
        assert_eq!(error, KeyError::Secret);
        assert!(!format!("{error}{error:?}").contains(&SECRET[12..20]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let short = format!("a:{}", STANDARD.encode([0; 63]));
        // The halves do not belong together.
        let unmatched = format!("a:{}", STANDARD.encode([7; 64]));
        for text in
            ["", "a", "a:", "a:!", &short, &unmatched, &SECRET[6..], &SECRET.replace("-", " ")]
        {
            assert_eq!(SecretKey::parse(text).unwrap_err(), KeyError::Secret, "{text}");
        }
        for name in ["", "a:b", "a b", "a\n", "ä"] {
            assert_eq!(SecretKey::new(name, [1; 32]).unwrap_err(), KeyError::Name(name.into()));
        }
        assert!(SecretKey::new("cache.example.org-1", [1; 32]).is_ok());
    }
}
