//! Submission (RFC 6409): hands a message to the server that sends it.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::endpoint::{Endpoint, Link, Security, within};
use crate::{Credentials, Error, Result};

/// RFC 5321 section 4.5.3.1.5 asks for 512; extensions write more.
const LONGEST_LINE: u64 = 4096;
const MOST_LINES: usize = 200;
const SILENCE_SECONDS: u64 = 30;
/// A server may look at a large message for long (RFC 5321 section 4.5.3.2.6).
const DATA_SECONDS: u64 = 300;
const CHUNK: usize = 16 << 10;

/// Whom a message is from and to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
    /// Ask for a notice of delivery (RFC 3461), where the server can.
    pub delivery_notice: bool,
}

/// What the server said to the message: foreign text, usually with its number in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(pub String);

/// Sends a message of `size` bytes to all recipients, or to none. Line ends are made right and dots
/// doubled on the way.
///
/// # Errors
/// [`Error::Refused`] with the server's words; if a recipient is the reason, the text begins with
/// their address. [`Error::SignIn`] if the server does not accept the credentials.
pub async fn submit<R: AsyncRead + Unpin>(
    endpoint: &Endpoint,
    reader: Option<SocketAddr>,
    credentials: &Credentials,
    envelope: &Envelope,
    size: u64,
    message: &mut R,
) -> Result<Receipt> {
    for address in std::iter::once(&envelope.from).chain(&envelope.to) {
        check(address)?;
    }
    let tcp = endpoint.tcp(reader).await?;
    let mut client = match endpoint.security {
        Security::Implicit => {
            let mut client = Client::on(endpoint.encrypt(tcp).await?);
            client.greeting(&endpoint.name).await?;
            client
        }
        Security::StartTls => {
            let mut plain = Client::on(tcp);
            plain.greeting(&endpoint.name).await?;
            plain.command("STARTTLS", "220").await?;
            if !plain.link.buffer().is_empty() {
                return Err(Error::Protocol("words after its consent to TLS"));
            }
            let mut client = Client::on(endpoint.encrypt(plain.link.into_inner()).await?);
            client.hello(&endpoint.name).await?;
            client
        }
    };
    client.sign_in(credentials).await?;
    client.envelope(envelope, size).await?;
    let receipt = client.data(message).await?;
    // The message is taken; a broken goodbye changes nothing.
    drop(within(2, "quit", client.command("QUIT", "221")).await);
    Ok(receipt)
}

/// Whether an address can stand between `<` and `>`.
fn check(address: &str) -> Result<()> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
    let parts = address.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty()
    });
    if !parts || address.contains(bad) || address.len() > 320 {
        return Err(Error::Unwritable("an address"));
    }
    Ok(())
}

struct Client {
    link: BufReader<Box<dyn Link>>,
    extensions: Vec<String>,
}

impl Client {
    fn on(link: Box<dyn Link>) -> Self {
        Client { link: BufReader::new(link), extensions: Vec::new() }
    }

    async fn greeting(&mut self, name: &str) -> Result<()> {
        self.reply("220", SILENCE_SECONDS).await?;
        self.hello(name).await
    }

    async fn hello(&mut self, name: &str) -> Result<()> {
        // The name of the machine that both run on.
        let answer = self.command(&format!("EHLO {name}"), "250").await?;
        self.extensions = answer.into_iter().skip(1).collect();
        Ok(())
    }

