//! A connection on which frames arrive and commands leave, both within bounds of time and size.

use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::answer::{Frame, Framer, Limits, Step};
use crate::endpoint::{Link, within};
use crate::{Error, Result};

const BUFFER: usize = 16 << 10;

/// A connection and what was read of it so far. Reading may be given up and taken up again.
pub(crate) struct Wire {
    link: Box<dyn Link>,
    framer: Framer,
    limits: Limits,
    buffer: Vec<u8>,
    filled: std::ops::Range<usize>,
    /// Bytes that the server may still send for the command.
    budget: u64,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Wire").field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl Wire {
    pub(crate) fn new(link: Box<dyn Link>, limits: Limits) -> Self {
        let framer = Framer::new(limits);
        let buffer = vec![0; BUFFER];
        Wire { link, framer, limits, buffer, filled: 0..0, budget: limits.command }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A new command begins: its answer may be as long as any.
    pub(crate) fn begin(&mut self) {
        self.budget = self.limits.command;
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        within(self.limits.silence, "send", async {
            let closed = |_| Error::Closed { step: "send" };
            self.link.write_all(bytes).await.map_err(closed)?;
            self.link.flush().await.map_err(closed)
        })
        .await
    }

    /// The next frame; the server may be silent as long as the limits say.
    pub(crate) async fn frame(&mut self) -> Result<Frame> {
        self.frame_to(self.limits.silence, None::<&mut tokio::io::Sink>).await
    }

    /// The next frame; the server may be silent for `seconds`. With a sink, the first literal of a
    /// FETCH response goes there as it arrives.
    pub(crate) async fn frame_to<W: AsyncWrite + Unpin>(
        &mut self,
        seconds: u64,
        mut sink: Option<&mut W>,
    ) -> Result<Frame> {
        self.framer.pass_literal(sink.is_some());
        loop {
            if self.filled.is_empty() {
                self.fill(seconds).await?;
            }
            let (used, step) = self.framer.feed(&self.buffer[self.filled.clone()])?;
            let start = self.filled.start;
            self.filled.start += used;
            match step {
                Step::More => {}
                Step::Frame(frame) => return Ok(frame),
                Step::Chunk(count) => {
                    let Some(sink) = sink.as_deref_mut() else { continue };
                    let chunk = &self.buffer[start + used - count..start + used];
                    // What is passed on is bounded by itself and not by the budget.
                    self.budget = self.budget.saturating_add(count as u64);
                    let written = within(self.limits.silence * 3, "pass on", async {
                        sink.write_all(chunk).await.map_err(|_| Error::Sink)
                    });
                    written.await?;
                }
            }
        }
    }

    async fn fill(&mut self, seconds: u64) -> Result<()> {
        let closed = Error::Closed { step: "receive" };
        let read = within(seconds, "receive", async {
            self.link.read(&mut self.buffer).await.map_err(|_| Error::Closed { step: "receive" })
        });
        let count = read.await?;
        if count == 0 {
            return Err(closed);
        }
        self.filled = 0..count;
        let spent = self.budget.checked_sub(count as u64);
        self.budget =
            spent.ok_or(Error::TooMuch { limit: self.limits.command, what: "bytes in an answer" })?;
        Ok(())
    }

    /// The connection below, so that TLS can begin on it.
    ///
    /// # Errors
    /// [`Error::Protocol`] if the server has said more: who can write into the connection could
    /// otherwise say something that counts as said inside TLS.
    pub(crate) fn into_link(self) -> Result<Box<dyn Link>> {
        if self.filled.is_empty() {
            return Ok(self.link);
        }
        Err(Error::Protocol("words after its consent to TLS"))
    }
}
