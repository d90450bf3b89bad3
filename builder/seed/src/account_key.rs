//! The key of the account with the authority that gives certificates (RFC 8555 section 7.3).
//!
//! In: nothing, or PEM. Out: PKCS#8 PEM of a P-256 key, which every authority takes (ES256).

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use crate::{Secret, SeedError, dkim};

/// Makes a key.
pub(crate) fn generate() -> Result<Secret, SeedError> {
    let made =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok();
    let pem = made.and_then(|document| dkim::pem(document.as_ref()));
    pem.ok_or(SeedError::NotMade("the ACME account's key"))
}

/// Whether it is such a key.
pub(crate) fn fits(pem: &str) -> bool {
    dkim::pkcs8(pem).is_some_and(|document| {
        EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            document.as_bytes(),
            &SystemRandom::new(),
        )
        .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_and_differ_and_others_do_not() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert!(fits(one.expose()) && one != two);
        assert!(!fits(crate::DkimKeys::generate().unwrap().ed25519.expose()) && !fits(""));
    }
}
