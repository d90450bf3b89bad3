//! What servers send, as IMAP and ManageSieve both write it: lines, in which counted literals may
//! stand for strings, and in lines words, strings and lists in parentheses.
//!
//! [`Framer`] cuts a stream of bytes into [`Frame`]s and does no input of its own; [`tokens`] reads a
//! frame into a tree. Both know bounds for everything a server chooses: the length of a line, of a
//! literal, of a frame; how many tokens and how deep.
//! Source: RFC 9051 section 9, RFC 5804 section 4.

mod frame;
mod token;

pub use frame::{Frame, Framer, Piece, Step};
pub use token::{Token, tokens};

/// How much a server may send, in bytes unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A line without its literals. A line with the UIDs of 500,000 messages has 4 MB.
    pub line: usize,
    /// A literal that is kept in memory.
    pub literal: usize,
    /// A literal that is only passed on.
    pub passed: u64,
    /// A frame: a line and its literals.
    pub frame: usize,
    /// Everything until a command is complete.
    pub command: u64,
    /// Tokens of a frame, in number.
    pub tokens: usize,
    /// Lists in lists, in number.
    pub depth: usize,
    /// How long a server may be silent where an answer is due, in seconds.
    pub silence: u64,
    /// How long a command may take, however steadily its answer comes, in seconds.
    pub patience: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line: 8 << 20,
            literal: 8 << 20,
            passed: 1 << 30,
            frame: 16 << 20,
            command: 64 << 20,
            tokens: 200_000,
            depth: 100,
            silence: 20,
            patience: 60,
        }
    }
}
