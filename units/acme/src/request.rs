//! What the administrator asks of the next run.
//!
//! `renew` and `revoke` are typed by root; the work is done by the unit, in its sandbox and as its
//! own user. Between them lies one word in a file. A run that ends in failure has answered it too.

use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use mailkiln_store::durable::{self, DurableError};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// A new certificate now.
    Renew {
        /// With a new key.
        new_key: bool,
    },
    /// Revoke the one in use and get another, with a new key.
    Revoke(Reason),
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its key may be known to others.
    KeyCompromise,
    /// There is a better one.
    Superseded,
    /// The names are given up.
    CessationOfOperation,
}

const REASONS: [(&str, Reason); 3] = [
    ("key-compromise", Reason::KeyCompromise),
    ("superseded", Reason::Superseded),
    ("cessation", Reason::CessationOfOperation),
];

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = REASONS.iter().find(|(word, _)| *word == text);
        found.map(|(_, reason)| *reason).ok_or_else(|| {
            format!("`{text}` is no reason; write key-compromise, superseded or cessation")
        })
    }
}

impl Request {
    fn text(self) -> String {
        match self {
            Self::Renew { new_key: false } => "renew".to_owned(),
            Self::Renew { new_key: true } => "renew new-key".to_owned(),
            Self::Revoke(reason) => {
                let word = REASONS.iter().find(|(_, it)| *it == reason).map(|(word, _)| *word);
                format!("revoke {}", word.unwrap_or_default())
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match *text.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["renew"] => Some(Self::Renew { new_key: false }),
            ["renew", "new-key"] => Some(Self::Renew { new_key: true }),
            ["revoke", reason] => Some(Self::Revoke(reason.parse().ok()?)),
            _ => None,
        }
    }

    /// Leaves the request for the next run.
    ///
    /// # Errors
    /// [`DurableError`].
    pub fn leave(self, path: &Path) -> Result<(), DurableError> {
        durable::write(path, self.text().as_bytes(), 0o644, None)
    }

    /// Takes the request that was left, if there is one.
    ///
    /// # Errors
    /// [`DurableError`] when it would stay and be answered again and again.
    pub fn take(path: &Path) -> Result<Option<Self>, DurableError> {
        match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => {
                durable::remove(path)?;
                Ok(text.ok().and_then(|text| Self::parse(&text)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("request");
        for request in [
            Request::Renew { new_key: false },
            Request::Renew { new_key: true },
            Request::Revoke(Reason::KeyCompromise),
            Request::Revoke(Reason::CessationOfOperation),
        ] {
            request.leave(&path).unwrap();
            assert_eq!(Request::take(&path).unwrap(), Some(request));
            assert_eq!(Request::take(&path).unwrap(), None);
        }
        fs::write(&path, "dance").unwrap();
        assert_eq!(Request::take(&path).unwrap(), None);
        assert!("no".parse::<Reason>().unwrap_err().contains("superseded"));
    }
}
