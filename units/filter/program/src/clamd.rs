//! ClamAV beside our own rules: asks a clamd whether a message holds what its signatures know.
//!
//! In: a message. Out: the name of a signature, or nothing. Protocol: clamd(8), `INSTREAM` and
//! `PING`, with the `z` prefix that ends each text with a zero byte.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Longest time of silence; clamd unpacks too.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes in one piece of a stream.
const CHUNK: usize = 1 << 16;
/// Longest answer.
const LONGEST_ANSWER: u64 = 4096;

/// Where a clamd listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clamd {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port.
    Tcp(SocketAddr),
}

/// Why clamd said nothing about a message.
#[derive(Debug, thiserror::Error)]
pub enum ClamdError {
    /// No connection, or a broken one.
    #[error(
        "clamd at {0}: {1}; while it reads its signatures, or waits for the first ones, this is to be expected, else see `systemctl status clamav-daemon clamav-freshclam`"
    )]
    Connection(Clamd, io::Error),
    /// It could not look into the message.
    #[error("clamd at {0} answered: {1}")]
    Answer(Clamd, String),
}

/// Text that names no place for a clamd.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is neither the absolute path of a socket nor an address with a port")]
pub struct UnknownPlace(String);

impl FromStr for Clamd {
    type Err = UnknownPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| UnknownPlace(text.to_owned()))
    }
}

impl fmt::Display for Clamd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "{}", path.display()),
            Self::Tcp(address) => write!(formatter, "{address}"),
        }
    }
}

impl Clamd {
    /// The signature that the message matches, if one does.
    ///
    /// # Errors
    /// [`ClamdError`] when it can't say: it is not there, still reads its database, or the message
    /// is larger than its `StreamMaxLength`.
    pub fn scan(&self, message: &[u8]) -> Result<Option<String>, ClamdError> {
        let answer = match self {
            Self::Unix(path) => UnixStream::connect(path).and_then(|stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                ask(stream, message)
            }),
            Self::Tcp(address) => {
                TcpStream::connect_timeout(address, PATIENCE).and_then(|stream| {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    ask(stream, message)
                })
            }
        };
        let answer = answer.map_err(|error| ClamdError::Connection(self.clone(), error))?;
        let text = answer.strip_prefix("stream: ").unwrap_or(&answer);
        if text == "OK" {
            return Ok(None);
        }
        let found = text.strip_suffix(" FOUND").map(str::to_owned);
        found.map(Some).ok_or_else(|| ClamdError::Answer(self.clone(), answer))
    }
}

fn ask(mut stream: impl Read + Write, message: &[u8]) -> io::Result<String> {
    let sent = send(&mut stream, message);
    let mut answer = Vec::new();
    // What clamd says before it hangs up on a message that is too long is worth more than the
    // broken pipe.
    let read = stream.take(LONGEST_ANSWER).read_to_end(&mut answer);
    if answer.is_empty() {
        sent?;
        read?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(&answer);
    Ok(text.trim_end_matches('\0').trim().chars().filter(|it| !it.is_control()).collect())
}

fn send(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    stream.write_all(b"zINSTREAM\0")?;
    for chunk in message.chunks(CHUNK) {
        // A chunk has 64 KiB at most.
        stream.write_all(&u32::try_from(chunk.len()).unwrap_or_default().to_be_bytes())?;
        stream.write_all(chunk)?;
    }
    stream.write_all(&0_u32.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A clamd that reads one stream and gives one answer.
    fn answering(answer: &'static str) -> (Clamd, thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clamd = Clamd::Tcp(listener.local_addr().unwrap());
        let heard = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut command = [0; 10];
            stream.read_exact(&mut command).unwrap();
            assert_eq!(&command, b"zINSTREAM\0");
            let mut message = Vec::new();
            loop {
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let length = u64::from(u32::from_be_bytes(length));
                if length == 0 {
                    break;
                }
                (&mut stream).take(length).read_to_end(&mut message).unwrap();
            }
            stream.write_all(answer.as_bytes()).unwrap();
            message
        });
        (clamd, heard)
    }

    #[test]
    fn answers_are_understood() {
        let message = vec![b'x'; CHUNK + 5];
        let (clamd, heard) = answering("stream: OK\0");
        assert_eq!(clamd.scan(&message).unwrap(), None);
        assert_eq!(heard.join().unwrap(), message);
        let (clamd, _heard) = answering("stream: Win.Test.EICAR_HDB-1 FOUND\0");
        assert_eq!(clamd.scan(b"x").unwrap().as_deref(), Some("Win.Test.EICAR_HDB-1"));
        for wrong in ["INSTREAM size limit exceeded. ERROR\0", "stream: \0", "\0", ""] {
            let (clamd, _heard) = answering(wrong);
            assert!(clamd.scan(b"x").is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_are_read() {
        assert_eq!("/run/c".parse(), Ok(Clamd::Unix("/run/c".into())));
        assert_eq!("127.0.0.1:3310".parse::<Clamd>().unwrap().to_string(), "127.0.0.1:3310");
        assert!("localhost".parse::<Clamd>().is_err());
    }

    #[test]
    fn nobody_there_is_an_error_that_says_where() {
        let error = Clamd::Unix("/nowhere/clamd".into()).scan(b"x").unwrap_err().to_string();
        assert!(error.contains("/nowhere/clamd"), "{error}");
    }
}
