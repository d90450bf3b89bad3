//! What provisioning has made and set so far: `/var/lib/mailkiln/provisioned.json`.
//!
//! In: the file. Out: a [`Record`]. With it a later run can tell an account that was taken out of
//! `mail.toml` from one that an administrator made by hand. It holds no secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{self, DurableError};

/// Everything that was made or set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Domains that were declared, and are not yet deleted.
    pub domains: BTreeSet<String>,
    /// The same for accounts, by address.
    pub accounts: BTreeMap<String, AccountRecord>,
}

/// What was made or set of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Whether provisioning made it. One that was there before it was declared is never deleted.
    pub created: bool,
    /// The name that was declared; empty for none.
    #[serde(default)]
    pub name: String,
    /// The quota that was declared, in bytes.
    #[serde(default)]
    pub quota: Option<u64>,
    /// Further addresses that were declared.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Set while it is not declared any more.
    #[serde(default)]
    pub suspended: Option<Suspension>,
}

/// An account that is kept for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// The addresses it had, the primary one first.
    pub emails: Vec<String>,
    /// The quota it had, in bytes; 0 for none.
    pub quota: u64,
    /// The permissions that were taken from it.
    pub permissions: Vec<String>,
}

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}; run this as root or as the user mailkiln")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is not what was written.
    #[error(
        "{path} is damaged: {source}; move it away: what mail.toml declares is recorded again, and \
         accounts that were taken out of it before then stay as they are"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] DurableError),
}

impl Record {
    /// Reads the record; `None` where there is none yet, or an empty file that a power cut left.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn read(path: &Path) -> Result<Option<Self>, RecordError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecordError::Read { path: path.to_owned(), source }),
        };
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| RecordError::Damaged { path: path.to_owned(), source })
    }

    /// Keeps the record, on the medium.
    ///
    /// # Errors
    /// [`RecordError::Write`]; the old one is then untouched.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        Ok(durable::write(path, text.as_bytes(), 0o600, None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nonsense_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("provisioned.json");
        assert_eq!(Record::read(&path).unwrap(), None);
        let mut record = Record::default();
        record.domains.insert("example.org".to_owned());
        let suspended =
            Suspension { since: 7, emails: vec!["a@x.org".to_owned()], ..Default::default() };
        let account =
            AccountRecord { created: true, suspended: Some(suspended), ..Default::default() };
        record.accounts.insert("a@x.org".to_owned(), account);
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), Some(record));
        fs::write(&path, "").unwrap();
        assert_eq!(Record::read(&path).unwrap(), None);
        fs::write(&path, "{\"domains\":").unwrap();
        let error = Record::read(&path).unwrap_err().to_string();
        assert!(error.contains("provisioned.json") && error.contains("move it away"), "{error}");
    }
}
