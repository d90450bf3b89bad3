//! The program itself on loopback: what strangers send, and what they get.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may stop where it stands"
)]

mod door;
mod framing;
mod front;
mod limits;
