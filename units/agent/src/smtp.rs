//! As much of SMTP as it takes to submit one message.
//!
//! In: a TLS connection, an account and its password, a message. Out: the server's promise to
//! deliver it. Sources: RFC 5321, RFC 4954 (AUTH), RFC 4616 (PLAIN).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::appliance::{Address, DomainName};
use crate::tls::{Connection, TlsError};

/// Submits `message` (lines end with CRLF) from `account` to `recipient`.
///
/// # Errors
/// [`TlsError`] with the step and the server's answer.
pub fn submit(
    connection: &mut Connection,
    host: &DomainName,
    account: &Address,
    password: &str,
    recipient: &Address,
    message: &str,
) -> Result<(), TlsError> {
    let plain = STANDARD.encode(format!("\0{account}\0{password}"));
    expect(connection, "the connection", "220")?;
    command(connection, &format!("EHLO {host}"), "EHLO", "250")?;
    command(connection, &format!("AUTH PLAIN {plain}"), "AUTH PLAIN", "235")?;
    command(connection, &format!("MAIL FROM:<{account}>"), "MAIL FROM", "250")?;
    command(connection, &format!("RCPT TO:<{recipient}>"), "RCPT TO", "250")?;
    command(connection, "DATA", "DATA", "354")?;
    connection.send(&stuffed(message))?;
    expect(connection, "the message", "250")?;
    // The message is the server's now; a lost farewell changes nothing.
    let _ = command(connection, "QUIT", "QUIT", "221");
    Ok(())
}

fn command(
    connection: &mut Connection,
    line: &str,
    name: &'static str,
    code: &str,
) -> Result<(), TlsError> {
    connection.send(&format!("{line}\r\n"))?;
    expect(connection, name, code)
}

/// Reads a reply to its last line (RFC 5321 section 4.2.1: the others have `-` after the code).
fn expect(connection: &mut Connection, to: &'static str, code: &str) -> Result<(), TlsError> {
    loop {
        let line = connection.read_line()?;
        match (line.starts_with(code), line.as_bytes().get(3)) {
            (true, Some(b'-')) => {}
            (true, _) => return Ok(()),
            (false, _) => return Err(connection.refused(to, &line)),
        }
    }
}

/// The message and its end; a dot that starts a line is doubled (RFC 5321 section 4.5.2).
fn stuffed(message: &str) -> String {
    let mut text = String::with_capacity(message.len() + 8);
    for line in message.lines() {
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(line);
        text.push_str("\r\n");
    }
    text + ".\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled() {
        assert_eq!(stuffed("a\r\n.\r\n..b\r\n"), "a\r\n..\r\n...b\r\n.\r\n");
        assert_eq!(stuffed(""), ".\r\n");
    }
}
