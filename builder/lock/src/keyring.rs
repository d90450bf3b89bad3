//! Keys that may sign an archive, and what a signature must fulfil to count.
//!
//! In: OpenPGP certificates (RFC 9580), ASCII-armoured. Out: a [`Keyring`] that tells who signed
//! a text. The cryptography is the `pgp` crate's; expiry, revocation and accepted hash
//! algorithms are judged here. Pure: the time is handed in.

use jiff::Timestamp;
use mailkiln_pin::Archive;
use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, VerifyingKey};

/// Debian's keys for trixie; `keys/README.md` says where they are from.
const DEBIAN: [(Archive, &[u8]); 3] = [
    (Archive::Debian, include_bytes!("../keys/debian-archive-trixie-automatic.asc")),
    (Archive::Debian, include_bytes!("../keys/debian-archive-trixie-stable.asc")),
    (Archive::Security, include_bytes!("../keys/debian-archive-trixie-security-automatic.asc")),
];

/// Certificates and the archive that each may sign.
#[derive(Debug, Clone)]
pub struct Keyring {
    certificates: Vec<Certificate>,
}

#[derive(Debug, Clone)]
struct Certificate {
    archive: Archive,
    key: SignedPublicKey,
    life: Life,
}

/// From when until when a key may be used, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Life {
    begin: i64,
    end: Option<i64>,
}

/// A certificate that can't be trusted with anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an OpenPGP certificate.
    #[error("an archive key can't be read: {0}")]
    Malformed(String),
    /// Its owner has revoked it.
    #[error("the archive key {0} has been revoked by its owner: update mailkiln")]
    Revoked(String),
    /// Nothing in it is signed by the key itself.
    #[error("the archive key {0} has no valid self-signature")]
    Unbound(String),
}

/// A signature by a known key that does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The text is not what was signed.
    #[error("the signature by {signer} does not fit the text: it was altered on its way")]
    Wrong {
        /// Fingerprint of the primary key.
        signer: String,
    },
    /// Made with a hash algorithm that can be forged.
    #[error("the signature by {signer} uses {algorithm}, which can be forged")]
    Weak {
        /// Fingerprint of the primary key.
        signer: String,
        /// Name of the algorithm.
        algorithm: String,
    },
    /// Made before the key existed or after it expired, or the key has expired since.
    #[error("the key {signer} is or was not valid at {at}: update mailkiln if your clock is right")]
    KeyExpired {
        /// Fingerprint of the primary key.
        signer: String,
        /// The moment that counts.
        at: Timestamp,
    },
    /// Made in the future, or no longer valid by its own word.
    #[error("the signature by {signer} is not valid at {now}: is the clock right?")]
    OutOfTime {
        /// Fingerprint of the primary key.
        signer: String,
        /// What the clock says.
        now: Timestamp,
    },
    /// Made with a subkey that was revoked or may not sign.
    #[error("the signature was made with a subkey of {signer} that may not sign")]
    Subkey {
        /// Fingerprint of the primary key.
        signer: String,
    },
}

/// How far a server's clock may be ahead of ours, in seconds.
pub(crate) const CLOCK_SKEW: i64 = 24 * 3600;

impl Keyring {
    /// Debian's archive keys for trixie.
    pub fn debian() -> Result<Self, KeyError> {
        Self::read(&DEBIAN)
    }

    /// Reads armoured certificates, each with the archive that it may sign.
    pub fn read(keys: &[(Archive, &[u8])]) -> Result<Self, KeyError> {
        let certificates = keys.iter().map(|(archive, bytes)| Certificate::read(*archive, bytes));
        Ok(Self { certificates: certificates.collect::<Result<_, _>>()? })
    }

    /// The archives and the fingerprints of the primary keys that may sign them.
    pub fn fingerprints(&self) -> impl Iterator<Item = (Archive, String)> {
        self.certificates.iter().map(|certificate| (certificate.archive, certificate.name()))
    }

    /// Fingerprint of the primary key behind a signature on `text`, or `None` when no key for
    /// `archive` is named by the signature.
    pub(crate) fn signer(
        &self,
        archive: Archive,
        signature: &Signature,
        text: &[u8],
        now: Timestamp,
    ) -> Result<Option<String>, SignatureError> {
        for certificate in self.certificates.iter().filter(|one| one.archive == archive) {
            if is_issued_by(signature, &certificate.key.primary_key) {
                let life = certificate.life;
                certificate.check(&certificate.key.primary_key, &[life], signature, text, now)?;
                return Ok(Some(certificate.name()));
            }
            for subkey in &certificate.key.public_subkeys {
                if is_issued_by(signature, &subkey.key) {
                    let lives = [certificate.life, certificate.subkey_life(subkey)?];
                    certificate.check(&subkey.key, &lives, signature, text, now)?;
                    return Ok(Some(certificate.name()));
                }
            }
        }
        Ok(None)
    }
}

