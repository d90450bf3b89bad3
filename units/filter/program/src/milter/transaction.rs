//! One message on its way: envelope and bytes, gathered from packets.
//!
//! In: frames of a connection. Out: a [`Transaction`] when the mail server says that it is whole.

use super::frame::Frame;

/// Commands of the mail server: `SMFIC_*`.
pub(super) const ABORT: u8 = b'A';
const BODY: u8 = b'B';
const CONNECT: u8 = b'C';
const MACRO: u8 = b'D';
const END_OF_BODY: u8 = b'E';
const HELO: u8 = b'H';
const MAIL: u8 = b'M';
const QUIT: u8 = b'Q';
const RCPT: u8 = b'R';

/// Most recipients of one message; our mail server takes 100.
const MOST_RECIPIENTS: usize = 10_000;
/// The macro with the login of somebody who has logged in.
const LOGIN: &[u8] = b"{auth_authen}";

/// A message and where it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The client that handed it in, as the mail server says it: `192.0.2.7`.
    pub client: String,
    /// Envelope sender without brackets; empty for reports of delivery.
    pub sender: String,
    /// Envelope recipients without brackets, at least one.
    pub recipients: Vec<String>,
    /// Who has logged in, if anybody.
    pub login: Option<String>,
    /// The message, header and body, as it came in.
    pub message: Vec<u8>,
}

/// What to do after a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Read on.
    More,
    /// The message is whole.
    Whole,
    /// The mail server has said goodbye.
    Quit,
}

/// A packet that makes no sense here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TransactionError {
    /// A command that was not negotiated.
    #[error("the mail server sent the command {0:#04x}, which was not agreed on")]
    Command(u8),
    /// A text without its end.
    #[error("an envelope that is not text ended by a zero byte")]
    Text,
    /// Nobody gets that much mail.
    #[error("more than {MOST_RECIPIENTS} recipients")]
    Recipients,
}

impl Transaction {
    /// Takes one packet in. The message's size is limited by the caller, who counts it.
    ///
    /// # Errors
    /// [`TransactionError`]; the connection is of no use then.
    pub fn take(&mut self, frame: Frame) -> Result<Step, TransactionError> {
        match frame.code {
            ABORT => self.next(),
            BODY => {
                if self.message.is_empty() {
                    self.message = frame.data;
                } else {
                    self.message.extend_from_slice(&frame.data);
                }
            }
            CONNECT => self.client = client(&frame.data).unwrap_or_default(),
            HELO => {}
            MACRO => self.macros(&frame.data),
            MAIL => {
                // A message that was given up without a word: nothing of it is part of this one.
                self.sender = address(&frame.data)?;
                self.recipients.clear();
                self.message = Vec::new();
            }
            RCPT if self.recipients.len() == MOST_RECIPIENTS => {
                return Err(TransactionError::Recipients);
            }
            RCPT => self.recipients.push(address(&frame.data)?),
            END_OF_BODY => return Ok(Step::Whole),
            QUIT => return Ok(Step::Quit),
            other => return Err(TransactionError::Command(other)),
        }
        Ok(Step::More)
    }

    /// What is left when a message is done or given up: the connection's client.
    pub fn next(&mut self) {
        *self = Self { client: std::mem::take(&mut self.client), ..Self::default() };
    }

    /// `CODE NAME \0 VALUE \0 …`; only the login is of interest, and only the one of `MAIL`.
    fn macros(&mut self, data: &[u8]) {
        let Some((&MAIL, pairs)) = data.split_first() else { return };
        let mut texts = pairs.split(|byte| *byte == 0);
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            if name == LOGIN && !value.is_empty() {
                self.login = Some(String::from_utf8_lossy(value).into_owned());
            }
        }
    }

    /// Whether the bytes begin with a header field, as a whole message does: RFC 5322 section 2.2,
    /// with the blanks before the colon that section 4.5 remembers.
    pub fn begins_with_header(&self) -> bool {
        let name =
            self.message.iter().take_while(|byte| matches!(byte, 33..=57 | 59..=126)).count();
        let rest = self.message.get(name..).unwrap_or_default();
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        name > 0 && rest.get(blanks) == Some(&b':')
    }
}

