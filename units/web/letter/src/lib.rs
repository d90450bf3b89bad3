//! Mail as a page may show it, and mail as a form writes it: pure functions over bytes.
//!
//! Every byte that comes in is hostile: it was written by strangers. Nothing here opens a file or a
//! socket, reads a clock or makes a random number; what needs one takes it as an argument.
//!
//! - [`reading`]: a message's bytes become headers, parts, a body to show and what to say about them.
//! - [`html`]: foreign HTML and CSS become the little that a frame without scripts may hold.
//! - [`text`]: plain text becomes HTML, with links and quotes; signs that deceive become visible.
//! - [`writing`]: the fields of a form become a message's bytes.
//! - [`sieve`]: the rules of a form become a Sieve script, and back.
//! - [`fuzz`]: one function per reader, for fuzzers and tests.

pub mod fuzz;
pub mod html;
pub mod reading;
pub mod sieve;
pub mod text;
pub mod writing;

pub(crate) use html::escape_markup as html_escape;
