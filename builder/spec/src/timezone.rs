//! Time zones that the appliance knows.
//!
//! In: the name of a zone. Out: the same name, or why not.

use crate::problem::{Flaw, nearest, shown};

/// The zones in Debian 13's package `tzdata` (2026f), one a line, sorted by byte. Older names such
/// as `US/Eastern` are in `tzdata-legacy`, which no image carries.
const ZONES: &str = include_str!("../data/timezones.txt");

/// The name, if the appliance has that zone.
pub(crate) fn parse(text: &str) -> Result<String, Flaw> {
    if ZONES.lines().any(|zone| zone == text) {
        return Ok(text.to_owned());
    }
    let city = |zone: &'static str| zone.rsplit('/').next().unwrap_or(zone);
    let by_city = ZONES.lines().find(|zone| city(zone).eq_ignore_ascii_case(text));
    let help = match by_city.or_else(|| nearest(text, ZONES.lines())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "write an IANA name like `Europe/Berlin` or `UTC`".to_owned(),
    };
    let message = format!("`{}` is not a time zone", shown(text));
    Err(Flaw::new(message, "not in the time zone database", help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_or_suggested() {
        assert!(ZONES.lines().is_sorted());
        for known in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"] {
            assert_eq!(parse(known).unwrap(), known);
        }
        for (unknown, help) in [
            ("Europe/Berlim", "did you mean `Europe/Berlin`?"),
            ("berlin", "did you mean `Europe/Berlin`?"),
            ("europe/berlin", "did you mean `Europe/Berlin`?"),
            ("US/Eastern", "write an IANA name like `Europe/Berlin` or `UTC`"),
            ("../../etc/passwd", "write an IANA name like `Europe/Berlin` or `UTC`"),
            ("", "write an IANA name like `Europe/Berlin` or `UTC`"),
        ] {
            assert_eq!(parse(unknown).unwrap_err().help, help, "{unknown}");
        }
    }
}
