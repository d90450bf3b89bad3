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

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use crate::{DkimKey, TlsaRecord, notes, records, table, zone_file};

    /// Reads `bytes` as a `mail.toml` and makes its records.
    pub fn mail_toml(bytes: &[u8]) {
        if let Ok(spec) = mailkiln_spec::parse(&String::from_utf8_lossy(bytes)) {
            let records = records(&spec, &[]);
            let _ = (zone_file(&records), table(&records), notes(&spec, &[]));
        }
    }

    /// Reads `bytes` as the DKIM records of an appliance, and as its TLSA record.
    pub fn dkim_records(bytes: &[u8]) {
        for key in DkimKey::parse_file(&String::from_utf8_lossy(bytes)).unwrap_or_default() {
            let _ = zone_file(&[key.record()]);
        }
        if let Ok(found) = TlsaRecord::parse_file(&String::from_utf8_lossy(bytes)) {
            let _ = zone_file(&[found.record()]);
        }
    }
}
