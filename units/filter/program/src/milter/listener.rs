//! Connections of the mail server: one thread each, so many and no more.
//!
//! In: connections. Out: for each message an answer of the filter. What can't be served now is
//! told so at once, so that mail waits with its senders and not here.

use std::io::{BufReader, BufWriter};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::answer::{Answer, Changes};
use super::transaction::{ABORT, Step, Transaction, TransactionError};
use super::{frame, negotiation};
use crate::journal;

/// Connections at a time. Each is one message that the mail server holds a session open for.
const MOST_CONNECTIONS: usize = 64;
/// How long a mail server may be silent in the middle of a message; it sends what it has at once.
const SILENCE: Duration = Duration::from_secs(30);

/// Decides over messages.
pub trait Judge: Send + Sync + 'static {
    /// What becomes of a whole message.
    fn judge(&self, transaction: &Transaction) -> Answer;

    /// What becomes of a message that there is no room for now.
    fn overloaded(&self) -> Answer;
}

/// What the connections share.
#[derive(Debug, Default)]
struct Load {
    connections: AtomicUsize,
    /// Bytes of all messages that are being received or looked into.
    bytes: AtomicU64,
}

/// How much the connections may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of one message.
    pub largest_message: u64,
    /// Bytes of all messages together.
    pub bytes: u64,
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error(transparent)]
    Frame(#[from] frame::FrameError),
    #[error(transparent)]
    Negotiation(#[from] negotiation::NegotiationError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error("the mail server's connection broke: {0}")]
    Write(#[from] std::io::Error),
}

/// Serves connections until the process ends.
pub fn serve(listener: &TcpListener, judge: &Arc<impl Judge>, room: Room) {
    let load = Arc::new(Load::default());
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                journal::warn(&format!("cannot accept a connection: {error}"));
                // Out of file descriptors: some will be free again soon.
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if load.connections.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            load.connections.fetch_sub(1, Ordering::SeqCst);
            // Without an answer to its offer the mail server defers the message.
            journal::warn("too many connections of the mail server; one is sent away");
            continue;
        }
        let (judge, load) = (Arc::clone(judge), Arc::clone(&load));
        let served = thread::Builder::new().spawn({
            let load = Arc::clone(&load);
            move || {
                if let Err(error) = connection(&stream, judge.as_ref(), room, &load) {
                    journal::warn(&error.to_string());
                }
                load.connections.fetch_sub(1, Ordering::SeqCst);
            }
        });
        if let Err(error) = served {
            journal::warn(&format!("cannot serve a connection: {error}"));
            load.connections.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Bytes that one connection holds, given back when it ends.
struct Held<'a> {
    load: &'a Load,
    bytes: u64,
}

impl Held<'_> {
    /// Takes room for more bytes; false when there is none.
    fn grow(&mut self, more: u64, room: u64) -> bool {
        let before = self.load.bytes.fetch_add(more, Ordering::SeqCst);
        self.bytes += more;
        before + more <= room
    }

    fn release(&mut self) {
        self.load.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        self.bytes = 0;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

fn connection(
    stream: &TcpStream,
    judge: &impl Judge,
    room: Room,
    load: &Load,
) -> Result<(), ConnectionError> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    let (mut from, mut to) = (BufReader::new(stream), BufWriter::new(stream));
    let Some(offer) = frame::read(&mut from)? else { return Ok(()) };
    frame::write(&mut to, negotiation::OPTNEG, &negotiation::reply(&offer)?)?;
    std::io::Write::flush(&mut to)?;
    let mut transaction = Transaction::default();
    let mut held = Held { load, bytes: 0 };
    let mut refusal = None;
    while let Some(packet) = frame::read(&mut from)? {
        if matches!(packet.code, ABORT | b'M') {
            // What was said of the message before is not said of the next.
            refusal = None;
            held.release();
        }
        if packet.code == b'B' {
            let size = packet.data.len() as u64;
            if refusal.is_some() {
                continue;
            }
            if held.bytes + size > room.largest_message {
                refusal = Some(Answer::Reply(too_large(room.largest_message)));
            } else if !held.grow(size, room.bytes) {
                refusal = Some(judge.overloaded());
            }
            if refusal.is_some() {
                // The rest is read and forgotten: the answer comes at the end.
                transaction.message = Vec::new();
                held.release();
                continue;
            }
        }
        match transaction.take(packet)? {
            Step::More => {}
            Step::Quit => return Ok(()),
            Step::Whole => {
                let answer = match refusal.take() {
                    Some(refusal) => refusal,
                    None if !transaction.begins_with_header() => Answer::Reply(half()),
                    None => judge.judge(&transaction),
                };
                answer.write(&mut to)?;
                held.release();
                transaction.next();
            }
        }
    }
    Ok(())
}

fn too_large(most: u64) -> String {
    format!("552 5.3.4 The message is larger than {most} bytes")
}

fn half() -> String {
    journal::error(
        "the mail server sends messages without their header: this version of it does not work \
         with this filter; mail is deferred",
    );
    "451 4.3.5 The mail server and its filter do not understand each other".to_owned()
}

/// An answer that changes nothing.
pub fn unchanged() -> Answer {
    Answer::Accept(Changes::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets everything through.
    #[derive(Debug)]
    struct Lenient;

    impl Judge for Lenient {
        fn judge(&self, _: &Transaction) -> Answer {
            unchanged()
        }

        fn overloaded(&self) -> Answer {
            Answer::Reply("451 4.3.2 busy".to_owned())
        }
    }

    /// The codes of the answers to packets, without that to the offer.
    fn answers(packets: &[(u8, &[u8])]) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let room = Room { largest_message: 64, bytes: 1024 };
        let served = thread::spawn(move || connection(&server, &Lenient, room, &Load::default()));
        let offer = [6_u32, 0x1ff, 0x1f_ffff].map(u32::to_be_bytes).concat();
        let mut to = &client;
        frame::write(&mut to, b'O', &offer).unwrap();
        for (code, data) in packets {
            frame::write(&mut to, *code, data).unwrap();
        }
        frame::write(&mut to, b'Q', b"").unwrap();
        let mut from = BufReader::new(&client);
        let mut codes = Vec::new();
        while let Ok(Some(packet)) = frame::read(&mut from) {
            codes.push(packet.code);
        }
        served.join().unwrap().unwrap();
        codes.split_off(1)
    }

    #[test]
    fn an_oversized_message_that_was_given_up_is_forgotten() {
        let large = [b'x'; 65];
        let small: [(u8, &[u8]); 4] =
            [(b'M', b"<a@b>\0"), (b'R', b"<c@d>\0"), (b'B', b"A: b\r\n\r\nc\r\n"), (b'E', b"")];
        let start: [(u8, &[u8]); 3] = [(b'M', b"<a@b>\0"), (b'R', b"<c@d>\0"), (b'B', &large)];
        let accepted = answers(&small);
        assert_ne!(answers(&[&start[..], &[(b'E', b"")]].concat()), accepted);
        for between in [&[(b'A', &b""[..])][..], &[], &[(b'E', b"")]] {
            let got = answers(&[&start[..], between, &small[..]].concat());
            assert!(got.ends_with(&accepted), "{between:?}: {got:?}");
        }
    }
}
