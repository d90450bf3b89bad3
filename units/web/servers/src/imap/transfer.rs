//! What goes through without being kept: parts of messages, messages that are stored, and news.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::imap::command::Command;
use crate::imap::{Response, Session};
use crate::endpoint::within;
use crate::{Error, Result};

const CHUNK: usize = 16 << 10;

impl Session {
    /// Writes a section of a message into `sink` as it arrives, without its transfer encoding where
    /// the server can take that off. Returns how many bytes went through and whether they are decoded.
    ///
    /// # Errors
    /// [`Error::Sink`] if `sink` takes no more; the session is of no use then.
    pub async fn pass<W: AsyncWrite + Unpin>(
        &mut self,
        uid: u32,
        section: &str,
        sink: &mut W,
    ) -> Result<(u64, bool)> {
        if !section.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '.') {
            return Err(Error::Unwritable("a section"));
        }
        let numbered = !section.is_empty() && !section.contains(|c: char| c.is_ascii_uppercase());
        if self.can("BINARY") && numbered {
            match self.pass_as("BINARY.PEEK", uid, section, sink).await {
                // RFC 3516 section 4.3: an encoding that the server doesn't know.
                Err(Error::Refused { code, .. }) if code == "UNKNOWN-CTE" => {}
                result => return result.map(|count| (count, true)),
            }
        }
        Ok((self.pass_as("BODY.PEEK", uid, section, sink).await?, false))
    }

    async fn pass_as<W: AsyncWrite + Unpin>(
        &mut self,
        item: &'static str,
        uid: u32,
        section: &str,
        sink: &mut W,
    ) -> Result<u64> {
        if self.busy {
            return Err(Error::Closed { step: "an earlier command" });
        }
        let command = Command::new("UID FETCH").number(uid.into());
        let command = command.words("(UID").section(item, section).words(")");
        let tag = self.next_tag();
        self.busy = true;
        self.wire.begin();
        self.wire.send(&command.segments(&tag, true).concat()).await?;
        let (silence, mut passed) = (self.wire.limits().silence, None);
        loop {
            let frame = self.wire.frame_to(silence, Some(&mut *sink)).await?;
            let response = Response::within(&frame, self.wire.limits())?;
            self.note(&response)?;
            if let Response::Fetch(row) = &response {
                for section in &row.sections {
                    // A short one may come as a quoted string.
                    if let Some(bytes) = &section.bytes {
                        sink.write_all(bytes).await.map_err(|_| Error::Sink)?;
                    }
                    let kept = section.bytes.as_ref().map(|bytes| bytes.len() as u64);
                    passed = passed.or(section.passed).or(kept);
                }
            }
            if let Some(result) = self.end(&tag, response) {
                result?;
                sink.flush().await.map_err(|_| Error::Sink)?;
                return passed.ok_or(Error::Refused {
                    code: "NONEXISTENT".into(),
                    text: "there is no such message or part".into(),
                });
            }
        }
    }

    /// Stores a message of exactly `size` bytes in a folder. Returns its UID if the server says it.
    ///
    /// # Errors
    /// [`Error::Refused`], for example with `OVERQUOTA` or `TRYCREATE`, before the message is sent;
    /// [`Error::Protocol`] if `message` ends early: the session is of no use then.
    pub async fn append<R: AsyncRead + Unpin>(
        &mut self,
        wire: &str,
        flags: &[&str],
        size: u64,
        message: &mut R,
    ) -> Result<Option<u32>> {
        if self.busy {
            return Err(Error::Closed { step: "an earlier command" });
        }
        let mut command = Command::new("APPEND").string(wire)?.words("(");
        for flag in flags {
            command = command.atom(flag)?;
        }
        let command = command.words(")").size(size);
        let tag = self.next_tag();
        let segments = command.segments(&tag, false);
        self.busy = true;
        self.wire.begin();
        for segment in &segments {
            self.wire.send(segment).await?;
            loop {
                match self.response().await? {
                    Response::Continue(_) => break,
                    response => {
                        if let Some(result) = self.end(&tag, response) {
                            result?;
                            return Err(Error::Protocol("an end before the message"));
                        }
                    }
                }
            }
        }
        self.send_all(size, message).await?;
        loop {
            let response = self.response().await?;
            if let Some(result) = self.end(&tag, response) {
                let code = result?;
                let uid = code.number(2).filter(|_| code.name() == "APPENDUID");
                return Ok(uid.and_then(|uid| u32::try_from(uid).ok()));
            }
        }
    }

    async fn send_all<R: AsyncRead + Unpin>(&mut self, size: u64, message: &mut R) -> Result<()> {
        let (mut left, mut chunk) = (size, vec![0; CHUNK]);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let read = within(self.wire.limits().silence * 3, "message", async {
                message.read(&mut chunk[..most]).await.map_err(|_| Error::Closed { step: "message" })
            });
            let count = read.await?;
            if count == 0 {
                return Err(Error::Protocol("a message that is shorter than was said"));
            }
            self.wire.send(&chunk[..count]).await?;
            left -= count as u64;
        }
        self.wire.send(b"\r\n").await
    }

    /// Asks for news (RFC 2177): of the open folder, and on our own server, if none is open, of all
    /// folders. Until [`Session::end_idle`] only [`Session::news`] may be called.
    ///
    /// # Errors
    /// [`Error::Lacks`] if the server can't.
    pub async fn begin_idle(&mut self) -> Result<()> {
        if !self.can("IDLE") {
            return Err(Error::Lacks("IDLE"));
        }
        if self.busy {
            return Err(Error::Closed { step: "an earlier command" });
        }
        let tag = self.next_tag();
        self.busy = true;
        self.wire.begin();
        self.wire.send(&Command::new("IDLE").segments(&tag, true).concat()).await?;
        loop {
            match self.response().await? {
                Response::Continue(_) => return Ok(()),
                response => {
                    if let Some(result) = self.end(&tag, response) {
                        result?;
                        return Err(Error::Protocol("an end of IDLE before its beginning"));
                    }
                }
            }
        }
    }

    /// The next piece of news; none after `seconds` of silence. May be given up at any time.
    ///
    /// # Errors
    /// Those of a connection.
    pub async fn news(&mut self, seconds: u64) -> Result<Option<Response>> {
        // News come for as long as the session lasts, so each has the budget of a command.
        self.wire.begin();
        match self.wire.frame_to(seconds, None::<&mut tokio::io::Sink>).await {
            Ok(frame) => {
                let response = Response::read(&frame);
                self.note(&response)?;
                Ok(Some(response))
            }
            Err(Error::Timeout { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends waiting for news; another command can be sent.
    ///
    /// # Errors
    /// Those of a connection.
    pub async fn end_idle(&mut self) -> Result<()> {
        self.wire.send(b"DONE\r\n").await?;
        let tag = format!("w{}", self.tag);
        loop {
            let response = self.response().await?;
            if let Some(result) = self.end(&tag, response) {
                return result.map(drop);
            }
        }
    }
}
