//! A point in time after which nobody waits any longer.
//!
//! In: a duration. Out: what is left of it, as timeouts of sockets want it.

use std::io;
use std::time::{Duration, Instant};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Instant);

impl Deadline {
    /// `duration` from now.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// What is left; never zero, which sockets take for "no timeout".
    ///
    /// # Errors
    /// `TimedOut` when nothing is left.
    pub fn remaining(self) -> io::Result<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    /// Whether it has come.
    pub fn is_over(self) -> bool {
        self.remaining().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes() {
        assert!(!Deadline::after(Duration::from_secs(60)).is_over());
        assert!(Deadline::after(Duration::ZERO).is_over());
    }
}
