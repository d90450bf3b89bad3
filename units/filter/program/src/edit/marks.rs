//! The `X-Mailkiln-*` fields: those that we add, and those that strangers must not bring along.

use mailkiln_inspect::Finding;

use super::{body_start, fields};

/// What every field of ours begins with, lower case.
const PREFIX: &[u8] = b"x-mailkiln-";
/// Whether the filter has seen the message.
pub const FILTER: &str = "X-Mailkiln-Filter";
/// One for each finding.
pub const FINDING: &str = "X-Mailkiln-Finding";
/// Findings that are written into a header; the journal has them all.
const MOST: usize = 10;
/// Longest value of a field, in bytes: RFC 5322 section 2.1.1 allows lines of 998.
const LONGEST: usize = 900;

/// The names, as they are written, of fields that only we may set and that the message has already.
/// Names repeat as often as the fields do.
pub fn foreign(message: &[u8]) -> Vec<String> {
    let header = message.get(..body_start(message)).unwrap_or_default();
    let ours =
        |name: &[u8]| name.get(..PREFIX.len()).is_some_and(|it| it.eq_ignore_ascii_case(PREFIX));
    fields(header)
        .into_iter()
        .filter(|(name, _)| ours(name))
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// The fields for a message with these findings, of which the parts in `stripped` were taken out.
pub fn findings(findings: &[Finding], stripped: &[usize]) -> Vec<(String, String)> {
    let field = |(index, finding): (usize, &Finding)| {
        let removed = if stripped.contains(&index) { "; removed" } else { "" };
        let mut value = ascii(&finding.to_string());
        value.truncate(LONGEST);
        (FINDING.to_owned(), value + removed)
    };
    // Those that weigh most, in the order of the message; each is put above the one before.
    let mut told: Vec<(usize, &Finding)> = findings.iter().enumerate().collect();
    told.sort_by_key(|(index, finding)| (!stripped.contains(index), finding.class.rank()));
    told.truncate(MOST);
    told.sort_by_key(|(index, _)| *index);
    told.into_iter().map(field).rev().collect()
}

/// The field for a message that was let through without a look.
pub fn unseen(why: &str) -> (String, String) {
    let mut value = ascii(&format!("not scanned: {why}"));
    value.truncate(LONGEST);
    (FILTER.to_owned(), value)
}

/// Text with everything beyond printable ASCII as `\u{…}`: what a header and an SMTP reply can
/// carry.
pub fn ascii(text: &str) -> String {
    let printable = |it: char| it == ' ' || it.is_ascii_graphic();
    text.chars()
        .flat_map(|it| if printable(it) { vec![it] } else { it.escape_unicode().collect() })
        .collect()
}

#[cfg(test)]
mod tests {
    use mailkiln_inspect::Class;

    use super::*;

    #[test]
    fn fields_of_strangers_are_found_however_they_are_written() {
        let message = b"X-Mailkiln-Filter: clean\r\nSubject: x\r\nx-MAILKILN-Finding : no\r\n\
                        X-Mailkiln-Filter: clean\r\n\r\nX-Mailkiln-Body: stays\r\n";
        let expected = ["X-Mailkiln-Filter", "x-MAILKILN-Finding ", "X-Mailkiln-Filter"];
        assert_eq!(foreign(message), expected);
    }

    #[test]
    fn findings_become_one_line_each() {
        let finding = |name: &str| Finding {
            class: Class::Executable,
            part: Some(1),
            place: vec!["ü.zip".into(), name.into()],
            reason: "a program".into(),
        };
        let got = findings(&[finding("a\r\nb.exe"), finding(&"c".repeat(2000))], &[0]);
        let (name, value) = &got[1];
        assert_eq!(name, FINDING);
        assert_eq!(value, "executable: a program (\\u{fc}.zip > a\\u{d}\\u{a}b.exe); removed");
        assert_eq!(got[0].1.len(), LONGEST);
    }
}
