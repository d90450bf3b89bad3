//! As much of IMAP as it takes to find, read and delete messages of one mailbox.
//!
//! In: a TLS connection, an account and its password. Out: messages. Source: RFC 9051, whose
//! literals (`{12}` at the end of a line) are the one thing that makes it more than lines.

use crate::tls::{Connection, TlsError};

/// Answers of more lines than this come from a mailbox that is not the probe's.
const MOST_LINES: usize = 10_000;

/// A session after LOGIN, in INBOX.
#[derive(Debug)]
pub struct Inbox {
    connection: Connection,
    tag: u32,
}

impl Inbox {
    /// Logs in and opens INBOX.
    ///
    /// # Errors
    /// [`TlsError`] with the step and the server's answer.
    pub fn open(mut connection: Connection, user: &str, password: &str) -> Result<Self, TlsError> {
        let greeting = connection.read_line()?;
        if !greeting.starts_with("* OK") {
            return Err(connection.refused("the connection", &greeting));
        }
        let mut inbox = Self { connection, tag: 0 };
        inbox.command(&format!("LOGIN {} {}", quoted(user), quoted(password)), "LOGIN")?;
        inbox.command("SELECT INBOX", "SELECT")?;
        Ok(inbox)
    }

    /// UIDs of the messages, ascending. Asks anew, so what has just come is among them.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn messages(&mut self) -> Result<Vec<u32>, TlsError> {
        // What arrived after SELECT is announced, and found, only after a command that may announce it.
        self.command("NOOP", "NOOP")?;
        let found = self.command("UID SEARCH ALL", "SEARCH")?;
        let mut uids: Vec<u32> = found.iter().flat_map(|line| search_result(line)).collect();
        uids.sort_unstable();
        Ok(uids)
    }

    /// The text of a message, without its header.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn read(&mut self, uid: u32) -> Result<String, TlsError> {
        Ok(self.command(&format!("UID FETCH {uid} BODY.PEEK[TEXT]"), "FETCH")?.join("\n"))
    }

    /// Returns true when the mailbox shows that its owner was there: a message is read or gone, or lies
    /// where only a mail program puts it. A login alone leaves no trace.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn was_used(&mut self) -> Result<bool, TlsError> {
        for folder in ["Sent Items", "Drafts", "Deleted Items"] {
            // One that the server was told not to make holds nothing either.
            let status =
                self.command(&format!("STATUS {} (MESSAGES UIDNEXT)", quoted(folder)), "STATUS");
            let lines = match status {
                Err(TlsError::Answer { .. }) => continue,
                other => other?,
            };
            if lines.iter().filter_map(|line| counts(line)).any(|it| it.messages > 0 || it.next > 1)
            {
                return Ok(true);
            }
        }
        let lines = self.command("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)", "STATUS")?;
        Ok(lines
            .iter()
            .filter_map(|line| counts(line))
            .any(|it| it.unseen < it.messages || it.messages < it.next.saturating_sub(1)))
    }

    /// Deletes every message of INBOX.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn empty(&mut self) -> Result<(), TlsError> {
        self.command("UID STORE 1:* +FLAGS.SILENT (\\Deleted)", "STORE")?;
        self.command("EXPUNGE", "EXPUNGE").map(drop)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn close(mut self) -> Result<(), TlsError> {
        self.command("LOGOUT", "LOGOUT").map(drop)
    }

    /// Sends a command and collects the untagged responses, literals in place, until its own.
    fn command(&mut self, text: &str, name: &'static str) -> Result<Vec<String>, TlsError> {
        self.tag += 1;
        let tag = format!("k{}", self.tag);
        self.connection.send(&format!("{tag} {text}\r\n"))?;
        let mut responses = Vec::new();
        loop {
            let mut response = self.connection.read_line()?;
            if let Some(status) = response.strip_prefix(&tag) {
                return if status.trim_start().starts_with("OK") {
                    Ok(responses)
                } else {
                    Err(self.connection.refused(name, status))
                };
            }
            while let Some(length) = literal(&response) {
                let bytes = self.connection.read_exact(length)?;
                response.push('\n');
                response.push_str(&String::from_utf8_lossy(&bytes));
                response.push_str(&self.connection.read_line()?);
            }
            responses.push(response);
            if responses.len() > MOST_LINES {
                return Err(self.connection.refused(name, "an answer that does not end"));
            }
        }
    }
}

