//! How old a lock is: a warning, and nothing that could reach an image.
//!
//! In: a lock and the clock. Out: a line for people. Holes become known every week, and a mirror can
//! hide fixes only for as long as nobody asks it for newer ones.

use jiff::Timestamp;
use mailkiln_lock::Lock;

use crate::printer::Printer;

/// Days after which a lock is called old.
const OLD: i64 = 14;

/// Warns of a lock that is older than two weeks.
pub(crate) fn warn(lock: &Lock, printer: &Printer) {
    if let Some(text) = text(lock.snapshot, Timestamp::now()) {
        printer.warning(text);
    }
}

fn text(snapshot: Timestamp, now: Timestamp) -> Option<String> {
    let days = (now.as_second() - snapshot.as_second()) / (24 * 60 * 60);
    (days > OLD).then(|| {
        format!(
            "the lock is {days} days old: `mailkiln lock --audit` lists its known holes, \
             `mailkiln lock --update` moves it"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_weeks_are_fine_and_a_clock_that_is_behind_says_nothing() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let snapshot = at("2026-11-01T00:00:00Z");
        assert_eq!(text(snapshot, at("2026-11-15T23:59:59Z")), None);
        assert_eq!(text(snapshot, at("2026-10-01T00:00:00Z")), None);
        let said = text(snapshot, at("2026-11-16T00:00:00Z")).unwrap();
        assert!(said.contains("15 days old") && said.contains("--update"), "{said}");
    }
}
