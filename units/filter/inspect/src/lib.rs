//! Looks into every part of a mail message: bytes in, a report of findings out.
//!
//! No network, no files, no threads of its own (but for the clock of the rule engine), no
//! process model: what runs this decides what survives a decoder that crashes.

mod archive;
pub mod fuzz;
mod html;
mod kind;
mod limits;
#[cfg(feature = "yara")]
mod malware;
#[cfg(not(feature = "yara"))]
#[path = "unscanned.rs"]
mod malware;
pub mod message;
mod name;
mod office;
mod pdf;
mod report;
mod signed;
mod text;
mod walk;

use std::time::Instant;

pub use limits::Limits;
pub use malware::{Rules, RulesError};
pub use report::{Class, Finding, Report, UnknownClass, shown};

/// Looks into `message` until everything was seen, a limit is reached or the deadline is over.
/// What can't be looked into is a finding, not an error.
#[must_use]
pub fn inspect(message: &[u8], limits: &Limits, rules: &Rules, deadline: Instant) -> Report {
    let mut walk = walk::Walk::new(limits, rules, deadline);
    walk.top(message);
    walk.finish()
}
