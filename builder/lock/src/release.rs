//! `InRelease`: what an archive says a suite consists of, and by whose word.
//!
//! In: the file's bytes. Out: an [`InRelease<Verified>`], which only [`InRelease::verify`] makes:
//! signed by a key for this archive, of the right suite, of today. Format: RFC 9580 §7 around the
//! fields of <https://wiki.debian.org/DebianRepository/Format>. Pure: the time is handed in.

use std::collections::BTreeMap;

use deb822_fast::Deb822;
use jiff::Timestamp;
use mailkiln_pin::{Archive, Sha256};
use pgp::composed::CleartextSignedMessage;

use crate::keyring::CLOCK_SKEW;
use crate::{Keyring, SignatureError};

/// Largest file read, in bytes; trixie's has 140 KiB.
pub const MAX_RELEASE_BYTES: usize = 512 << 10;

/// The parser's work grows with lines × bytes, so both have a limit; trixie's has 1,400 lines.
const MAX_LINES: usize = 8192;

/// An `InRelease` file, in one of two states.
#[derive(Debug, Clone)]
pub struct InRelease<State> {
    digest: Sha256,
    state: State,
}

/// Parsed, but by nobody known yet.
#[derive(Debug, Clone)]
pub struct Unverified {
    message: CleartextSignedMessage,
}

/// Signed by a known key, for the suite that was asked for, and neither stale nor of the future.
#[derive(Debug, Clone)]
pub struct Verified {
    release: Release,
    signed_by: String,
}

/// What a release must be to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The archive that it was fetched from; only keys for this archive count.
    pub archive: Archive,
    /// The codename that it must have: `trixie-security`.
    pub codename: &'a str,
    /// The date of the release that was seen last. An older one is a replay.
    pub not_before: Option<Timestamp>,
}

/// The fields of a release file that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The suite: `trixie-updates`.
    pub codename: String,
    /// When it was made.
    pub date: Timestamp,
    /// Until when it may be used. Debian's stable suite has none.
    pub valid_until: Option<Timestamp>,
    /// Size in bytes and digest of each index, by path below the suite.
    pub files: BTreeMap<String, (u64, Sha256)>,
}

/// A release file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// More than any release file has.
    #[error(
        "InRelease is larger than {MAX_RELEASE_BYTES} bytes or {MAX_LINES} lines: that is not what was asked for; try another mirror"
    )]
    TooLarge,
    /// Not a signed text.
    #[error("InRelease is not signed, or damaged: {0}; try another mirror")]
    NotSigned(String),
    /// No key that may sign this archive has signed it.
    #[error(
        "InRelease of {suite} is not signed by any key for Debian's archive `{archive}`; try another mirror, and distrust this one"
    )]
    UnknownSigner {
        /// The suite that was asked for.
        suite: String,
        /// The archive.
        archive: Archive,
    },
    /// A known key's signature does not count.
    #[error("InRelease of {suite}: {source}")]
    Signature {
        /// The suite that was asked for.
        suite: String,
        /// Why not.
        source: SignatureError,
    },
    /// A field is missing or can't be right.
    #[error("InRelease: field {field} {what}; try another mirror")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The file belongs to another suite.
    #[error(
        "InRelease is of the suite `{found}`, not of `{wanted}`: the mirror mixes them up; try another"
    )]
    OtherSuite {
        /// What was asked for.
        wanted: String,
        /// What came.
        found: String,
    },
    /// Its time is over.
    #[error(
        "InRelease of {suite} was valid until {until}, now it is {now}: the mirror is stale; try another, and check the clock"
    )]
    Expired {
        /// The suite.
        suite: String,
        /// Its last moment.
        until: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// It comes from the future.
    #[error("InRelease of {suite} is of {date}, but now it is {now}: check the clock")]
    Future {
        /// The suite.
        suite: String,
        /// Its date.
        date: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// An older one than we have seen.
    #[error(
        "InRelease of {suite} is of {date}, but the lock was made from one of {seen}: the mirror is behind; try another"
    )]
    Older {
        /// The suite.
        suite: String,
        /// Its date.
        date: Timestamp,
        /// The date in the lock.
        seen: Timestamp,
    },
}

