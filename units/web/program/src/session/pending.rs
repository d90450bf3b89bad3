//! Between two pages: passwords that wait for a code, and secrets that wait to be confirmed. In memory, for minutes, sealed by a key
//! that only the browser has.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cookie;
use crate::random::NoRandomness;
use crate::seal;

/// How long something waits.
const LIFE: Duration = Duration::from_secs(300);
/// How many wait; the oldest make room.
const MOST: usize = 1024;
/// Wrong answers that end the waiting.
const TRIES: u32 = 5;

#[derive(Debug)]
struct Waiting {
    until: Instant,
    tries: u32,
    sealed: Vec<u8>,
}

/// What waits, by browser and purpose.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<BTreeMap<[u8; 32], Waiting>>);

fn keys(secret: &cookie::Secret, purpose: &str) -> ([u8; 32], [u8; 32]) {
    let of = |what: &str| seal::derive(&format!("pending {what} {purpose}"), secret);
    (of("id"), of("key"))
}

impl Pending {
    /// Keeps `value` for the browser with this cookie, instead of what waited there for the same purpose.
    pub(crate) fn put(
        &self,
        secret: &cookie::Secret,
        purpose: &str,
        value: &[u8],
    ) -> Result<(), NoRandomness> {
        let (id, key) = keys(secret, purpose);
        let sealed = seal::seal(&key, purpose, value)?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        all.retain(|_, waiting| waiting.until > now);
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, waiting)| waiting.until).map(|(id, _)| *id);
            oldest.map(|oldest| all.remove(&oldest));
        }
        all.insert(id, Waiting { until: now + LIFE, tries: 0, sealed });
        Ok(())
    }

    /// What waits, for one more try; after the last it is gone.
    pub(crate) fn try_take(&self, secret: &cookie::Secret, purpose: &str) -> Option<Vec<u8>> {
        let (id, key) = keys(secret, purpose);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = all.get_mut(&id).filter(|waiting| waiting.until > Instant::now())?;
        waiting.tries += 1;
        let (sealed, last) = (waiting.sealed.clone(), waiting.tries >= TRIES);
        if last {
            all.remove(&id);
        }
        seal::open(&key, purpose, &sealed)
    }

    /// Forgets it.
    pub(crate) fn remove(&self, secret: &cookie::Secret, purpose: &str) {
        let (id, _) = keys(secret, purpose);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_tries_of_one_browser() {
        let pending = Pending::default();
        pending.put(&[1; 32], "sign-in", b"value").unwrap();
        assert_eq!(pending.try_take(&[2; 32], "sign-in"), None);
        assert_eq!(pending.try_take(&[1; 32], "other"), None);
        for _ in 0..TRIES {
            assert_eq!(pending.try_take(&[1; 32], "sign-in").as_deref(), Some(&b"value"[..]));
        }
        assert_eq!(pending.try_take(&[1; 32], "sign-in"), None);
    }

    #[test]
    fn memory_is_bounded() {
        let pending = Pending::default();
        for number in 0..2000_u32 {
            let mut secret = [0; 32];
            secret[..4].copy_from_slice(&number.to_be_bytes());
            pending.put(&secret, "sign-in", b"").unwrap();
        }
        assert_eq!(pending.0.lock().unwrap().len(), MOST);
    }
}
