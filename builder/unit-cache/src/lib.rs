//! Compiled units that someone else has made and signed.
//!
//! In: the address of a unit cache and public keys. Out: units in the local cache, as if they had
//! been compiled here, with a note of where they come from. And the reverse: the files of a unit
//! cache, out of compiled units and a secret key. See README.md.

mod record;
mod source;

pub use record::{Record, RecordError, Signed};
pub use source::{PROGRAMS, Refusal, UnitCache, record_name};

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use crate::record::{MOST_BYTES, Signed};

    /// Reads `bytes` as a record; what is read is written as it was.
    pub fn record(bytes: &[u8]) {
        if bytes.len() as u64 > MOST_BYTES {
            return;
        }
        if let Ok(signed) = Signed::parse(bytes) {
            let again = Signed::parse(signed.to_string().as_bytes());
            assert_eq!(again, Ok(signed), "a record is read as it is written");
        }
    }
}
