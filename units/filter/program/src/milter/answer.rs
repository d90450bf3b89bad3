//! What the filter says about a message, as packets.

use std::io::{self, Write};

use super::frame::write;

/// Replies: `SMFIR_*`.
const ADD_HEADER: u8 = b'h';
const CHANGE_HEADER: u8 = b'm';
const DELETE_RECIPIENT: u8 = b'-';
const DISCARD: u8 = b'd';
const ACCEPT: u8 = b'a';
const REPLACE_BODY: u8 = b'b';
const REPLY_CODE: u8 = b'y';

/// Most of a body in one packet: `MILTER_CHUNK_SIZE`.
const CHUNK: usize = 65_535;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It goes on with these changes.
    Accept(Changes),
    /// The sender is told that it was taken; the filter has it.
    Discard,
    /// The sender is told no: an SMTP reply such as `550 5.7.1 …` or `451 4.7.1 …`, printable
    /// ASCII without a line break.
    Reply(String),
}

/// Changes of a message. The default leaves every byte as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Fields to take out by name, once for each time they occur.
    pub remove: Vec<String>,
    /// Fields to put before the others, the last one on top.
    pub add: Vec<(String, String)>,
    /// Recipients who do not get it.
    pub without: Vec<String>,
    /// What stands in place of everything behind the header.
    pub body: Option<Vec<u8>>,
}

impl Answer {
    /// Writes the packets.
    ///
    /// # Errors
    /// What the connection says.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Discard => write(to, DISCARD, b"")?,
            Self::Reply(text) => write(to, REPLY_CODE, &terminated(&[text]))?,
            Self::Accept(changes) => {
                changes.write(to)?;
                write(to, ACCEPT, b"")?;
            }
        }
        to.flush()
    }
}

impl Changes {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        for recipient in &self.without {
            write(to, DELETE_RECIPIENT, &terminated(&[&format!("<{recipient}>")]))?;
        }
        for name in &self.remove {
            // Always the first one: the numbers of the others move up.
            let mut data = 1_u32.to_be_bytes().to_vec();
            data.extend(terminated(&[name, ""]));
            write(to, CHANGE_HEADER, &data)?;
        }
        for (name, value) in &self.add {
            write(to, ADD_HEADER, &terminated(&[name, value]))?;
        }
        for chunk in self.body.iter().flat_map(|body| body.chunks(CHUNK)) {
            write(to, REPLACE_BODY, chunk)?;
        }
        Ok(())
    }
}

fn terminated(texts: &[&str]) -> Vec<u8> {
    let mut data = Vec::new();
    for text in texts {
        // A zero byte would end the text, and a line break start another header field.
        data.extend(text.bytes().filter(|byte| !matches!(byte, 0 | b'\r' | b'\n')));
        data.push(0);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(answer: &Answer) -> Vec<u8> {
        let mut bytes = Vec::new();
        answer.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn answers_as_packets() {
        assert_eq!(bytes(&Answer::Accept(Changes::default())), b"\0\0\0\x01a");
        assert_eq!(bytes(&Answer::Discard), b"\0\0\0\x01d");
        let reply = Answer::Reply("550 5.7.1 no\r\nX".into());
        assert_eq!(bytes(&reply), b"\0\0\0\x0fy550 5.7.1 noX\0");
        let changes = Changes {
            remove: vec!["X-A".into()],
            add: vec![("X-D".into(), "e\r\nEvil: f".into())],
            without: vec!["g@h".into()],
            body: Some(b"i".to_vec()),
        };
        let expected = b"\0\0\0\x07-<g@h>\0\0\0\0\x0am\0\0\0\x01X-A\0\0\
                         \0\0\0\x0ehX-D\0eEvil: f\0\0\0\0\x02bi\0\0\0\x01a";
        assert_eq!(bytes(&Answer::Accept(changes)), expected);
    }

    #[test]
    fn a_large_body_goes_in_pieces() {
        let changes = Changes { body: Some(vec![b'x'; CHUNK + 1]), ..Changes::default() };
        let bytes = bytes(&Answer::Accept(changes));
        assert_eq!(bytes.len(), 5 + CHUNK + 5 + 1 + 5);
    }
}
