//! What time it is: an input of everything that decides, so that tests can let weeks pass.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub type Seconds = i64;

/// One hour.
pub const HOUR: Seconds = 60 * 60;
/// One day.
pub const DAY: Seconds = 24 * HOUR;

/// Tells the time.
pub trait Clock {
    /// Seconds since 1970.
    fn now(&self) -> Seconds;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Seconds {
        // A clock before 1970 is as wrong as one at 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Seconds::try_from(since.as_secs()).unwrap_or(Seconds::MAX)
    }
}

/// A point in time as people read it: `2026-11-22 10:30 UTC`.
pub fn display(at: Seconds) -> String {
    match time::OffsetDateTime::from_unix_timestamp(at) {
        Ok(at) => format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute()),
        Err(_) => "at a time that makes no sense".to_owned(),
    }
}