impl Certificate {
    fn read(archive: Archive, bytes: &[u8]) -> Result<Self, KeyError> {
        let (key, _) = SignedPublicKey::from_armor_single(bytes)
            .map_err(|error| KeyError::Malformed(error.to_string()))?;
        let name = fingerprint(&key.primary_key);
        if key
            .details
            .revocation_signatures
            .iter()
            .any(|one| one.verify_key(&key.primary_key).is_ok())
        {
            return Err(KeyError::Revoked(name));
        }
        let newest = self_signatures(&key).max_by_key(|signature| made_at(signature));
        let Some(newest) = newest else { return Err(KeyError::Unbound(name)) };
        let life = Life::of(&key.primary_key, newest);
        Ok(Self { archive, life, key })
    }

    fn name(&self) -> String {
        fingerprint(&self.key.primary_key)
    }

    /// How long a subkey may be used, if it is bound to the primary key, not revoked, and may sign.
    fn subkey_life(&self, subkey: &SignedPublicSubKey) -> Result<Life, SignatureError> {
        let primary = &self.key.primary_key;
        let refused = || SignatureError::Subkey { signer: self.name() };
        subkey.verify_bindings(primary).map_err(|_| refused())?;
        if subkey.signatures.iter().any(|one| one.typ() == Some(SignatureType::SubkeyRevocation)) {
            return Err(refused());
        }
        let newest = subkey
            .signatures
            .iter()
            .filter(|one| is_strong(one.hash_alg()) && one.key_flags().sign())
            .max_by_key(|one| made_at(one))
            .ok_or_else(refused)?;
        Ok(Life::of(&subkey.key, newest))
    }

    fn check(
        &self,
        key: &impl VerifyingKey,
        lives: &[Life],
        signature: &Signature,
        text: &[u8],
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let signer = self.name();
        if !is_strong(signature.hash_alg()) {
            let algorithm =
                signature.hash_alg().map_or("nothing".to_owned(), |one| one.to_string());
            return Err(SignatureError::Weak { signer, algorithm });
        }
        let of_text = matches!(signature.typ(), Some(SignatureType::Text | SignatureType::Binary));
        if !of_text || signature.verify(key, text).is_err() {
            return Err(SignatureError::Wrong { signer });
        }
        let (made, seconds) = (made_at(signature), now.as_second());
        let expired = signature
            .signature_expiration_time()
            .is_some_and(|life| life.as_secs() > 0 && seconds > made + i64::from(life.as_secs()));
        if expired || made > seconds + CLOCK_SKEW {
            return Err(SignatureError::OutOfTime { signer, now });
        }
        for at in [made, seconds] {
            if !lives.iter().all(|life| life.holds(at)) {
                let at = Timestamp::from_second(at).unwrap_or(now);
                return Err(SignatureError::KeyExpired { signer, at });
            }
        }
        Ok(())
    }
}

impl Life {
    /// RFC 9580 §5.2.3.13: expiration counts from the key's creation; 0 is never.
    fn of(key: &impl KeyDetails, binding: &Signature) -> Self {
        let begin = i64::from(key.created_at().as_secs());
        let seconds = binding.key_expiration_time().map_or(0, |life| life.as_secs());
        Self { begin, end: (seconds > 0).then(|| begin + i64::from(seconds)) }
    }

    fn holds(self, at: i64) -> bool {
        self.begin <= at && self.end.is_none_or(|end| at < end)
    }
}

/// Certifications that a key has made of its own user ids or of itself, if they are good.
fn self_signatures(key: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let primary = &key.primary_key;
    let users = key.details.users.iter().flat_map(move |user| {
        user.signatures.iter().filter(move |signature| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && is_issued_by(signature, primary)
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
    });
    let direct = key.details.direct_signatures.iter();
    let direct = direct.filter(move |signature| signature.verify_key(primary).is_ok());
    users.chain(direct).filter(|signature| is_strong(signature.hash_alg()))
}

/// Whether the signature says that this key made it. Others are not tried: a hint is part of
/// every signature that archives make.
fn is_issued_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    signature.issuer_fingerprint().contains(&&key.fingerprint())
        || signature.issuer_key_id().contains(&&key.legacy_key_id())
}

fn made_at(signature: &Signature) -> i64 {
    signature.created().map_or(0, |at| i64::from(at.as_secs()))
}

/// Collisions are known for MD5 and SHA-1; RIPEMD-160 and SHA-224 are short.
fn is_strong(algorithm: Option<HashAlgorithm>) -> bool {
    matches!(
        algorithm,
        Some(
            HashAlgorithm::Sha256
                | HashAlgorithm::Sha384
                | HashAlgorithm::Sha512
                | HashAlgorithm::Sha3_256
                | HashAlgorithm::Sha3_512
        )
    )
}

fn fingerprint(key: &impl KeyDetails) -> String {
    format!("{:X}", key.fingerprint())
}
