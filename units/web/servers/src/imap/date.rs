//! Dates of IMAP, in both directions.

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Date {
    /// A day, if there is one of that number.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        ((1..=days).contains(&day) && (1..=9999).contains(&year)).then_some(Date { year, month, day })
    }

    /// Reads `2026-11-28`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if (year.len(), month.len() <= 2, day.len() <= 2) != (4, true, true) {
            return None;
        }
        Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// `28-Nov-2026`.
    pub(crate) fn for_imap(self) -> String {
        format!("{}-{}-{:04}", self.day, MONTHS[usize::from(self.month) - 1], self.year)
    }

    /// Days since 1 January 1970. Source: H. Hinnant, `chrono-Compatible Low-Level Date Algorithms`.
    fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }
}

/// Reads an INTERNALDATE, ` 2-Nov-2026 14:05:09 +0100`, as seconds since 1 January 1970 UTC.
pub fn internal_date(text: &str) -> Option<i64> {
    let mut words = text.split_ascii_whitespace();
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let mut parts = date.splitn(3, '-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let date = Date::new(year.parse().ok()?, u8::try_from(month + 1).ok()?, day.parse().ok()?)?;
    let mut clock = time.splitn(3, ':').map(|part| part.parse::<u8>().ok().map(i64::from));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let offset: i64 = i64::from(digits.parse::<u16>().ok()?);
    let offset = sign * (offset / 100 * 3600 + offset % 100 * 60);
    Some(date.days() * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        assert_eq!(internal_date(" 1-Jan-1970 00:00:00 +0000"), Some(0));
        assert_eq!(internal_date("28-Nov-2026 14:00:30 +0130"), Some(1_795_869_030));
        assert_eq!(internal_date("29-Feb-2000 23:59:59 -0100"), Some(951_872_399));
        for bad in ["", "30-Feb-2026 1:1:1 +0000", "1-Jan-2026", "1-Foo-2026 1:1:1 +0000"] {
            assert_eq!(internal_date(bad), None, "{bad}");
        }
        assert_eq!(Date::parse("2026-02-03").unwrap().for_imap(), "3-Feb-2026");
        for bad in ["2026-2-30", "26-01-01", "2026", "2026-13-01", "x-1-1", "2026-01-001"] {
            assert_eq!(Date::parse(bad), None, "{bad}");
        }
    }
}
