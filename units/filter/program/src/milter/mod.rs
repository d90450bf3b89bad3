//! The server side of the milter protocol, version 6, as far as this filter needs it.
//!
//! In: a TCP connection from the mail server. Out: one [`Transaction`](transaction::Transaction)
//! for each message, and an answer. The protocol has no specification of its own; libmilter's
//! `mfdef.h` and the "milter protocol" document of MeTA1 describe it.
//!
//! Our mail server (Stalwart 0.15) departs from other clients in one point that this filter lives
//! on: what it sends as the body is the *whole message as it came in, byte for byte*, while the
//! header commands lose what is not UTF-8. So headers are not asked for (`SMFIP_NOHDRS`), and a
//! body that does not begin with a header field is answered with 4xx: it would be half a message.

pub mod answer;
pub mod frame;
pub mod listener;
pub mod negotiation;
pub mod transaction;
