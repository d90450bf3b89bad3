//! Times as text: for names, mail and people. All in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    // A clock before 1970 is one that was never set; the names then start with 1970 too.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn date_time(seconds: u64) -> OffsetDateTime {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `20261122-103833`.
pub fn compact(seconds: u64) -> String {
    let at = date_time(seconds);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}{:02}{day:02}-{hour:02}{minute:02}{second:02}", u8::from(month))
}

/// `2026-11-22 10:38`.
pub fn readable(seconds: u64) -> String {
    let at = date_time(seconds);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, _) = at.to_hms();
    format!("{year:04}-{:02}-{day:02} {hour:02}:{minute:02}", u8::from(month))
}

/// `Sun, 22 Nov 2026 10:38:33 +0000`: RFC 5322 section 3.3.
pub fn mail_date(seconds: u64) -> String {
    let at = date_time(seconds);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    let (weekday, month) = (at.weekday().to_string(), month.to_string());
    let short = |name: &str| name.chars().take(3).collect::<String>();
    let (weekday, month) = (short(&weekday), short(&month));
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_text() {
        let at = 1_795_343_913;
        assert_eq!(compact(at), "20261122-103833");
        assert_eq!(readable(at), "2026-11-22 10:38");
        assert_eq!(mail_date(at), "Sun, 22 Nov 2026 10:38:33 +0000");
        assert_eq!(compact(u64::MAX), "19700101-000000");
    }
}
