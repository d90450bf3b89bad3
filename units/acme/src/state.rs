//! What earlier runs did and what they could not do: `/var/lib/mailkiln-acme/state.json`.
//!
//! It holds no secret, since the agent reads it for the console. Every field has a default, so that
//! an older or damaged file costs at most a new order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mailkiln_store::durable::{self, DurableError};
use serde::{Deserialize, Serialize};

use crate::clock::{DAY, HOUR, Seconds};
use crate::settings::KeyKind;

/// Everything that is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The authority that all of this is about; another one starts from nothing.
    pub directory: String,
    /// An order that was made and whose certificate is not installed yet.
    pub order: Option<PendingOrder>,
    /// The certificate that was installed last.
    pub installed: Option<Installed>,
    /// Set while no attempt succeeds.
    pub failing: Option<Failing>,
    /// Names that are wanted and that the certificate does not have, and why.
    pub left_out: BTreeMap<String, LeftOut>,
    /// When orders were made and certificates given, in the last week.
    pub orders: Vec<Seconds>,
    /// Certificates given: when, and for which names.
    pub given: Vec<(Seconds, Vec<String>)>,
    /// What the authority suggests for the renewal (RFC 9773).
    pub suggested: Option<Suggested>,
    /// When the names were looked at last.
    pub names_checked: Seconds,
}

/// An order under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingOrder {
    /// Its URL.
    pub url: String,
    /// Its names, sorted.
    pub names: Vec<String>,
    /// When it was made.
    pub made: Seconds,
}

/// The installed certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// SHA-256 of its DER, in hex: by it we know our own.
    pub digest: String,
    /// Kind of its key.
    pub key: KeyKind,
    /// Whether it was revoked, so that another one is due.
    #[serde(default)]
    pub revoked: bool,
}

/// Attempts that fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when nothing succeeds.
    pub since: Seconds,
    /// How many attempts there were since.
    pub attempts: u32,
    /// Before this time there is no further one.
    pub next: Seconds,
    /// What went wrong last.
    pub reason: String,
    /// Addresses of the host then, sorted: when they change, a new attempt may succeed.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// A name that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Why.
    pub reason: String,
    /// When the authority could not validate it, in the last day.
    #[serde(default)]
    pub refused: Vec<Seconds>,
    /// Before this time the authority is not asked about it again.
    #[serde(default)]
    pub next: Seconds,
}

/// What the authority suggests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggested {
    /// Digest of the certificate that it is about.
    pub digest: String,
    /// Renew from here,
    pub start: Seconds,
    /// to here.
    pub end: Seconds,
    /// When to ask again.
    pub ask: Seconds,
}

/// Pause after the first failure; it doubles until it is [`LONGEST`]. So no name is validated more
/// than four times in an hour: Let's Encrypt allows five failures an hour for each name.
const FIRST: Seconds = 15 * 60;
const LONGEST: Seconds = DAY;
/// Longest wait that an authority can ask for; its limits are counted by the week.
const LONGEST_ASKED: Seconds = 8 * DAY;

impl State {
    /// Reads the state; what makes no sense is nothing.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Keeps the state, on the medium.
    ///
    /// # Errors
    /// [`DurableError`]; the old state is then untouched.
    pub fn write(&self, path: &Path) -> Result<(), DurableError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        durable::write(path, text.as_bytes(), 0o644, None)
    }

    /// For an authority: what another one said does not count.
    pub fn at(self, directory: &str) -> Self {
        if self.directory == directory {
            return self;
        }
        // Without `installed` the certificate in use would look like a stranger's.
        let installed = self.installed.map(|installed| Installed { revoked: true, ..installed });
        Self { directory: directory.to_owned(), installed, ..Self::default() }
    }

    /// Forgets what no limit counts any more, and pauses that only a clock which ran ahead can have made.
    pub fn tidy(&mut self, now: Seconds) {
        let recent = |at: &Seconds| *at <= now && now - *at < 8 * DAY;
        self.orders.retain(recent);
        self.given.retain(|(at, _)| recent(at));
        for left_out in self.left_out.values_mut() {
            left_out.refused.retain(|at| *at <= now && now - *at < DAY);
            if left_out.next > now + 2 * LONGEST {
                left_out.next = now;
            }
        }
        if let Some(failing) = &mut self.failing {
            failing.since = failing.since.min(now);
            if failing.next > now + LONGEST_ASKED {
                failing.next = now;
            }
        }
        self.names_checked = self.names_checked.min(now);
    }

    /// Remembers a failure. `asked` is for how many seconds the authority wants to be left alone;
    /// `spread`, from 0 to 1, sets the machines of the world apart.
    pub fn failed(&mut self, reason: String, asked: Option<Seconds>, now: Seconds, spread: f64) {
        let earlier = self.failing.take();
        let attempts = earlier.as_ref().map_or(0, |failing| failing.attempts);
        let pause = pause(attempts, spread).max(asked.unwrap_or(0).clamp(0, LONGEST_ASKED));
        self.failing = Some(Failing {
            since: earlier.map_or(now, |failing| failing.since),
            attempts: attempts.saturating_add(1),
            next: now + pause,
            reason,
            addresses: Vec::new(),
        });
    }

    /// Remembers that the authority could not validate a name.
    pub fn refused(&mut self, name: &str, reason: String, now: Seconds, spread: f64) {
        let entry = self.left_out.entry(name.to_owned()).or_insert_with(|| LeftOut {
            reason: String::new(),
            refused: Vec::new(),
            next: 0,
        });
        let earlier = u32::try_from(entry.refused.len()).unwrap_or(u32::MAX);
        entry.next = now + pause(earlier, spread);
        entry.refused.push(now);
        entry.reason = reason;
    }

    /// Whether nothing has succeeded for three days.
    pub fn failing_for_days(&self, now: Seconds) -> Option<Seconds> {
        let failing = self.failing.as_ref()?;
        let days = (now - failing.since) / DAY;
        (days >= 3).then_some(days)
    }
}

