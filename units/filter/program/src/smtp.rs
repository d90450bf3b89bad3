//! As much of SMTP as it takes to hand one message to the mail server on this machine.
//!
//! In: an envelope and a message. Out: who will get it. Source: RFC 5321.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The server is on this machine; syncing a large message to a slow card takes a while.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest line of a reply that is read: RFC 5321 section 4.5.3.1.5 has 512.
const LONGEST_LINE: u64 = 4096;

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// No connection, or a broken one.
    #[error("the mail server at {0}: {1}; see `systemctl status mail-server`")]
    Connection(SocketAddr, io::Error),
    /// It said no.
    #[error("the mail server answered {step} with: {answer}")]
    Refused {
        /// To what.
        step: &'static str,
        /// In its words.
        answer: String,
    },
    /// An address that would end its command.
    #[error("the address {0:?} can't be part of an SMTP command")]
    Address(String),
}

/// Who gets a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Recipients that the server took the message for.
    pub accepted: Vec<String>,
    /// Those that it refused, with its words.
    pub refused: Vec<(String, String)>,
}

/// Hands `message` to the server at `server`. `host` is the name that it greets with.
///
/// # Errors
/// [`SmtpError`] when nobody gets the message; recipients that are refused one by one are no error
/// while one is left.
pub fn send(
    server: SocketAddr,
    host: &str,
    sender: &str,
    recipients: &[String],
    message: &[u8],
) -> Result<Outcome, SmtpError> {
    for address in std::iter::once(sender).chain(recipients.iter().map(String::as_str)) {
        if address.chars().any(|it| it.is_control() || matches!(it, '<' | '>')) {
            return Err(SmtpError::Address(address.to_owned()));
        }
    }
    let mut session = Session::open(server)?;
    session.expect("the connection", "220")?;
    session.command("EHLO", &format!("EHLO {host}"), "250")?;
    let eight_bit = if message.is_ascii() { "" } else { " BODY=8BITMIME" };
    let utf8 = if sender.is_ascii() && recipients.iter().all(|it| it.is_ascii()) {
        ""
    } else {
        " SMTPUTF8"
    };
    session.command("MAIL FROM", &format!("MAIL FROM:<{sender}>{eight_bit}{utf8}"), "250")?;
    let mut outcome = Outcome::default();
    for recipient in recipients {
        match session.command("RCPT TO", &format!("RCPT TO:<{recipient}>"), "25") {
            Ok(()) => outcome.accepted.push(recipient.clone()),
            Err(SmtpError::Refused { answer, .. }) => {
                outcome.refused.push((recipient.clone(), answer));
            }
            Err(error) => return Err(error),
        }
    }
    if let ([], Some((_, answer))) = (outcome.accepted.as_slice(), outcome.refused.first()) {
        return Err(SmtpError::Refused { step: "RCPT TO", answer: answer.clone() });
    }
    session.command("DATA", "DATA", "354")?;
    session.send(&stuffed(message))?;
    session.expect("the message", "250")?;
    // The message is the server's now; a lost farewell changes nothing.
    let _ = session.command("QUIT", "QUIT", "221");
    Ok(outcome)
}

struct Session {
    server: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Session {
    fn open(server: SocketAddr) -> Result<Self, SmtpError> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        let stream = stream.map_err(|error| SmtpError::Connection(server, error))?;
        Ok(Self { server, stream: BufReader::new(stream) })
    }

    fn command(&mut self, step: &'static str, line: &str, code: &str) -> Result<(), SmtpError> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.expect(step, code)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), SmtpError> {
        let server = self.server;
        self.stream.get_mut().write_all(bytes).map_err(|it| SmtpError::Connection(server, it))
    }

    /// Reads a reply to its last line (section 4.2.1: the others have `-` after the code).
    fn expect(&mut self, step: &'static str, code: &str) -> Result<(), SmtpError> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line);
            read.map_err(|error| SmtpError::Connection(self.server, error))?;
            let line = String::from_utf8_lossy(&line);
            match (line.starts_with(code), line.as_bytes().get(3)) {
                (true, Some(b'-')) => {}
                (true, _) => return Ok(()),
                (false, _) => {
                    let answer = if line.is_empty() { "nothing" } else { line.trim() };
                    return Err(SmtpError::Refused { step, answer: answer.to_owned() });
                }
            }
        }
    }
}

/// The message and its end. A dot that starts a line is doubled (section 4.5.2); the end needs a
/// line break before it, which is added where the message has none.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 64);
    let mut at_start = true;
    for &byte in message {
        if at_start && byte == b'.' {
            bytes.push(b'.');
        }
        bytes.push(byte);
        at_start = byte == b'\n';
    }
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn dots_are_doubled_and_nothing_else_changes() {
        assert_eq!(stuffed(b"a\r\n.\r\n..b\r\n"), b"a\r\n..\r\n...b\r\n.\r\n");
        assert_eq!(stuffed(b"a\xff\nb"), b"a\xff\nb\r\n.\r\n");
    }

    /// A server that says what it is told to say, one reply after each line and one after the
    /// message, and returns what it heard.
    fn server(script: &'static [&'static str]) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let mut heard = String::new();
            for reply in script {
                stream.get_mut().write_all(reply.as_bytes()).unwrap();
                stream.read_line(&mut heard).unwrap();
                while reply.starts_with("354") && !heard.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut heard).unwrap();
                }
            }
            heard
        });
        (address, heard)
    }

    #[test]
    fn a_message_is_handed_over() {
        let (address, heard) = server(&[
            "220 hi\r\n",
            "250-mail\r\n250 8BITMIME\r\n",
            "250 ok\r\n",
            "550 no such user\r\n",
            "250 ok\r\n",
            "354 go\r\n",
            "250 taken\r\n",
        ]);
        let to = ["a@b.example".to_owned(), "c@d.example".to_owned()];
        let outcome = send(address, "h.example", "s@t.example", &to, b"X: \xc3\xa4\r\n").unwrap();
        assert_eq!(outcome.accepted, ["c@d.example"]);
        assert_eq!(outcome.refused, [("a@b.example".into(), "550 no such user".into())]);
        let expected = "EHLO h.example\r\nMAIL FROM:<s@t.example> BODY=8BITMIME\r\n\
                        RCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nX: ä\r\n.\r\n\
                        QUIT\r\n";
        assert_eq!(heard.join().unwrap(), expected);
    }

    #[test]
    fn an_address_cannot_carry_a_command() {
        let to = ["a@b\r\nDATA".to_owned()];
        let nowhere = "127.0.0.1:1".parse().unwrap();
        assert!(matches!(send(nowhere, "h", "s@t", &to, b""), Err(SmtpError::Address(_))));
    }
}