impl InRelease<Unverified> {
    /// Reads a file. What it says is nobody's word yet, so nothing of it can be looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReleaseError> {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        if bytes.len() > MAX_RELEASE_BYTES || lines > MAX_LINES {
            return Err(ReleaseError::TooLarge);
        }
        let (message, _) = CleartextSignedMessage::from_armor(bytes)
            .map_err(|error| ReleaseError::NotSigned(error.to_string()))?;
        Ok(Self { digest: Sha256::of(bytes), state: Unverified { message } })
    }

    /// Checks signature, suite and time.
    ///
    /// At least one signature has to be by a key for the archive; those by other keys are passed
    /// over (archives sign with the keys of several releases), but a bad one by a known key is
    /// an error.
    pub fn verify(
        self,
        keyring: &Keyring,
        expected: &Expected<'_>,
        now: Timestamp,
    ) -> Result<InRelease<Verified>, ReleaseError> {
        let suite = || expected.codename.to_owned();
        let text = self.state.message.signed_text();
        let mut signed_by = None;
        for signature in self.state.message.signatures() {
            let signer = keyring
                .signer(expected.archive, signature, text.as_bytes(), now)
                .map_err(|source| ReleaseError::Signature { suite: suite(), source })?;
            signed_by = signed_by.or(signer);
        }
        let Some(signed_by) = signed_by else {
            return Err(ReleaseError::UnknownSigner { suite: suite(), archive: expected.archive });
        };
        let release = Release::parse(&text)?;
        release.check(expected, now)?;
        Ok(InRelease { digest: self.digest, state: Verified { release, signed_by } })
    }
}

impl<State> InRelease<State> {
    /// Digest of the file, signature included.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }
}

impl InRelease<Verified> {
    /// What it says.
    pub fn release(&self) -> &Release {
        &self.state.release
    }

    /// Fingerprint of the primary key that signed it, upper-case hex.
    pub fn signed_by(&self) -> &str {
        &self.state.signed_by
    }
}

impl Release {
    /// Reads the text of a release file, without its signature.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let stanzas: Deb822 =
            text.replace("\r\n", "\n").parse().map_err(|error: deb822_fast::Error| {
                ReleaseError::Field { field: "syntax", what: format!("can't be read: {error}") }
            })?;
        let mut all = stanzas.iter();
        let (Some(stanza), None) = (all.next(), all.next()) else {
            return Err(ReleaseError::Field { field: "Codename", what: "is missing".to_owned() });
        };
        let get = |field| {
            stanza.get(field).ok_or(ReleaseError::Field { field, what: "is missing".to_owned() })
        };
        Ok(Self {
            codename: get("Codename")?.trim().to_owned(),
            date: parse_time("Date", get("Date")?)?,
            valid_until: stanza
                .get("Valid-Until")
                .map(|text| parse_time("Valid-Until", text))
                .transpose()?,
            files: parse_files(get("SHA256")?)?,
        })
    }

    fn check(&self, expected: &Expected<'_>, now: Timestamp) -> Result<(), ReleaseError> {
        let suite = || self.codename.clone();
        if self.codename != expected.codename {
            let wanted = expected.codename.to_owned();
            return Err(ReleaseError::OtherSuite { wanted, found: suite() });
        }
        if self.date.as_second() > now.as_second() + CLOCK_SKEW {
            return Err(ReleaseError::Future { suite: suite(), date: self.date, now });
        }
        if let Some(until) = self.valid_until.filter(|until| *until < now) {
            return Err(ReleaseError::Expired { suite: suite(), until, now });
        }
        if let Some(seen) = expected.not_before.filter(|seen| self.date < *seen) {
            return Err(ReleaseError::Older { suite: suite(), date: self.date, seen });
        }
        Ok(())
    }
}

/// `Sat, 12 Sep 2026 07:55:41 UTC`: RFC 2822 §3.3, but for the zone.
fn parse_time(field: &'static str, text: &str) -> Result<Timestamp, ReleaseError> {
    let wrong = || ReleaseError::Field {
        field,
        what: format!("is not a time: `{}`", text.escape_debug().take(80).collect::<String>()),
    };
    let plain = text.trim().strip_suffix(" UTC").ok_or_else(wrong)?;
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(format!("{plain} +0000"))
        .map_err(|_| wrong())
}

/// Lines of digest, size and path.
fn parse_files(text: &str) -> Result<BTreeMap<String, (u64, Sha256)>, ReleaseError> {
    let mut files = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let wrong = || ReleaseError::Field {
            field: "SHA256",
            what: format!("has a bad line: `{}`", line.escape_debug().take(80).collect::<String>()),
        };
        let words: Vec<_> = line.split_whitespace().collect();
        let [digest, size, path] = words[..] else { return Err(wrong()) };
        let digest = digest.parse().map_err(|_| wrong())?;
        let size = size.parse().map_err(|_| wrong())?;
        if files.insert(path.to_owned(), (size, digest)).is_some_and(|old| old != (size, digest)) {
            return Err(wrong());
        }
    }
    Ok(files)
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;
