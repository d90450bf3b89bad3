//! DKIM keys of a domain and the records that publish them.
//!
//! In: a domain, or the PEM of a key made earlier. Out: PKCS#8 PEM for the mail server and lines
//! of a zone file. Sources: RFC 6376 section 3.6.1 (records), RFC 8463 section 4 (Ed25519).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};

use crate::appliance::DomainName;
use crate::password;

/// RFC 8301 section 3.2 asks signers for 2048 bits; longer keys do not fit everywhere in DNS.
const RSA_BITS: usize = 2048;

/// What comes before the 32 bytes of an Ed25519 key in PKCS#8, version 1 (RFC 8410 section 7).
/// OpenSSL 3.0 cannot read version 2, which ring writes.
const ED25519_PKCS8: [u8; 16] =
    *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// A kind of DKIM key. Its selector is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with 2048 bits, which everybody can check.
    Rsa,
    /// Ed25519, short and fast, which not everybody can check yet.
    Ed25519,
}

/// All kinds, in the order in which messages are signed.
pub const ALGORITHMS: [Algorithm; 2] = [Algorithm::Rsa, Algorithm::Ed25519];

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DkimError {
    /// A key could not be made.
    #[error("a DKIM key ({0}) could not be made; start the appliance again")]
    NotMade(&'static str),
    /// A text is no private key of its kind.
    #[error("it is not a PKCS#8 private key of the kind {0}")]
    NotAKey(&'static str),
}

impl Algorithm {
    /// The label before `._domainkey`, also part of the secret's name.
    pub fn selector(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Makes a key: PKCS#8 PEM. RSA takes about a second, ten on a small board.
    ///
    /// # Errors
    /// [`DkimError::NotMade`] when the kernel gives no random numbers.
    pub fn generate(self) -> Result<String, DkimError> {
        let failed = || DkimError::NotMade(self.selector());
        match self {
            Self::Rsa => RsaPrivateKey::new(&mut rand_core::OsRng, RSA_BITS)
                .map_err(|_| failed())?
                .to_pkcs8_pem(LineEnding::LF)
                .map(|pem| pem.to_string())
                .map_err(|_| failed()),
            Self::Ed25519 => {
                // Any 32 bytes are a key (RFC 8032 section 5.1.5).
                let key: [u8; 32] = password::random_bytes().map_err(|_| failed())?;
                Ok(to_pem(&[&ED25519_PKCS8[..], &key].concat()))
            }
        }
    }

    /// The record's text for the private key `pem`: `v=DKIM1; k=…; p=…`.
    ///
    /// # Errors
    /// [`DkimError::NotAKey`].
    pub fn record(self, pem: &str) -> Result<String, DkimError> {
        let public = self.public_key(pem).ok_or(DkimError::NotAKey(self.selector()))?;
        Ok(format!("v=DKIM1; k={}; p={}", self.selector(), STANDARD.encode(public)))
    }

    /// What goes into `p=`: SubjectPublicKeyInfo for RSA, the bare 32 bytes for Ed25519.
    fn public_key(self, pem: &str) -> Option<Vec<u8>> {
        match self {
            Self::Rsa => {
                let key = RsaPrivateKey::from_pkcs8_pem(pem).ok()?;
                let key = Some(key).filter(|key| key.size() * 8 >= RSA_BITS)?;
                let der = RsaPublicKey::from(&key).to_public_key_der().ok()?;
                Some(der.into_vec())
            }
            Self::Ed25519 => {
                let der = pem::parse(pem).ok().filter(|pem| pem.tag() == "PRIVATE KEY")?;
                let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.contents()).ok()?;
                Some(key.public_key().as_ref().to_vec())
            }
        }
    }
}

fn to_pem(pkcs8: &[u8]) -> String {
    let unix = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("PRIVATE KEY", pkcs8), unix)
}

/// The record as one line of a zone file. A string in a TXT record has at most 255 bytes, so a
/// long one is cut (RFC 6376 section 3.6.2.2).
pub fn zone_line(algorithm: Algorithm, domain: &DomainName, record: &str) -> String {
    let mut line = format!("{}._domainkey.{domain}. IN TXT", algorithm.selector());
    for string in record.as_bytes().chunks(255) {
        // The record is ASCII, and writing to a String cannot fail.
        let _ = write!(line, " \"{}\"", String::from_utf8_lossy(string));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// The example of RFC 8463, appendix A.2.
    const RFC_8463: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn ed25519_record_is_that_of_the_rfc() {
        assert_eq!(
            Algorithm::Ed25519.record(RFC_8463).unwrap(),
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        );
    }

    #[test]
    fn keys_are_read_by_openssl_and_records_match() {
        for algorithm in ALGORITHMS {
            let pem = algorithm.generate().unwrap();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{algorithm:?}");
            let mut openssl = Command::new("openssl")
                .args(["pkey", "-pubout", "-outform", "DER"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            openssl.stdin.take().unwrap().write_all(pem.as_bytes()).unwrap();
            let public = openssl.wait_with_output().unwrap().stdout;
            let public = match algorithm {
                Algorithm::Rsa => &public[..],
                Algorithm::Ed25519 => &public[12..],
            };
            let record = algorithm.record(&pem).unwrap();
            assert!(record.ends_with(&format!("p={}", STANDARD.encode(public))), "{record}");
            assert_ne!(pem, algorithm.generate().unwrap());
        }
    }

    #[test]
    fn nonsense_is_no_key() {
        for algorithm in ALGORITHMS {
            for text in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
            {
                assert!(algorithm.record(text).is_err());
            }
        }
        assert!(Algorithm::Rsa.record(RFC_8463).is_err());
    }

    #[test]
    fn long_records_are_cut() {
        let domain = DomainName::try_from("example.org".to_owned()).unwrap();
        let line = zone_line(Algorithm::Rsa, &domain, &"x".repeat(300));
        let expected = format!(
            "rsa._domainkey.example.org. IN TXT \"{}\" \"{}\"\n",
            "x".repeat(255),
            "x".repeat(45)
        );
        assert_eq!(line, expected);
    }
}
