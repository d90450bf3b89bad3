//! What an upload has done so far, in a file beside the image, so that a broken or killed one goes on.
//!
//! One JSON document a line: which image and where to, values that were made up or received (identifiers of
//! unfinished uploads), and parts that have arrived. Lines are only ever added. The last one may be torn and is then
//! ignored. The file is its owner's alone and locked while an upload runs. It holds no credentials, but addresses
//! of unfinished uploads, which some clouds accept in their place.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mailkiln_pin::Sha256;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::error::UploadError;

/// The longest journal that is read: 10,000 parts have less than 2 MiB.
const LONGEST: u64 = 16 << 20;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Which image, and where to.
    Upload { sha256: String, size: u64, place: String },
    /// A value by its name; a later one takes its place.
    Value { name: String, value: String },
    /// A part, and what the server called it.
    Part { number: u64, tag: String },
    /// The parts so far are worth nothing: a new upload begins.
    Forget {},
}

/// The journal of one image and one place.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    file: File,
    sha256: String,
    values: BTreeMap<String, String>,
    parts: BTreeMap<u64, String>,
}

impl Journal {
    /// Where the journal of an image is, for a destination and its place.
    pub fn path(image: &Path, destination: &str, place: &str) -> PathBuf {
        let name = image.file_name().unwrap_or_default().to_string_lossy();
        let place = Sha256::of(place.as_bytes()).to_string();
        image.with_file_name(format!(".{name}.{destination}-{}.upload", &place[..8]))
    }

