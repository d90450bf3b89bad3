//! The record for DANE (RFC 6698, RFC 7672): what other servers shall expect as our key.

use mailkiln_store::certificate::Facts;
use ring::digest::{SHA256, digest};

/// `3 1 1 DIGEST`: the server's own certificate, its key, SHA-256 (RFC 6698 section 2.1).
pub fn data(facts: &Facts) -> String {
    format!("3 1 1 {}", hex(&facts.public_key_info))
}

/// A line of a zone file for mail between servers.
pub fn zone_line(host: &str, facts: &Facts) -> String {
    format!("_25._tcp.{host}. IN TLSA {}\n", data(facts))
}

/// SHA-256 in hex.
pub fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
