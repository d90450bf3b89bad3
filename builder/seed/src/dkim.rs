//! DKIM keys, and the records that publish them.
//!
//! In: nothing, or PKCS#8 PEM. Out: PKCS#8 PEM as the agent makes it (`units/agent/src/dkim.rs`),
//! and records. Sources: RFC 6376 section 3.6.1, RFC 8463 section 4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailkiln_dns::DkimKey;
use mailkiln_spec::DomainName;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rsa::pkcs8::der::SecretDocument;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, RsaPublicKey};

use crate::{Secret, SeedError};

/// RFC 8301 section 3.2 asks signers for 2048 bits; longer keys do not fit everywhere in DNS.
const RSA_BITS: usize = 2048;

/// What comes before the 32 bytes of an Ed25519 key in PKCS#8, version 1 (RFC 8410 section 7).
const ED25519_PKCS8: [u8; 16] =
    *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// Selectors, which are also the names of the kinds of keys.
pub(crate) const RSA: &str = "rsa";
pub(crate) const ED25519: &str = "ed25519";

/// The two keys that a domain signs with: PKCS#8 PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimKeys {
    /// RSA with 2048 bits or more, which everybody can check.
    pub rsa: Secret,
    /// Ed25519, which not everybody can check yet.
    pub ed25519: Secret,
}

impl DkimKeys {
    /// Makes new keys; RSA takes about a second.
    pub(crate) fn generate() -> Result<Self, SeedError> {
        let failed = || SeedError::NotMade("a DKIM key");
        let rsa = RsaPrivateKey::new(&mut rand_core::OsRng, RSA_BITS).map_err(|_| failed())?;
        let rsa = rsa.to_pkcs8_pem(LineEnding::LF).map_err(|_| failed())?;
        // Any 32 bytes are a key (RFC 8032 section 5.1.5).
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).map_err(|_| failed())?;
        let ed25519 = pem(&[&ED25519_PKCS8[..], &key].concat()).ok_or_else(failed)?;
        Ok(Self { rsa: Secret::new(rsa.as_str()), ed25519 })
    }

    /// The records that publish them; `None` when one is no key of its kind.
    pub(crate) fn records(&self, domain: &DomainName) -> Option<[DkimKey; 2]> {
        let record = |selector: &str, public: Vec<u8>| DkimKey {
            domain: domain.clone(),
            selector: selector.to_owned(),
            text: format!("v=DKIM1; k={selector}; p={}", STANDARD.encode(public)),
        };
        Some([
            record(RSA, rsa_public(self.rsa.expose())?),
            record(ED25519, ed25519_public(self.ed25519.expose())?),
        ])
    }
}

/// SubjectPublicKeyInfo of an RSA key that is long enough.
pub(crate) fn rsa_public(pem: &str) -> Option<Vec<u8>> {
    let key = RsaPrivateKey::from_pkcs8_pem(pem).ok()?;
    let key = Some(key).filter(|key| key.size() * 8 >= RSA_BITS)?;
    Some(RsaPublicKey::from(&key).to_public_key_der().ok()?.into_vec())
}

/// The 32 bytes of an Ed25519 key's public half.
pub(crate) fn ed25519_public(pem: &str) -> Option<Vec<u8>> {
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8(pem)?.as_bytes()).ok()?;
    Some(key.public_key().as_ref().to_vec())
}

/// PKCS#8 out of PEM (RFC 7468).
pub(crate) fn pkcs8(pem: &str) -> Option<SecretDocument> {
    let (label, document) = SecretDocument::from_pem(pem).ok()?;
    (label == "PRIVATE KEY").then_some(document)
}

/// PEM of PKCS#8.
pub(crate) fn pem(pkcs8: &[u8]) -> Option<Secret> {
    let document = SecretDocument::try_from(pkcs8).ok()?;
    let pem = document.to_pem("PRIVATE KEY", LineEnding::LF).ok()?;
    Some(Secret::new(pem.as_str()))
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
    fn records_are_those_of_the_rfc_and_of_openssl() {
        let domain: DomainName = "example.org".parse().unwrap();
        let made = DkimKeys::generate().unwrap();
        let keys = DkimKeys { ed25519: Secret::new(RFC_8463), ..made.clone() };
        let [rsa, ed25519] = keys.records(&domain).unwrap();
        assert_eq!(
            ed25519.text,
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        );
        for (pem, record, skip) in
            [(&made.rsa, &rsa, 0), (&made.ed25519, &made.records(&domain).unwrap()[1], 12)]
        {
            let mut openssl = Command::new("openssl")
                .args(["pkey", "-pubout", "-outform", "DER"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            openssl.stdin.take().unwrap().write_all(pem.expose().as_bytes()).unwrap();
            let public = openssl.wait_with_output().unwrap().stdout;
            assert!(record.text.ends_with(&format!("p={}", STANDARD.encode(&public[skip..]))));
        }
        // What we print is read back as what it is.
        let zone = mailkiln_dns::zone_file(&[rsa.record(), ed25519.record()]);
        assert_eq!(DkimKey::parse_file(&zone).unwrap(), [rsa, ed25519]);
    }

    #[test]
    fn one_kind_is_not_the_other() {
        let keys = DkimKeys::generate().unwrap();
        for nonsense in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
        {
            assert_eq!((rsa_public(nonsense), ed25519_public(nonsense)), (None, None));
        }
        assert_eq!(rsa_public(keys.ed25519.expose()), None);
        assert_eq!(ed25519_public(keys.rsa.expose()), None);
        assert!(format!("{keys:?}").len() < 80, "no key is shown");
    }
}
