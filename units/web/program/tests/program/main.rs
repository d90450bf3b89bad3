//! The program itself on loopback: what strangers send, and what they get.

mod door;
mod framing;
mod front;
mod limits;
