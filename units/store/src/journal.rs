//! What a program tells the journal: standard error, one line each, with systemd's priorities.
//!
//! In: lines. Out: the same, prefixed as sd-daemon(3) describes. No secret may be passed here.

use std::io::Write as _;

/// Something was done.
pub fn note(text: &str) {
    line(6, text);
}

/// Something is off; the program goes on.
pub fn warn(text: &str) {
    line(4, text);
}

/// A command failed.
pub fn error(text: &str) {
    line(3, text);
}

fn line(priority: u8, text: &str) {
    let mut stderr = std::io::stderr().lock();
    // On a terminal the prefix is noise; without the journal there is nobody to read it.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        writeln!(stderr, "<{priority}>{text}")
    } else {
        writeln!(stderr, "{text}")
    };
}
