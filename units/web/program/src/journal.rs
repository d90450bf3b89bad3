//! Lines for the journal: errors and warnings on standard error with systemd's level, accesses on
//! standard output. Text from outside is escaped, so that nobody can write a line of their own.

use std::fmt::Write as _;

/// Something failed.
pub fn error(text: &str) {
    write(std::io::stderr(), "<3>", text);
}

/// Something is not as it should be.
pub fn warning(text: &str) {
    write(std::io::stderr(), "<4>", text);
}

/// What an administrator may want to know.
pub fn notice(text: &str) {
    write(std::io::stderr(), "<5>", text);
}

/// One answered request.
pub fn access(text: &str) {
    write(std::io::stdout(), "", text);
}

/// A journal that has gone away must not end the service.
fn write(mut out: impl std::io::Write, level: &str, text: &str) {
    let line = format!("{level}mailkiln-web: {}\n", escaped(text));
    let _ = out.write_all(line.as_bytes());
}

/// `text` on one line, without control characters and what turns the direction of writing.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns = matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            // Writing to a String cannot fail.
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(letter));
        } else {
            safe.push(letter);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_writes_a_line_of_their_own() {
        assert_eq!(super::escaped("a\r\nb\u{1b}[2J\u{202e}"), "a\\u{d}\\u{a}b\\u{1b}[2J\\u{202e}");
        assert_eq!(super::escaped("Grüße"), "Grüße");
    }
}
