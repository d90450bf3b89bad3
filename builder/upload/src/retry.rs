//! How long to wait before the next try.
//!
//! In: which try failed, and what the server asks for. Out: a pause. Doubling with full jitter, so that many
//! clients that failed together do not come back together.

use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

/// How patient a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries in all; at least 1.
    pub tries: u32,
    /// The longest first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// Pause between two looks at a job of the server.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 8,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            look: Duration::from_secs(5),
        }
    }
}

impl Patience {
    /// The pause after try number `failed` (from 1), with `dice` in 0..=1 as the jitter. What the server asks
    /// for is the least, and is itself limited to two minutes.
    pub fn pause(&self, failed: u32, dice: f64, asked: Option<Duration>) -> Duration {
        let doubled = self.first.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let pause = doubled.min(self.longest).mul_f64(dice.clamp(0.0, 1.0));
        asked.map_or(pause, |asked| pause + asked.min(Duration::from_secs(120)))
    }
}

/// A number in 0..=1 that differs between processes and threads.
pub(crate) fn dice() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let patience = Patience::default();
        let full: Vec<u128> =
            (1..=8).map(|failed| patience.pause(failed, 1.0, None).as_millis()).collect();
        assert_eq!(full, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(patience.pause(3, 0.5, None), Duration::from_secs(1));
        assert_eq!(patience.pause(1, 0.0, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(
            patience.pause(1, 0.0, Some(Duration::from_secs(86400))),
            Duration::from_secs(120)
        );
        assert_eq!(patience.pause(u32::MAX, 1.0, None), patience.longest);
        assert!((0.0..=1.0).contains(&dice()));
    }
}