    /// What follows the name of an extension, if the server has it.
    fn extension(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find_map(|line| {
            let (own, rest) = line.split_once(' ').unwrap_or((line, ""));
            own.eq_ignore_ascii_case(name).then_some(rest)
        })
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> Result<()> {
        let mechanism = credentials.mechanism();
        let offered = self.extension("AUTH").unwrap_or_default();
        if !offered.split(' ').any(|own| own.eq_ignore_ascii_case(mechanism)) {
            return Err(Error::Lacks(mechanism));
        }
        let initial = credentials.initial()?;
        self.send(format!("AUTH {mechanism} {initial}\r\n").as_bytes()).await?;
        let (mut code, mut lines) = self.lines(SILENCE_SECONDS).await?;
        if code == "334" {
            // What the server says of an error; an empty answer takes note (RFC 7628 section 3.2.3).
            self.send(b"\r\n").await?;
            (code, lines) = self.lines(SILENCE_SECONDS).await?;
        }
        match code.as_str() {
            "235" => Ok(()),
            "535" | "534" | "538" => Err(Error::SignIn(lines.join(" "))),
            _ => Err(Error::Refused { code, text: lines.join(" ") }),
        }
    }

    async fn envelope(&mut self, envelope: &Envelope, size: u64) -> Result<()> {
        let mut parameters = String::new();
        if self.extension("SIZE").is_some() {
            parameters.push_str(&format!(" SIZE={size}"));
        }
        if self.extension("8BITMIME").is_some() {
            parameters.push_str(" BODY=8BITMIME");
        }
        let foreign = |address: &String| !address.is_ascii();
        if foreign(&envelope.from) || envelope.to.iter().any(foreign) {
            if self.extension("SMTPUTF8").is_none() {
                return Err(Error::Lacks("SMTPUTF8, which an address with such letters needs"));
            }
            parameters.push_str(" SMTPUTF8");
        }
        self.command(&format!("MAIL FROM:<{}>{parameters}", envelope.from), "250").await?;
        let notice = envelope.delivery_notice && self.extension("DSN").is_some();
        let notice = if notice { " NOTIFY=SUCCESS,FAILURE" } else { "" };
        for address in &envelope.to {
            let command = format!("RCPT TO:<{address}>{notice}");
            match self.command(&command, "25").await {
                Ok(_) => {}
                Err(Error::Refused { code, text }) => {
                    return Err(Error::Refused { code, text: format!("{address}: {text}") });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn data<R: AsyncRead + Unpin>(&mut self, message: &mut R) -> Result<Receipt> {
        self.command("DATA", "354").await?;
        let (mut lines, mut chunk, mut out) = (Lines::default(), vec![0; CHUNK], Vec::new());
        loop {
            let read = within(SILENCE_SECONDS * 3, "message", async {
                message.read(&mut chunk).await.map_err(|_| Error::Closed { step: "message" })
            });
            // Without the last dot the server throws away what came so far.
            let count = read.await?;
            out.clear();
            if count == 0 {
                lines.end(&mut out);
                self.send(&out).await?;
                break;
            }
            lines.add(&chunk[..count], &mut out);
            self.send(&out).await?;
        }
        let answer = self.reply("250", DATA_SECONDS).await?;
        Ok(Receipt(answer.join(" ")))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        within(SILENCE_SECONDS * 2, "send", async {
            let closed = |_| Error::Closed { step: "send" };
            self.link.write_all(bytes).await.map_err(closed)?;
            self.link.flush().await.map_err(closed)
        })
        .await
    }

    /// Sends a line, which holds nothing that was not checked, and expects a code that begins so.
    async fn command(&mut self, line: &str, expected: &str) -> Result<Vec<String>> {
        if line.contains(['\r', '\n', '\0']) {
            return Err(Error::Unwritable("a command"));
        }
        self.send(format!("{line}\r\n").as_bytes()).await?;
        self.reply(expected, SILENCE_SECONDS).await
    }

    async fn reply(&mut self, expected: &str, seconds: u64) -> Result<Vec<String>> {
        let (code, lines) = self.lines(seconds).await?;
        if code.starts_with(expected) {
            return Ok(lines);
        }
        Err(Error::Refused { code, text: lines.join(" ") })
    }

    /// The lines of a reply without their code.
    async fn lines(&mut self, seconds: u64) -> Result<(String, Vec<String>)> {
        within(seconds, "reply", async {
            let mut lines = Vec::new();
            loop {
                let mut line = Vec::new();
                let mut bounded = (&mut self.link).take(LONGEST_LINE);
                let read = bounded.read_until(b'\n', &mut line).await;
                let read = read.map_err(|_| Error::Closed { step: "reply" })?;
                if read == 0 {
                    return Err(Error::Closed { step: "reply" });
                }
                if !line.ends_with(b"\n") {
                    return Err(Error::Protocol("a line that is too long or broken"));
                }
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                let code = line.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit()));
                let code = code.ok_or(Error::Protocol("a reply without a code"))?.to_owned();
                lines.push(line.get(4..).unwrap_or_default().to_owned());
                if line.as_bytes().get(3) != Some(&b'-') {
                    return Ok((code, lines));
                }
                if lines.len() > MOST_LINES {
                    return Err(Error::TooMuch { limit: MOST_LINES as u64, what: "lines" });
                }
            }
        })
        .await
    }
}

/// Makes every line end CR LF and doubles dots that begin a line, so that no byte of a message can
/// end it early (SMTP smuggling).
#[derive(Debug, Default)]
struct Lines {
    /// The last byte was CR, which is written already as CR LF.
    after_cr: bool,
    /// Something stands on the current line.
    inside: bool,
}

impl Lines {
    fn add(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\r' | b'\n' => {
                    out.extend_from_slice(b"\r\n");
                    self.after_cr = byte == b'\r';
                    self.inside = false;
                }
                _ => {
                    if byte == b'.' && !self.inside {
                        out.push(b'.');
                    }
                    out.push(byte);
                    (self.after_cr, self.inside) = (false, true);
                }
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.inside {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(bytes: &[u8], size: usize) -> Vec<u8> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        bytes.chunks(size).for_each(|chunk| lines.add(chunk, &mut out));
        lines.end(&mut out);
        out
    }

    #[test]
    fn no_byte_ends_a_message_early() {
        assert_eq!(written(b"a\r\n.\r\nb", 1), b"a\r\n..\r\nb\r\n.\r\n");
        assert_eq!(written(b"a\n.\nb\r.\rc\r\n", 3), b"a\r\n..\r\nb\r\n..\r\nc\r\n.\r\n");
        assert_eq!(written(b"", 1), b".\r\n");
    }

    #[test]
    fn addresses_hold_nothing_else() {
        for bad in ["", "a", "a@", "@b", "a@b>\r\nRCPT TO:<c@d", "a b@c", "a@b SIZE=1", "<a@b"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert!(check("jürgen+x@bücher.test").is_ok());
    }

    proptest! {
        #[test]
        fn the_only_end_is_the_last(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..80), size in 1_usize..9)
        {
            let out = written(&bytes, size);
            let ends = |end: &[u8]| out.windows(end.len()).filter(|window| *window == end).count();
            let count = ends(b"\r\n.\r\n") + usize::from(out.starts_with(b".\r\n"));
            prop_assert_eq!(count, 1);
            // No bare CR or LF is left.
            prop_assert_eq!(ends(b"\r"), ends(b"\r\n"));
            prop_assert_eq!(ends(b"\n"), ends(b"\r\n"));
        }
    }
}
