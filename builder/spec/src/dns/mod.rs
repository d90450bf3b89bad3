//! The DNS records that an appliance needs, from its `mail.toml` alone.
//!
//! In: a checked spec, and the DKIM keys that the appliance has made, where they are known. Out:
//! records, as a zone file or as a table; and the MTA-STS policy that one of them is about.

mod dkim;
mod record;
mod records;
mod table;
#[cfg(test)]
mod tests;
mod tlsa;
mod zone;

pub use dkim::DkimKey;
pub use record::{Data, Record};
pub use records::{mta_sts_policy, notes, records};
pub use table::table;
pub use tlsa::TlsaRecord;
pub use zone::zone_file;
