//! Who may take how much of the workers: a share for each client, and a memory of what was slow.
//!
//! A message that took too long comes again, as it was deferred; so does its sender. The first is
//! deferred at once for an hour, the second after the third such message.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::ScanError;

/// How long a message that was slow, and a client that sent several, are remembered.
const MEMORY: Duration = Duration::from_secs(3600);
/// Slow messages within [`MEMORY`] that a client may send.
const MOST_SLOW: usize = 3;
/// Messages of one client that are looked into or wait at a time.
const SHARE: usize = 8;
/// What is remembered at most; the oldest goes.
const MOST_REMEMBERED: usize = 4096;

/// SHA-256 of what stays the same when a message is sent again.
pub(super) type Digest = [u8; 32];

/// Fields that a message keeps when it is sent again; those of the way differ each time.
const KEPT: [&[u8]; 6] =
    [b"from", b"date", b"subject", b"message-id", b"content-type", b"content-transfer-encoding"];

/// The digest of what a message's author wrote: another message with the same text is another one.
pub(super) fn digest(message: &[u8]) -> Digest {
    let (header, body) = message.split_at(crate::edit::body_start(message).min(message.len()));
    let mut hash = Sha256::new();
    let mut is_kept = false;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
            is_kept = KEPT.iter().any(|kept| kept.eq_ignore_ascii_case(name));
        }
        if is_kept {
            hash.update(line);
        }
    }
    hash.update(body);
    hash.finalize().into()
}

/// What is known about clients and messages.
#[derive(Debug, Default)]
pub(super) struct Share {
    at_work: BTreeMap<String, usize>,
    slow: BTreeMap<Digest, Instant>,
    senders: BTreeMap<String, Vec<Instant>>,
}

impl Share {
    /// Counts a message in, or says why it is not looked into.
    pub(super) fn enter(
        &mut self,
        client: Option<&str>,
        digest: Digest,
        now: Instant,
    ) -> Result<(), ScanError> {
        let is_fresh = |then: &Instant| now.duration_since(*then) < MEMORY;
        if self.slow.get(&digest).is_some_and(is_fresh) {
            return Err(ScanError::Slow("the same message took too long within the last hour"));
        }
        let Some(client) = client else { return Ok(()) };
        let times = self.senders.get(client).map(Vec::as_slice).unwrap_or_default();
        if times.iter().filter(|then| is_fresh(then)).count() >= MOST_SLOW {
            return Err(ScanError::Slow("its client sent several messages that took too long"));
        }
        let count = self.at_work.entry(client.to_owned()).or_default();
        if *count >= SHARE {
            return Err(ScanError::Busy);
        }
        *count += 1;
        Ok(())
    }

    /// Counts a message out, and remembers one that was slow.
    pub(super) fn leave(
        &mut self,
        client: Option<&str>,
        digest: Digest,
        is_slow: bool,
        now: Instant,
    ) {
        if let Some(client) = client
            && let Some(count) = self.at_work.get_mut(client)
        {
            *count -= 1;
            if *count == 0 {
                self.at_work.remove(client);
            }
        }
        if !is_slow {
            return;
        }
        self.slow.retain(|_, then| now.duration_since(*then) < MEMORY);
        if self.slow.len() >= MOST_REMEMBERED {
            let oldest = self.slow.iter().min_by_key(|(_, then)| **then).map(|(digest, _)| *digest);
            oldest.map(|digest| self.slow.remove(&digest));
        }
        self.slow.insert(digest, now);
        if let Some(client) = client {
            self.senders.retain(|_, times| {
                times.retain(|then| now.duration_since(*then) < MEMORY);
                !times.is_empty()
            });
            if self.senders.len() < MOST_REMEMBERED {
                self.senders.entry(client.to_owned()).or_default().push(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_slow_is_not_looked_into_again_within_the_hour() {
        let mut share = Share::default();
        let now = Instant::now();
        let slow = digest(b"Received: one\r\nSubject: a\r\n b\r\n\r\nbody");
        share.enter(Some("192.0.2.1"), slow, now).unwrap();
        share.leave(Some("192.0.2.1"), slow, true, now);
        let again = digest(b"Received: two\r\n and more\r\nSubject: a\r\n b\r\n\r\nbody");
        assert!(matches!(share.enter(None, again, now), Err(ScanError::Slow(_))));
        for other in [&b"Subject: a\r\n b\r\n\r\nother"[..], b"Subject: a\r\n c\r\n\r\nbody"] {
            assert!(share.enter(None, digest(other), now).is_ok());
        }
        assert!(share.enter(None, again, now + MEMORY).is_ok());
    }

    #[test]
    fn a_client_has_its_share_and_no_more() {
        let mut share = Share::default();
        let now = Instant::now();
        for number in 0..SHARE {
            share.enter(Some("a"), [number as u8; 32], now).unwrap();
        }
        assert_eq!(share.enter(Some("a"), [99; 32], now), Err(ScanError::Busy));
        assert_eq!(share.enter(Some("b"), [99; 32], now), Ok(()));
        share.leave(Some("a"), [0; 32], false, now);
        assert_eq!(share.enter(Some("a"), [99; 32], now), Ok(()));
        for number in 0..MOST_SLOW {
            share.leave(Some("a"), [number as u8 + 100; 32], true, now);
        }
        assert!(matches!(share.enter(Some("a"), [0; 32], now), Err(ScanError::Slow(_))));
    }
}