    /// Opens the journal, or begins one.
    ///
    /// # Errors
    /// [`UploadError::Busy`] while another process has it; [`UploadError::File`].
    pub fn open(artifact: &Artifact, destination: &str, place: &str) -> Result<Self, UploadError> {
        let path = Self::path(&artifact.path, destination, place);
        let mut file = loop {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&path)
                .map_err(UploadError::file("create the journal", &path))?;
            if file.try_lock().is_err() {
                return Err(UploadError::Busy { path: artifact.path.clone() });
            }
            // Whoever held the lock before may have removed what was opened.
            if path.exists() {
                break file;
            }
        };
        let mut bytes = Vec::new();
        let read = (&mut file).take(LONGEST).read_to_end(&mut bytes);
        read.map_err(UploadError::file("read the journal", &path))?;
        // What is no text is no line either, and ends what is read.
        let text = String::from_utf8_lossy(&bytes);
        let (content, whole) = Content::read(file, &text, place);
        let journal = Self { path, content: Mutex::new(content) };
        if whole < bytes.len() as u64 {
            journal.truncate(whole)?;
        }
        if journal.with(|content| content.sha256.is_empty()) {
            let sha256 = artifact.sha256.to_string();
            journal.begin(sha256, artifact.size, place)?;
        }
        Ok(journal)
    }

    /// Whether there is a journal of this image and place.
    pub fn exists(image: &Path, destination: &str, place: &str) -> bool {
        Self::path(image, destination, place).exists()
    }

    /// The digest of the image that the journal is about.
    pub fn sha256(&self) -> String {
        self.with(|content| content.sha256.clone())
    }

    /// Begins again, for another image under the same name.
    ///
    /// # Errors
    /// [`UploadError::File`].
    pub fn restart(&self, artifact: &Artifact, place: &str) -> Result<(), UploadError> {
        self.truncate(0)?;
        self.with(|content| {
            content.values.clear();
            content.parts.clear();
        });
        self.begin(artifact.sha256.to_string(), artifact.size, place)
    }

    fn begin(&self, sha256: String, size: u64, place: &str) -> Result<(), UploadError> {
        self.with(|content| content.sha256.clone_from(&sha256));
        self.add(&Line::Upload { sha256, size, place: place.to_owned() })
    }

    /// A value that was noted.
    pub fn value(&self, name: &str) -> Option<String> {
        self.with(|content| content.values.get(name).cloned())
    }

    /// Notes a value, before it is used.
    ///
    /// # Errors
    /// [`UploadError::File`].
    pub fn note(&self, name: &str, value: &str) -> Result<(), UploadError> {
        self.with(|content| content.values.insert(name.to_owned(), value.to_owned()));
        self.add(&Line::Value { name: name.to_owned(), value: value.to_owned() })
    }

    /// The value, or the one that `make` makes up, noted.
    ///
    /// # Errors
    /// [`UploadError::File`]; whatever `make` returns.
    pub fn value_or(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<String, UploadError>,
    ) -> Result<String, UploadError> {
        if let Some(value) = self.value(name) {
            return Ok(value);
        }
        let value = make()?;
        self.note(name, &value)?;
        Ok(value)
    }

    /// The parts that have arrived.
    pub fn parts(&self) -> BTreeMap<u64, String> {
        self.with(|content| content.parts.clone())
    }

    /// Notes a part that has arrived.
    ///
    /// # Errors
    /// [`UploadError::File`].
    pub fn arrived(&self, number: u64, tag: &str) -> Result<(), UploadError> {
        self.with(|content| content.parts.insert(number, tag.to_owned()));
        self.add(&Line::Part { number, tag: tag.to_owned() })
    }

    /// Forgets values and parts: what they belong to is gone.
    ///
    /// # Errors
    /// [`UploadError::File`].
    pub fn forget(&self) -> Result<(), UploadError> {
        self.with(|content| {
            content.values.clear();
            content.parts.clear();
        });
        self.add(&Line::Forget {})
    }

    /// Removes the journal: the upload has ended, or was given up.
    ///
    /// # Errors
    /// [`UploadError::File`].
    pub fn remove(self) -> Result<(), UploadError> {
        fs::remove_file(&self.path).map_err(UploadError::file("remove the journal", &self.path))
    }

    fn add(&self, line: &Line) -> Result<(), UploadError> {
        let mut text = serde_json::to_string(line).unwrap_or_default();
        text.push('\n');
        self.with(|content| content.file.write_all(text.as_bytes()))
            .map_err(UploadError::file("write the journal", &self.path))
    }

    fn truncate(&self, length: u64) -> Result<(), UploadError> {
        self.with(|content| {
            content.file.set_len(length)?;
            content.file.seek(SeekFrom::End(0)).map(drop)
        })
        .map_err(UploadError::file("write the journal", &self.path))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> T {
        act(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Content {
    /// What the lines say, and how many bytes of them are whole. A journal of another place, or none at all, is an
    /// empty one.
    fn read(file: File, text: &str, place: &str) -> (Self, u64) {
        let mut content =
            Self { file, sha256: String::new(), values: BTreeMap::new(), parts: BTreeMap::new() };
        let mut whole = 0;
        for line in text.split_inclusive('\n') {
            let Ok(parsed) = serde_json::from_str(line) else { break };
            if !line.ends_with('\n') {
                break;
            }
            match parsed {
                Line::Upload { sha256, place: noted, .. } if noted == place => {
                    content.sha256 = sha256;
                }
                Line::Upload { .. } => break,
                _ if content.sha256.is_empty() => break,
                Line::Value { name, value } => drop(content.values.insert(name, value)),
                Line::Part { number, tag } => drop(content.parts.insert(number, tag)),
                Line::Forget {} => {
                    content.values.clear();
                    content.parts.clear();
                }
            }
            whole += line.len() as u64;
        }
        (content, whole)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::artifact::sample;

    #[test]
    fn what_was_noted_is_there_after_a_kill_and_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let image = sample(folder.path(), b"disk");
        let path = Journal::path(&image.path, "s3", "place");
        let journal = Journal::open(&image, "s3", "place").unwrap();
        journal.note("upload", "one").unwrap();
        journal.arrived(1, "a").unwrap();
        journal.arrived(2, "b").unwrap();
        assert!(matches!(Journal::open(&image, "s3", "place"), Err(UploadError::Busy { .. })));
        drop(journal);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        // Cut anywhere, it is read without an error, and goes on where a whole line ended.
        for cut in 0..text.len() {
            fs::write(&path, &text[..cut]).unwrap();
            let journal = Journal::open(&image, "s3", "place").unwrap();
            assert_eq!(journal.sha256(), image.sha256.to_string());
            journal.arrived(3, "c").unwrap();
            drop(journal);
            let journal = Journal::open(&image, "s3", "place").unwrap();
            assert_eq!(journal.parts().get(&3).map(String::as_str), Some("c"), "{cut}");
        }
        fs::write(&path, &text).unwrap();
        let journal = Journal::open(&image, "s3", "place").unwrap();
        assert_eq!(journal.value("upload").as_deref(), Some("one"));
        assert_eq!(journal.parts().len(), 2);
        journal.forget().unwrap();
        drop(journal);
        let journal = Journal::open(&image, "s3", "place").unwrap();
        assert!(journal.parts().is_empty() && journal.value("upload").is_none());
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn junk_and_other_places_are_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        let image = sample(folder.path(), b"disk");
        let path = Journal::path(&image.path, "s3", "place");
        for junk in [&b"\xff\xfe"[..], b"{}\n", b"[]\n{\"part\":{\"number\":1,\"tag\":\"x\"}}\n"] {
            fs::write(&path, junk).unwrap();
            let journal = Journal::open(&image, "s3", "place").unwrap();
            assert!(journal.parts().is_empty());
            journal.arrived(1, "a").unwrap();
            drop(journal);
            assert_eq!(Journal::open(&image, "s3", "place").unwrap().parts().len(), 1);
        }
        assert_ne!(path, Journal::path(&image.path, "s3", "elsewhere"));
    }
}
