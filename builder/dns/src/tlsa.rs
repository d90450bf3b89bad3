//! The TLSA record of an appliance (RFC 6698, RFC 7672), as it publishes it.
//!
//! In: the line of `/var/lib/mailkiln-acme/tlsa.txt`. Out: a record. Only `3 1 1` is taken, which is the
//! digest of the server's own key: the only kind that a renewal with the same key leaves right.

use mailkiln_spec::{DomainName, Flaw, shown};

use crate::{Data, Record};

/// Service and protocol of mail between servers (RFC 7672, 2.2.1).
const SERVICE: &str = "_25._tcp.";
/// Hex digits of SHA-256.
const DIGITS: usize = 64;

/// What key other servers shall expect of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsaRecord {
    /// The host.
    pub host: DomainName,
    /// SHA-256 of its key, in hex.
    pub digest: String,
}

impl TlsaRecord {
    /// The record of a file.
    ///
    /// # Errors
    ///
    /// When the file holds something else.
    pub fn parse_file(text: &str) -> Result<Self, Flaw> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let name = words.first().copied().unwrap_or_default();
        let flaw = |label: &str| {
            let message = format!("`{}` is not a TLSA record of an appliance", shown(name));
            let help = "copy /var/lib/mailkiln-acme/tlsa.txt from the appliance as it is";
            Flaw::new(message, label, help)
        };
        let &[name, "IN", "TLSA", "3", "1", "1", digest] = words.as_slice() else {
            return Err(flaw("it is not one line `_25._tcp.HOST. IN TLSA 3 1 1 DIGEST`"));
        };
        let host = name.trim_end_matches('.').strip_prefix(SERVICE);
        let host = host.ok_or_else(|| flaw("its name does not begin with `_25._tcp.`"))?;
        if digest.len() != DIGITS || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(flaw("its digest has not 64 hex digits"));
        }
        let host = host.parse().map_err(|problem: Flaw| flaw(&problem.label))?;
        Ok(Self { host, digest: digest.to_ascii_lowercase() })
    }

    /// The record to publish.
    pub fn record(&self) -> Record {
        Record {
            name: format!("{SERVICE}{}", self.host),
            data: Data::Tlsa(format!("3 1 1 {}", self.digest)),
            purpose: "DANE: its key, for zones with DNSSEC",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_appliance_and_nothing_else() {
        let digest = "AB".repeat(32);
        let line = format!("_25._tcp.mail.example.org. IN TLSA 3 1 1 {digest}\n");
        let record = TlsaRecord::parse_file(&line).unwrap().record();
        assert_eq!(record.name, "_25._tcp.mail.example.org");
        assert_eq!(record.data.to_string(), format!("3 1 1 {}", "ab".repeat(32)));
        for (from, to) in [("3 1 1", "2 1 1"), ("AB", "A"), ("_25", "_26"), ("mail", "m a")] {
            assert!(TlsaRecord::parse_file(&line.replace(from, to)).is_err(), "{from}");
        }
        assert!(TlsaRecord::parse_file("").unwrap_err().help.contains("tlsa.txt"));
    }
}