/// 15 minutes, 30, an hour … a day; a tenth more or less.
fn pause(earlier: u32, spread: f64) -> Seconds {
    let doubled = FIRST.saturating_mul(1 << earlier.min(10)).min(LONGEST);
    // At most a day: no digit is lost.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    let tenth = (doubled as f64 * 0.1 * spread) as Seconds;
    doubled + tenth
}

/// How long a name that points elsewhere, or an appliance without any DNS, waits: asking the DNS
/// costs nobody anything.
pub const DNS_PAUSE: Seconds = HOUR / 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_ever_more_slowly_and_never_stop() {
        let (mut state, mut now) = (State::default(), 1_790_000_000);
        let mut attempts = Vec::new();
        for _ in 0..12 {
            state.failed("no".to_owned(), None, now, 0.5);
            attempts.push(now);
            now = state.failing.as_ref().unwrap().next;
        }
        let in_an_hour = attempts.iter().filter(|at| **at < attempts[0] + HOUR).count();
        assert!(in_an_hour <= 4, "{in_an_hour}");
        let last = attempts[11] - attempts[10];
        assert!((DAY..=DAY + DAY / 10).contains(&last), "{last}");
        assert_eq!(state.failing.as_ref().unwrap().since, attempts[0]);
        assert_eq!(state.failing_for_days(attempts[0] + 3 * DAY), Some(3));
        assert_eq!(state.failing_for_days(attempts[0] + 2 * DAY), None);
    }

    #[test]
    fn the_authority_may_ask_for_more_but_not_for_ever() {
        let mut state = State::default();
        state.failed("limit".to_owned(), Some(7 * DAY), 1000, 0.0);
        assert_eq!(state.failing.as_ref().unwrap().next, 1000 + 7 * DAY);
        state.failed("limit".to_owned(), Some(9_000 * DAY), 1000, 0.0);
        assert_eq!(state.failing.as_ref().unwrap().next, 1000 + 8 * DAY);
    }

    #[test]
    fn a_clock_that_ran_ahead_does_not_stop_us() {
        let mut state = State { orders: vec![9_000_000_000], ..State::default() };
        state.failed("no".to_owned(), None, 9_000_000_000, 0.0);
        state.refused("a.org", "no".to_owned(), 9_000_000_000, 0.0);
        state.tidy(1_790_000_000);
        let failing = state.failing.unwrap();
        assert!(failing.next <= 1_790_000_000 + 8 * DAY && failing.since <= 1_790_000_000);
        assert!(state.orders.is_empty() && state.left_out["a.org"].refused.is_empty());
    }

    #[test]
    fn damaged_state_is_no_state_and_another_authority_starts_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        assert_eq!(State::read(&path), State::default());
        fs::write(&path, "{\"orders\": [1").unwrap();
        assert_eq!(State::read(&path), State::default());
        let mut state = State { directory: "https://a".to_owned(), ..State::default() };
        state.failed("no".to_owned(), None, 1, 0.0);
        state.write(&path).unwrap();
        assert_eq!(State::read(&path).at("https://a"), state);
        assert_eq!(State::read(&path).at("https://b").failing, None);
    }
}
