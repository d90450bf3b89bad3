//! Secrets at rest: ChaCha20-Poly1305 (RFC 8439) under a key that is not in the database. The key of a session's secrets is made
//! from its cookie, so a stolen database opens nothing.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};

use crate::random::{self, NoRandomness};

/// Bytes of keys and of what keys are made from.
pub(crate) const KEY: usize = 32;

/// SHA-256 of `secret`, told apart by `purpose`: no purpose's value says anything about another's.
pub(crate) fn derive(purpose: &str, secret: &[u8]) -> [u8; KEY] {
    let mut context = Context::new(&SHA256);
    context.update(b"mailkiln-web ");
    context.update(purpose.as_bytes());
    context.update(&[0]);
    context.update(secret);
    let mut key = [0; KEY];
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// Seals `plain`; `place` says where it belongs, and it opens nowhere else.
pub(crate) fn seal(key: &[u8; KEY], place: &str, plain: &[u8]) -> Result<Vec<u8>, NoRandomness> {
    let nonce = random::bytes::<NONCE_LEN>()?;
    let mut sealed = plain.to_vec();
    let aad = Aad::from(place.as_bytes());
    // A key has the right length and no text of ours is too long to be sealed.
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| NoRandomness)?;
    LessSafeKey::new(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .map_err(|_| NoRandomness)?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens what [`seal`] returned for the same key and place.
pub(crate) fn open(key: &[u8; KEY], place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut bytes = sealed.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?);
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut bytes).ok()?;
    Some(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_its_key_at_its_place_and_whole() {
        let key = derive("test", b"cookie");
        let sealed = seal(&key, "here", b"secret").unwrap();
        assert_eq!(open(&key, "here", &sealed).as_deref(), Some(&b"secret"[..]));
        assert_eq!(open(&key, "there", &sealed), None);
        assert_eq!(open(&derive("test", b"other"), "here", &sealed), None);
        assert_eq!(open(&derive("other", b"cookie"), "here", &sealed), None);
        for length in 0..sealed.len() {
            assert_eq!(open(&key, "here", &sealed[..length]), None);
        }
        assert_ne!(seal(&key, "here", b"secret").unwrap(), sealed);
    }
}
