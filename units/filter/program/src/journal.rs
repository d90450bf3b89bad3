//! What the filter tells the journal: standard error, one line each, with systemd's priorities.
//!
//! In: lines, which may hold names from messages. Out: the same without control characters,
//! prefixed as sd-daemon(3) describes.

use std::io::Write as _;

/// Something was done.
pub fn note(text: &str) {
    line(6, text);
}

/// Something is off; the filter goes on.
pub fn warn(text: &str) {
    line(4, text);
}

/// Somebody has to do something.
pub fn error(text: &str) {
    line(3, text);
}

fn line(priority: u8, text: &str) {
    let text: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let mut stderr = std::io::stderr().lock();
    // On a terminal the prefix is noise; without the journal there is nobody to read it.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        writeln!(stderr, "<{priority}>{text}")
    } else {
        writeln!(stderr, "{text}")
    };
}
