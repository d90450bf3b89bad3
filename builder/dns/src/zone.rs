//! Records as a zone file (RFC 1035, 5.1).
//!
//! In: records. Out: lines that any name server loads, every name absolute, so that they can be
//! pasted into a zone whatever its origin.

use std::fmt::Write as _;

use crate::{Data, Record};

/// How long a record may be kept by those who asked, in seconds.
const TTL: u32 = 3600;
/// Longest character-string in a TXT record, in bytes (RFC 1035, 3.3).
const LONGEST_STRING: usize = 255;

/// The records as lines of a zone file.
pub fn zone_file(records: &[Record]) -> String {
    let mut zone = String::new();
    for record in records {
        let (name, kind) = (&record.name, record.data.kind());
        let data = match &record.data {
            Data::Address(ip) => ip.to_string(),
            Data::Alias(_) | Data::Mx(..) | Data::Srv { .. } => format!("{}.", record.data),
            Data::Tlsa(data) => data.clone(),
            Data::Text(text) => quoted(text),
        };
        // Writing to a string can't fail.
        let _ = writeln!(zone, "{name}. {TTL} IN {kind} {data}");
    }
    zone
}

/// Text as quoted strings of at most 255 bytes, with what is not plain ASCII as `\DDD`.
fn quoted(text: &str) -> String {
    let strings = text.as_bytes().chunks(LONGEST_STRING).map(|bytes| {
        let mut string = String::from("\"");
        for &byte in bytes {
            match byte {
                b'"' | b'\\' => string.extend(['\\', char::from(byte)]),
                b' '..=b'~' => string.push(char::from(byte)),
                _ => string.push_str(&format!("\\{byte:03}")),
            }
        }
        string + "\""
    });
    let strings: Vec<String> = strings.collect();
    if strings.is_empty() { "\"\"".to_owned() } else { strings.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_and_split() {
        for (text, expected) in [
            ("", "\"\"".to_owned()),
            ("v=spf1 -all", "\"v=spf1 -all\"".to_owned()),
            ("a\"b\\c;", "\"a\\\"b\\\\c;\"".to_owned()),
            ("é\t", "\"\\195\\169\\009\"".to_owned()),
            (&"x".repeat(255), format!("\"{}\"", "x".repeat(255))),
            (&"x".repeat(256), format!("\"{}\" \"x\"", "x".repeat(255))),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}
