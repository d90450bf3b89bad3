//! Filters as a form shows them, and as a Sieve script (RFC 5228 and extensions).
//!
//! The script is ours from its first line to its last. What a person writes by hand stays in a script of
//! its own, which ours includes (RFC 6609); it is never read or changed here.

mod read;
mod rules;
mod syntax;
mod write;

pub use read::{NotOurs, read};
pub use rules::{Action, Comparison, Field, Filters, Flag, InvalidFilter, Rule, Test, Vacation};
pub use write::{SCRIPT_NAME, write};
