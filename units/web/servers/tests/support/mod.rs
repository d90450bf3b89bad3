//! Servers to talk to.
#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations, reason = "each test uses a part")]

pub mod scripted;
pub mod real;