/// `NAME \0 FAMILY PORT(2) ADDRESS \0`.
fn client(data: &[u8]) -> Option<String> {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (_name, rest) = (parts.next()?, parts.next()?);
    let address = rest.get(3..)?.split(|byte| *byte == 0).next()?;
    String::from_utf8(address.to_vec()).ok()
}

/// `<ADDRESS> \0 ARGUMENT \0 …`.
fn address(data: &[u8]) -> Result<String, TransactionError> {
    let end = data.iter().position(|byte| *byte == 0).ok_or(TransactionError::Text)?;
    let text = data.get(..end).unwrap_or_default();
    let text = str::from_utf8(text).map_err(|_| TransactionError::Text)?.trim();
    let text = text.strip_prefix('<').unwrap_or(text);
    let text = text.strip_suffix('>').unwrap_or(text);
    if text.chars().any(char::is_control) {
        return Err(TransactionError::Text);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(code: u8, data: &[u8]) -> Frame {
        Frame { code, data: data.to_vec() }
    }

    #[test]
    fn a_message_is_gathered() {
        let mut got = Transaction::default();
        for (code, data) in [
            (CONNECT, &b"mx.example.net\x004\x12\x34192.0.2.7\0"[..]),
            (MACRO, b"C{daemon_name}\0x\0"),
            (HELO, b"mx.example.net\0"),
            (MACRO, b"M{mail_addr}\0a@b\0{auth_authen}\0alice@example.org\0"),
            (MAIL, b"<a@b.example>\0SIZE=3\0"),
            (RCPT, b"<bob@example.org>\0"),
            (RCPT, b"<carol@example.org>\0"),
            (BODY, b"Subject: x\r\n"),
            (BODY, b"\r\ny\r\n"),
        ] {
            assert_eq!(got.take(frame(code, data)).unwrap(), Step::More);
        }
        assert_eq!(got.take(frame(END_OF_BODY, b"")).unwrap(), Step::Whole);
        let expected = Transaction {
            client: "192.0.2.7".into(),
            sender: "a@b.example".into(),
            recipients: vec!["bob@example.org".into(), "carol@example.org".into()],
            login: Some("alice@example.org".into()),
            message: b"Subject: x\r\n\r\ny\r\n".to_vec(),
        };
        assert_eq!(got, expected);
        got.take(frame(ABORT, b"")).unwrap();
        assert_eq!(got, Transaction { client: "192.0.2.7".into(), ..Transaction::default() });
        assert_eq!(got.take(frame(QUIT, b"")).unwrap(), Step::Quit);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut got = Transaction::default();
        assert_eq!(got.take(frame(b'L', b"")), Err(TransactionError::Command(b'L')));
        for data in [&b"<a@b>"[..], b"\xff\0", b"<a\r\nb>\0"] {
            assert_eq!(got.take(frame(RCPT, data)), Err(TransactionError::Text), "{data:?}");
        }
        got.recipients = vec![String::new(); MOST_RECIPIENTS];
        assert_eq!(got.take(frame(RCPT, b"<a@b>\0")), Err(TransactionError::Recipients));
    }

    #[test]
    fn half_a_message_is_told_from_a_whole_one() {
        for (message, whole) in [
            ("Subject: x\r\n\r\nbody", true),
            ("subject :x", true),
            ("", false),
            (": x", false),
            ("--boundary\r\nContent-Type: text/plain", false),
            ("TVqQAAMAAAAEAAAA//8AALgAAAA\r\n", false),
        ] {
            let got = Transaction { message: message.into(), ..Transaction::default() };
            assert_eq!(got.begins_with_header(), whole, "{message}");
        }
    }
}
