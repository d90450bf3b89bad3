//! A message's bytes as a page may show it.
//!
//! mail-parser reads the structure; what it would follow without end is cut before (see [`bounds`]), and
//! each cut is a [`Notice`] that the page says aloud.

mod attachment;
mod authentication;
mod bounds;
mod calendar;
mod headers;
mod letter;
mod parts;
mod show;
mod tnef;
mod unsubscribe;

pub use attachment::{content_disposition, inline_image_type, is_dangerous, safe_name};
pub use authentication::{Check, Outcome, Spam, authentication, spam};
pub use calendar::{Event, events};
pub use headers::{Headers, Mailbox, NameDeceit, header_lines};
pub use letter::{Block, Letter, Notice, content, read, read_nested};
pub use parts::{Part, PartId};
pub use show::{Preference, Shown, show};
pub use tnef::{Tnef, TnefFile, read_tnef};
pub use unsubscribe::{Unsubscribe, unsubscribe};
