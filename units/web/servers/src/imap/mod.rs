//! IMAP (RFC 3501, RFC 9051), as far as a mailbox in a browser needs it.

mod command;
mod date;
mod fetched;
mod folder;
mod response;
mod search;
mod session;
mod structure;
mod transfer;
mod utf7;

pub use date::{Date, internal_date};
pub use fetched::{Fetched, Section};
pub use folder::{Folder, SpecialUse, folder_to_wire, folder_to_text};
pub use response::{Code, Counters, Quota, Response, Status};
pub use search::{Key, Order};
pub use session::{Change, Selected, Session, UidSet};
pub use structure::{Part, Structure};