/// What `* STATUS INBOX (MESSAGES 2 UNSEEN 1 UIDNEXT 3)` says of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    messages: u32,
    unseen: u32,
    next: u32,
}

fn counts(line: &str) -> Option<Counts> {
    let (_, list) = line.strip_prefix("* STATUS ")?.rsplit_once('(')?;
    let mut words = list.trim_end().strip_suffix(')')?.split_ascii_whitespace();
    let mut counts = Counts::default();
    while let (Some(word), Some(number)) = (words.next(), words.next()) {
        let number = number.parse().ok()?;
        match word.to_ascii_uppercase().as_str() {
            "MESSAGES" => counts.messages = number,
            "UNSEEN" => counts.unseen = number,
            "UIDNEXT" => counts.next = number,
            _ => {}
        }
    }
    Some(counts)
}

/// The length of the literal that follows a line ending with `{N}`, at most 64 KiB.
fn literal(line: &str) -> Option<usize> {
    let (_, length) = line.strip_suffix('}')?.rsplit_once('{')?;
    length.parse().ok().filter(|length| *length <= 64 * 1024)
}

/// The UIDs in `* SEARCH 1 2` (RFC 3501) or `* ESEARCH (TAG "k1") UID ALL 1:3,7` (RFC 9051).
fn search_result(line: &str) -> Vec<u32> {
    if let Some(numbers) = line.strip_prefix("* SEARCH") {
        return numbers.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
    }
    let set = line.strip_prefix("* ESEARCH").and_then(|line| line.split_once(" ALL "));
    let set = set.map_or("", |(_, set)| set).split([' ', ')']).next().unwrap_or_default();
    // Both ends of a range: the newest message is at one of them.
    set.split([',', ':']).filter_map(|uid| uid.parse().ok()).collect()
}

/// A quoted string (RFC 9051 section 4.3).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads a foreign line.
pub(crate) fn fuzz(line: &str) {
    let _ = (literal(line), search_result(line), counts(line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals() {
        for (line, expected) in [
            ("* 1 FETCH (UID 3 BODY[TEXT] {12}", Some(12)),
            ("* OK {x}", None),
            ("* OK 12}", None),
            ("* OK {99999999}", None),
            ("* OK", None),
        ] {
            assert_eq!(literal(line), expected, "{line}");
        }
    }

    #[test]
    fn search_results() {
        for (line, expected) in [
            ("* SEARCH", &[][..]),
            ("* SEARCH 4 9", &[4, 9]),
            ("* ESEARCH (TAG \"k3\") UID ALL 3", &[3]),
            ("* ESEARCH (TAG \"k3\") UID ALL 1:3,7", &[1, 3, 7]),
            ("* ESEARCH (TAG \"k3\") UID", &[]),
            ("* 3 EXISTS", &[]),
        ] {
            assert_eq!(search_result(line), expected, "{line}");
        }
    }

    #[test]
    fn counts_of_folders() {
        let expected = Counts { messages: 2, unseen: 1, next: 3 };
        for (line, found) in [
            ("* STATUS INBOX (MESSAGES 2 UNSEEN 1 UIDNEXT 3)", Some(&expected)),
            ("* STATUS \"Sent Items\" (UIDNEXT 3 MESSAGES 2 unseen 1)", Some(&expected)),
            ("* STATUS INBOX (MESSAGES x)", None),
            ("* 3 EXISTS", None),
        ] {
            assert_eq!(counts(line).as_ref(), found, "{line}");
        }
    }

    #[test]
    fn quotes() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }

    proptest! {
        #[test]
        fn never_panics(line in ".{0,80}") {
            let _ = (literal(&line), search_result(&line));
        }
    }
}
