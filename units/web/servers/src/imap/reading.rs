//! Commands that read the open folder: rows of lists, messages, sections of them, searches, orders.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use crate::endpoint::within;
use crate::imap::command::Command;
use crate::imap::search::{self, Key, Order};
use crate::imap::{Fetched, Response, Session, UidSet};
use crate::{Error, Result};

/// What a row of a list needs. No BODYSTRUCTURE and no whole header: neither is in the server's
/// metadata, so each would read the message itself.
const ROW: &str = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE \
MESSAGE-ID IN-REPLY-TO REFERENCES CONTENT-TYPE LIST-ID)]";

/// The slowest that a whole message may come, bytes a second, after the time that every command has.
const SLOWEST: u64 = 64 << 10;

impl Session {
    /// Adds what a row needs, without the parenthesis at the end.
    fn row(&self, command: Command) -> Command {
        let mut command = command.words(ROW);
        for (capability, item) in [("OBJECTID", "THREADID"), ("PREVIEW", "PREVIEW")] {
            if self.can(capability) {
                command = command.words(item);
            }
        }
        command
    }

    /// The rows of a window of the open folder, `first` to `last` counted from 1, oldest first.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn window(&mut self, first: u32, last: u32) -> Result<Vec<Fetched>> {
        let set = format!("{}:{}", first.max(1), last.max(1));
        let command = Command::new("FETCH").atom(&set)?;
        let mut rows = self.fetch(self.row(command).words(")")).await?;
        rows.retain(|row| (first..=last).contains(&row.number));
        rows.sort_by_key(|row| row.number);
        rows.dedup_by_key(|row| row.number);
        Ok(rows)
    }

    /// The rows of these messages, in the order of `uids`. Those that are gone are left out.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn rows(&mut self, uids: &[u32]) -> Result<Vec<Fetched>> {
        let mut found = std::collections::BTreeMap::new();
        for set in UidSet::of(uids) {
            let command = Command::new("UID FETCH").atom(set.as_str())?;
            let command = self.row(command).words(")");
            found.extend(
                self.fetch(command).await?.into_iter().filter_map(|row| Some((row.uid?, row))),
            );
        }
        Ok(uids.iter().filter_map(|uid| found.remove(uid)).collect())
    }

    async fn fetch(&mut self, command: Command) -> Result<Vec<Fetched>> {
        let mut rows: Vec<Fetched> = Vec::new();
        let each = |response| {
            // FLAGS alone is news and no row.
            if let Response::Fetch(row) = response
                && row.uid.is_some()
                && (row.size.is_some() || !row.sections.is_empty() || row.structure.is_some())
            {
                rows.push(*row);
            }
        };
        self.run(command, each).await?;
        Ok(rows)
    }

    /// How many messages of the open folder have this UID or a lower one: the number of the message, or
    /// of the one before its place if it is gone.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn place_of(&mut self, uid: u32) -> Result<u32> {
        let set = format!("1:{}", uid.max(1));
        if !self.can("ESEARCH") {
            let found = self.numbers(Command::new("SEARCH UID").atom(&set)?).await?;
            return Ok(found.into_iter().max().unwrap_or(0));
        }
        let mut count = 0;
        let each = |response| {
            if let Response::Count(number) = response {
                count = number;
            }
        };
        self.run(Command::new("SEARCH RETURN (COUNT) UID").atom(&set)?, each).await?;
        Ok(count)
    }

    /// The flags of these messages. Those that are gone are left out.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn flags(&mut self, uids: &[u32]) -> Result<Vec<Fetched>> {
        let mut found = Vec::new();
        for set in UidSet::of(uids) {
            let command = Command::new("UID FETCH").atom(set.as_str())?.words("(UID FLAGS)");
            let each = |response| {
                if let Response::Fetch(row) = response
                    && row.uid.is_some_and(|uid| uids.contains(&uid))
                {
                    found.push(*row);
                }
            };
            self.run(command, each).await?;
        }
        Ok(found)
    }

    /// One message without its text: flags, size, date, conversation and what it is made of.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `NONEXISTENT` if it is gone.
    pub async fn structure(&mut self, uid: u32) -> Result<Fetched> {
        let command = Command::new("UID FETCH").number(uid.into());
        let command = command.words("(UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE)");
        let found = self.fetch(command).await?;
        one(found, uid)
    }

    /// Flags, size, date and conversation of one message.
    ///
    /// # Errors
    /// [`Error::Refused`] with the code `NONEXISTENT` if it is gone.
    pub async fn summary(&mut self, uid: u32) -> Result<Fetched> {
        let mut rows = self.rows(&[uid]).await?;
        one(std::mem::take(&mut rows), uid)
    }

    /// What [`Session::summary`] says, and all of the message or its first `most` bytes.
    ///
    /// # Errors
    /// As [`Session::summary`]; [`Error::TooMuch`] if the server sends more than was asked for.
    pub async fn start_of(&mut self, uid: u32, most: u32) -> Result<(Fetched, Vec<u8>)> {
        let command = self.row(Command::new("UID FETCH").number(uid.into()));
        let command = command.first_bytes("BODY.PEEK[]", most).words(")");
        let mut row = one(self.fetch(command).await?, uid)?;
        let at = row.sections.iter().position(|section| section.name.is_empty());
        let bytes = at.and_then(|at| row.sections.remove(at).bytes).unwrap_or_default();
        if bytes.len() as u64 > u64::from(most) {
            return Err(Error::TooMuch { limit: most.into(), what: "bytes of a message" });
        }
        Ok((row, bytes))
    }

    /// A section of a message, in memory: `HEADER`, `1.2`, `1.2.MIME`; empty for all of it.
    ///
    /// # Errors
    /// [`Error::TooMuch`] over the limit of a literal: [`Session::pass`] and [`Session::whole`] are for those.
    pub async fn section(&mut self, uid: u32, section: &str) -> Result<Vec<u8>> {
        let allowed = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '.';
        if !section.chars().all(allowed) {
            return Err(Error::Unwritable("a section"));
        }
        let command = Command::new("UID FETCH").number(uid.into());
        let command = command.words("(UID").section("BODY.PEEK", section).words(")");
        let mut found = one(self.fetch(command).await?, uid)?;
        let bytes = found.sections.pop().and_then(|section| section.bytes);
        Ok(bytes.unwrap_or_default())
    }

    /// All of a message, in memory, up to `bound` bytes: it may be larger than the limit of a literal.
    ///
    /// # Errors
    /// [`Error::TooMuch`] over the bound, before the message is sent if the server says its true size;
    /// [`Error::Refused`] with the code `NONEXISTENT` if it is gone.
    pub async fn whole(&mut self, uid: u32, bound: u64) -> Result<Vec<u8>> {
        let too_much = || Error::TooMuch { limit: bound, what: "bytes in a message" };
        let size = self.summary(uid).await?.size.unwrap_or(0);
        if size > bound {
            return Err(too_much());
        }
        let mut kept = Bounded { bytes: Vec::new(), bound };
        let seconds = self.wire.limits().patience + bound / SLOWEST;
        match within(seconds, "message", self.pass(uid, "", &mut kept)).await {
            Ok(_) => Ok(kept.bytes),
            // Nothing else makes this sink fail.
            Err(Error::Sink) => Err(too_much()),
            Err(error) => Err(error),
        }
    }

    /// The UIDs of the open folder for which all conditions hold, in rising order.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn search(&mut self, keys: &[Key]) -> Result<Vec<u32>> {
        let mut command = Command::new("UID SEARCH");
        if search::needs_utf8(keys) {
            command = command.words("CHARSET UTF-8");
        }
        let mut uids = self.numbers(search::add(command, keys)?).await?;
        uids.sort_unstable();
        Ok(uids)
    }

    /// The same in an order.
    ///
    /// # Errors
    /// [`Error::Lacks`] if the server can't sort.
    pub async fn sort(
        &mut self,
        order: Order,
        newest_first: bool,
        keys: &[Key],
    ) -> Result<Vec<u32>> {
        if !self.can("SORT") {
            return Err(Error::Lacks("SORT"));
        }
        let command = Command::new("UID SORT").words(order.words(newest_first)).words("UTF-8");
        self.numbers(search::add(command, keys)?).await
    }

    async fn numbers(&mut self, command: Command) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        let each = |response| {
            if let Response::Numbers(numbers) = response {
                found.extend(numbers);
            }
        };
        self.run(command, each).await?;
        Ok(found)
    }

    /// The conversations of the open folder: the UIDs of each in rising order, and the one with the
    /// newest message first.
    ///
    /// # Errors
    /// [`Error::Lacks`] if the server knows no conversations.
    pub async fn threads(&mut self, keys: &[Key]) -> Result<Vec<Vec<u32>>> {
        if !self.can("THREAD=REFERENCES") {
            return Err(Error::Lacks("THREAD=REFERENCES"));
        }
        let command = Command::new("UID THREAD REFERENCES UTF-8");
        let mut found: Vec<Vec<u32>> = Vec::new();
        let each = |response| {
            if let Response::Threads(threads) = response {
                found.extend(threads);
            }
        };
        self.run(search::add(command, keys)?, each).await?;
        found.retain(|thread| !thread.is_empty());
        for thread in &mut found {
            thread.sort_unstable();
        }
        found.sort_by_key(|thread| std::cmp::Reverse(thread.last().copied()));
        Ok(found)
    }
}

/// Bytes that are kept up to a bound: what a server says of a size is not what it sends.
struct Bounded {
    bytes: Vec<u8>,
    bound: u64,
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        more: &[u8],
    ) -> Poll<io::Result<usize>> {
        if (self.bytes.len() + more.len()) as u64 > self.bound {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        self.bytes.extend_from_slice(more);
        Poll::Ready(Ok(more.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn one(found: Vec<Fetched>, uid: u32) -> Result<Fetched> {
    found.into_iter().find(|row| row.uid == Some(uid)).ok_or(Error::Refused {
        code: "NONEXISTENT".into(),
        text: "there is no such message".into(),
    })
}
