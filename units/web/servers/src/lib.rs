//! Clients of the servers that hold the mail: IMAP, submission, ManageSieve.
//!
//! In: where a server is, whose mail is wanted, bytes that the server sends. Out: values that a page
//! shows, or an [`Error`] that says which step failed. A server counts as hostile here: what it
//! sends is bounded in length, number, depth and time before it is kept. What a person wrote goes
//! out as quoted string or counted literal, so that no text can end a command.

pub mod answer;
mod credentials;
mod endpoint;
mod error;
pub mod imap;
mod proxy;
pub mod sieve;
pub mod smtp;
mod wire;

pub use credentials::Credentials;
pub use endpoint::{Endpoint, Link, Security, Trust};
pub use error::{Error, Result};

/// Feeds foreign bytes to everything that reads what a server sends. It must return, whatever comes.
pub fn fuzz(bytes: &[u8]) {
    let mut framer = answer::Framer::new(answer::Limits::default());
    let mut rest = bytes;
    while let Ok((taken, step)) = framer.feed(rest) {
        rest = &rest[taken..];
        match step {
            answer::Step::More => break,
            answer::Step::Chunk(_) => {}
            answer::Step::Frame(frame) => {
                drop(imap::Response::read(&frame));
                drop(sieve::Reply::read(&frame));
            }
        }
    }
}
