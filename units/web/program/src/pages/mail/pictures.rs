//! Images that stand in a message, for its frame. A frame without scripts and origin sends no cookie, so the address itself has
//! to be the proof: 192 random bits that are good for a few minutes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use crate::random;

const GOOD_FOR: Duration = Duration::from_secs(300);
/// All of them together; the oldest go.
const MOST_BYTES: usize = 16 << 20;
/// Where they are served.
pub(super) const PATH: &str = "/mail/picture/";

#[derive(Debug)]
struct Picture {
    token: String,
    kind: &'static str,
    bytes: Bytes,
    until: Instant,
}

/// The images that frames may ask for now.
#[derive(Debug, Default)]
pub(crate) struct Pictures(Mutex<VecDeque<Picture>>);

impl Pictures {
    /// The address of an image for the next minutes.
    pub(super) fn put(&self, kind: &'static str, bytes: Vec<u8>) -> Option<String> {
        if bytes.len() > MOST_BYTES / 4 {
            return None;
        }
        let token = URL_SAFE_NO_PAD.encode(random::bytes::<24>().ok()?);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        all.retain(|picture| picture.until > now);
        let mut sum = all.iter().map(|picture| picture.bytes.len()).sum::<usize>() + bytes.len();
        while sum > MOST_BYTES {
            sum -= all.pop_front().map_or(sum, |picture| picture.bytes.len());
        }
        let address = format!("{PATH}{token}");
        all.push_back(Picture { token, kind, bytes: bytes.into(), until: now + GOOD_FOR });
        Some(address)
    }

    /// The image at an address, and its type.
    pub(super) fn get(&self, token: &str) -> Option<(&'static str, Bytes)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|picture| picture.token == token && picture.until > Instant::now())?;
        Some((found.kind, found.bytes.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_good_for_its_image_and_memory_is_bounded() {
        let pictures = Pictures::default();
        let first = pictures.put("image/png", vec![1; 100]).unwrap();
        let token = first.strip_prefix(PATH).unwrap();
        assert_eq!(pictures.get(token).unwrap().1.len(), 100);
        assert!(pictures.get("").is_none() && pictures.get(&token[1..]).is_none());
        for _ in 0..10 {
            pictures.put("image/png", vec![1; 4 << 20]).unwrap();
        }
        assert!(pictures.get(token).is_none(), "the oldest went");
        assert!(pictures.put("image/png", vec![1; 5 << 20]).is_none());
    }
}
