//! IMAP (RFC 3501, RFC 9051), as far as a mailbox in a browser needs it.

mod changing;
mod command;
mod date;
mod fetched;
mod folder;
mod reading;
mod response;
mod search;
mod session;
mod set;
mod structure;
mod transfer;
mod utf7;

pub use changing::Change;
pub use date::{Date, internal_date};
pub use fetched::{Fetched, Section};
pub use folder::{Folder, SpecialUse, folder_to_text, folder_to_wire};
pub use response::{Code, Counters, Quota, Response, Status};
pub use search::{Key, Order};
pub use session::{Selected, Session};
pub use set::UidSet;
pub use structure::{Part, Structure};
