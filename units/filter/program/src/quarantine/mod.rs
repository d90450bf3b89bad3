//! Messages that are kept until somebody decides: one directory each, below `quarantine/`.
//!
//! In: messages with their findings. Out: the same, listed, shown, handed back, deleted. A message
//! is there as a whole or not at all, whenever the power goes: its directory is filled under
//! another name, flushed and renamed.

mod entry;
pub mod release;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

pub use entry::{Entry, Id, UnknownId};

use crate::durable;

const MESSAGE: &str = "message.eml";
const ENTRY: &str = "entry.json";
/// Prefix of directories that are not whole yet.
const UNFINISHED: &str = ".new-";

/// The quarantine of an appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    directory: PathBuf,
    /// How long a message is kept.
    pub keep: Duration,
    /// Most bytes of all messages together.
    pub most_bytes: u64,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// There is no such message.
    #[error(
        "there is no message {0} in the quarantine; `mailkiln-filter quarantine list` shows all"
    )]
    Absent(Id),
    /// The limit of `mail.toml` is reached.
    #[error(
        "the quarantine is full: {used} of {most} bytes; delete messages with `mailkiln-filter \
         quarantine delete`, or raise `quarantine_size` in mail.toml"
    )]
    Full {
        /// Bytes of all messages.
        used: u64,
        /// The limit.
        most: u64,
    },
    /// The file system refused.
    #[error("cannot {step} {path}: {source}")]
    File {
        /// What was tried.
        step: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> QuarantineError {
    move |source| QuarantineError::File { step, path: path.to_owned(), source }
}

impl Quarantine {
    /// The quarantine below a state directory; nothing is touched yet.
    pub fn new(state: &Path, keep: Duration, most_bytes: u64) -> Self {
        Self { directory: state.join("quarantine"), keep, most_bytes }
    }

    /// Makes the directory, and removes what a power cut left half done.
    ///
    /// # Errors
    /// [`QuarantineError`] when the directory can't be made or read.
    pub fn prepare(&self) -> Result<(), QuarantineError> {
        let directory = &self.directory;
        fs::create_dir_all(directory).map_err(failed("make the directory", directory))?;
        for name in self.names()? {
            if name.starts_with(UNFINISHED) {
                let path = directory.join(name);
                fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Keeps a message; its id is in the entry that comes back. When this returns, the message is
    /// on the medium.
    ///
    /// # Errors
    /// [`QuarantineError`]; nothing is kept then.
    pub fn add(&self, mut entry: Entry, message: &[u8]) -> Result<Entry, QuarantineError> {
        let used = self.bytes()?;
        let most = self.most_bytes;
        if used.saturating_add(message.len() as u64) > most {
            return Err(QuarantineError::Full { used, most });
        }
        entry.id = Id::new(entry.received, &digest(&entry, message));
        let unfinished = self.directory.join(format!("{UNFINISHED}{}", entry.id));
        let place = self.place(&entry.id);
        if place.exists() {
            // The same message in the same second, to the same recipients: once is enough.
            return Ok(entry);
        }
        let written = fs::create_dir(&unfinished)
            .and_then(|()| durable::create(&unfinished.join(MESSAGE), message))
            .and_then(|()| durable::create(&unfinished.join(ENTRY), &entry.to_json()?))
            .and_then(|()| durable::flush_directory(&unfinished))
            .and_then(|()| fs::rename(&unfinished, &place))
            .and_then(|()| durable::flush_directory(&self.directory));
        if let Err(source) = written {
            // Only tidiness: the next start removes it too.
            let _ = fs::remove_dir_all(&unfinished);
            return Err(failed("keep a message in", &place)(source));
        }
        Ok(entry)
    }

    /// What is kept, the oldest first. An entry that can't be read is left out and said.
    ///
    /// # Errors
    /// [`QuarantineError`] when the directory can't be read.
    pub fn list(&self) -> Result<Vec<Entry>, QuarantineError> {
        let mut entries = Vec::new();
        for name in self.names()? {
            let Ok(id) = name.parse::<Id>() else { continue };
            match self.entry(&id) {
                Ok(entry) => entries.push(entry),
                Err(QuarantineError::Absent(_)) => {}
                Err(error) => crate::journal::warn(&error.to_string()),
            }
        }
        entries.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(entries)
    }

    /// What is known about a message.
    ///
    /// # Errors
    /// [`QuarantineError`] when there is none, or it can't be read.
    pub fn entry(&self, id: &Id) -> Result<Entry, QuarantineError> {
        let path = self.place(id).join(ENTRY);
        let bytes = self.read(id, &path)?;
        serde_json::from_slice(&bytes).map_err(io::Error::from).map_err(failed("read", &path))
    }

    /// The message itself.
    ///
    /// # Errors
    /// [`QuarantineError`] when there is none, or it can't be read.
    pub fn message(&self, id: &Id) -> Result<Vec<u8>, QuarantineError> {
        self.read(id, &self.place(id).join(MESSAGE))
    }

    /// Replaces what is known about a message, for example who still waits for it.
    ///
    /// # Errors
    /// [`QuarantineError`] when it can't be written.
    pub fn update(&self, entry: &Entry) -> Result<(), QuarantineError> {
        let path = self.place(&entry.id).join(ENTRY);
        let json = entry.to_json().map_err(failed("write", &path))?;
        durable::replace(&path, &json).map_err(failed("write", &path))
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// [`QuarantineError`] when there is none, or it stays.
    pub fn delete(&self, id: &Id) -> Result<(), QuarantineError> {
        let (place, gone) = (self.place(id), self.directory.join(format!("{UNFINISHED}{id}")));
        match fs::rename(&place, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(QuarantineError::Absent(id.clone()));
            }
            other => other.map_err(failed("delete", &place))?,
        }
        fs::remove_dir_all(&gone).map_err(failed("delete", &gone))?;
        durable::flush_directory(&self.directory).map_err(failed("flush", &self.directory))
    }

    /// Deletes what has been kept long enough, and says what.
    ///
    /// # Errors
    /// [`QuarantineError`] at the first that can't be deleted.
    pub fn expire(&self, now: SystemTime) -> Result<Vec<Id>, QuarantineError> {
        let mut expired = Vec::new();
        for entry in self.list()? {
            if self.expiry(&entry) <= now {
                self.delete(&entry.id)?;
                expired.push(entry.id);
            }
        }
        Ok(expired)
    }

    /// When a message is deleted.
    pub fn expiry(&self, entry: &Entry) -> SystemTime {
        entry.received_at() + self.keep
    }

    /// Bytes of all messages.
    ///
    /// # Errors
    /// [`QuarantineError`] when the directory can't be read.
    pub fn bytes(&self) -> Result<u64, QuarantineError> {
        let size = |name: &String| {
            // One that is deleted just now counts nothing.
            fs::metadata(self.directory.join(name).join(MESSAGE)).map_or(0, |file| file.len())
        };
        Ok(self.names()?.iter().map(size).sum())
    }

    fn place(&self, id: &Id) -> PathBuf {
        self.directory.join(id.as_str())
    }

    fn read(&self, id: &Id, path: &Path) -> Result<Vec<u8>, QuarantineError> {
        fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => QuarantineError::Absent(id.clone()),
            _ => failed("read", path)(error),
        })
    }

    fn names(&self) -> Result<Vec<String>, QuarantineError> {
        let directory = &self.directory;
        let listed = fs::read_dir(directory).and_then(|entries| {
            entries.map(|entry| entry.map(|it| it.file_name())).collect::<io::Result<Vec<_>>>()
        });
        match listed {
            // Before the filter's first start.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => {
                let names = other.map_err(failed("list", directory))?;
                Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
            }
        }
    }
}

fn digest(entry: &Entry, message: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in std::iter::once(&entry.sender).chain(&entry.recipients) {
        hash.update(text);
        hash.update([0]);
    }
    hash.update(message);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quarantine(state: &Path) -> Quarantine {
        let quarantine = Quarantine::new(state, Duration::from_secs(1000), 100);
        quarantine.prepare().unwrap();
        quarantine
    }

    fn entry(received: u64, recipient: &str) -> Entry {
        Entry { received, recipients: vec![recipient.to_owned()], ..Entry::default() }
    }

    #[test]
    fn what_is_kept_comes_back_and_can_be_deleted() {
        let state = tempfile::tempdir().unwrap();
        let quarantine = quarantine(state.path());
        let first = quarantine.add(entry(1_700_000_000, "a@b"), b"one").unwrap();
        let second = quarantine.add(entry(1_700_000_001, "a@b"), b"two").unwrap();
        assert_eq!(quarantine.list().unwrap(), [first.clone(), second.clone()]);
        assert_eq!(quarantine.message(&second.id).unwrap(), b"two");
        assert_eq!(quarantine.bytes().unwrap(), 6);
        quarantine.delete(&first.id).unwrap();
        assert!(matches!(quarantine.delete(&first.id), Err(QuarantineError::Absent(_))));
        assert!(matches!(quarantine.message(&first.id), Err(QuarantineError::Absent(_))));
        let left = Entry { recipients: vec![], ..second.clone() };
        quarantine.update(&left).unwrap();
        assert_eq!(quarantine.entry(&second.id).unwrap(), left);
    }

    #[test]
    fn a_message_is_kept_once_but_for_each_envelope() {
        let state = tempfile::tempdir().unwrap();
        let quarantine = quarantine(state.path());
        for recipient in ["a@b", "a@b", "c@d"] {
            quarantine.add(entry(1_700_000_000, recipient), b"one").unwrap();
        }
        assert_eq!(quarantine.list().unwrap().len(), 2);
    }

    #[test]
    fn it_does_not_grow_beyond_its_limit() {
        let state = tempfile::tempdir().unwrap();
        let quarantine = quarantine(state.path());
        quarantine.add(entry(1, "a@b"), &[0; 60]).unwrap();
        let error = quarantine.add(entry(2, "a@b"), &[0; 60]).unwrap_err().to_string();
        assert!(error.contains("60 of 100 bytes"), "{error}");
        assert_eq!(quarantine.list().unwrap().len(), 1);
    }

    #[test]
    fn it_expires() {
        let state = tempfile::tempdir().unwrap();
        let quarantine = quarantine(state.path());
        let old = quarantine.add(entry(1_000, "a@b"), b"one").unwrap();
        quarantine.add(entry(1_500, "a@b"), b"two").unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(quarantine.expire(at(1_999)).unwrap(), []);
        assert_eq!(quarantine.expire(at(2_000)).unwrap(), [old.id]);
        assert_eq!(quarantine.list().unwrap().len(), 1);
    }

    #[test]
    fn what_a_power_cut_left_is_removed() {
        let state = tempfile::tempdir().unwrap();
        let quarantine = quarantine(state.path());
        let half = state.path().join("quarantine/.new-20260101-000000-00000000");
        fs::create_dir(&half).unwrap();
        fs::write(half.join(MESSAGE), "half").unwrap();
        assert_eq!(quarantine.list().unwrap(), []);
        quarantine.prepare().unwrap();
        assert!(!half.exists());
    }
}
