//! One DNS record.

use std::fmt;
use std::net::IpAddr;

/// A record to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose record it is: an absolute name in A-labels, without the dot at its end.
    pub name: String,
    /// What it says.
    pub data: Data,
    /// What it is for, in a few words.
    pub purpose: &'static str,
}

/// What a record says. Names are absolute, in A-labels, without the dot at their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// `A` or `AAAA`: an address (RFC 1035, 3.4.1; RFC 3596).
    Address(IpAddr),
    /// `CNAME`: another name for a machine (RFC 1035, 3.3.1).
    Alias(String),
    /// `MX`: where mail goes, with its preference (RFC 1035, 3.3.9).
    Mx(u16, String),
    /// `SRV`: where a service is (RFC 2782).
    Srv {
        /// Lower is asked first.
        priority: u16,
        /// Share among those of the same priority.
        weight: u16,
        /// TCP port.
        port: u16,
        /// The machine.
        target: String,
    },
    /// `TLSA`: what key a server has, as zone files write it (RFC 6698, 2.2).
    Tlsa(String),
    /// `TXT`: ASCII text of any length (RFC 1035, 3.3.14).
    Text(String),
}

impl Data {
    /// The type of the record: `MX`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address(IpAddr::V4(_)) => "A",
            Self::Address(IpAddr::V6(_)) => "AAAA",
            Self::Alias(_) => "CNAME",
            Self::Mx(..) => "MX",
            Self::Srv { .. } => "SRV",
            Self::Tlsa(_) => "TLSA",
            Self::Text(_) => "TXT",
        }
    }
}

/// The data as a provider's form wants it: names without a final dot, text without quotes.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => write!(f, "{ip}"),
            Self::Alias(name) | Self::Text(name) | Self::Tlsa(name) => f.write_str(name),
            Self::Mx(preference, host) => write!(f, "{preference} {host}"),
            Self::Srv { priority, weight, port, target } => {
                write!(f, "{priority} {weight} {port} {target}")
            }
        }
    }
}
