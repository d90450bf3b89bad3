//! What is known about a message in the quarantine.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::pool::wire::WireFinding;

/// Name of a message in the quarantine: time and a part of its digest,
/// `20261122-103833-5d41402a`. Sorted by it, messages are sorted by time.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

/// Text that is no [`Id`].
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no message of the quarantine; they are called like 20261122-103833-5d41402a")]
pub struct UnknownId(String);

impl Id {
    /// A name for a message of this digest that came in at `received` (seconds since 1970).
    pub(super) fn new(received: u64, digest: &[u8; 32]) -> Self {
        let [a, b, c, d, ..] = digest;
        Self(format!("{}-{a:02x}{b:02x}{c:02x}{d:02x}", clock::compact(received)))
    }

    /// As text, safe as the name of a file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Id {
    type Err = UnknownId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let hexadecimal = |text: &str| {
            text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        match parts.as_slice() {
            [date, time, rest] if digits(date, 8) && digits(time, 6) && hexadecimal(rest) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(UnknownId(text.chars().take(80).collect())),
        }
    }
}

impl TryFrom<String> for Id {
    type Error = UnknownId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

/// One message. This is what `entry.json` holds and what the API answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name here.
    pub id: Id,
    /// When it came in, seconds since 1970.
    pub received: u64,
    /// Envelope sender; empty for reports of delivery.
    pub sender: String,
    /// Envelope recipients who have not got it.
    pub recipients: Vec<String>,
    /// Address of the client that handed it in.
    pub client: String,
    /// `From:` of the message, decoded.
    pub from: String,
    /// `Subject:` of the message, decoded.
    pub subject: String,
    /// Size of the message in bytes.
    pub bytes: u64,
    /// Why it is here.
    pub findings: Vec<WireFinding>,
}

impl Entry {
    /// When it came in.
    pub fn received_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.received)
    }

    pub(super) fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_names() {
        let id = Id::new(1_795_343_913, &[0xab; 32]);
        assert_eq!(id.as_str(), "20261122-103833-abababab");
        assert_eq!(id.as_str().parse(), Ok(id));
        for wrong in ["", "..", "20261122-103833-../../..", "20261122-103833-ABABABAB", "x-y-z"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}
