//! Malware rules beyond those that are built in: YARA files in `rules/` of the state directory.
//!
//! In: a directory. Out: texts by file name, and whether something has changed.

pub mod update;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::pool::RuleFiles;

/// Bytes of all files; compiled rules take several times as much memory, in each worker.
const MOST_BYTES: u64 = 16 << 20;

/// Why the rules can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The file system refused.
    #[error("cannot read the rules in {0}: {1}")]
    File(PathBuf, io::Error),
    /// Too much.
    #[error("{0} holds more than {MOST_BYTES} bytes of rules; take some out")]
    Size(PathBuf),
}

/// The directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The rules below a state directory.
    pub fn new(state: &Path) -> Self {
        Self(state.join("rules"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the directory.
    ///
    /// # Errors
    /// [`FolderError`] when it can't be made.
    pub fn prepare(&self) -> Result<(), FolderError> {
        fs::create_dir_all(&self.0).map_err(|error| FolderError::File(self.0.clone(), error))
    }

    /// The files, by name: those that end in `.yar` or `.yara`. Hidden ones are somebody's drafts.
    ///
    /// # Errors
    /// [`FolderError`] when one can't be read, or they are too many bytes.
    pub fn read(&self) -> Result<RuleFiles, FolderError> {
        let failed = |error| FolderError::File(self.0.clone(), error);
        let mut files = Vec::new();
        let mut bytes = 0;
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || !(name.ends_with(".yar") || name.ends_with(".yara")) {
                continue;
            }
            bytes += entry.metadata().map_err(failed)?.len();
            if bytes > MOST_BYTES {
                return Err(FolderError::Size(self.0.clone()));
            }
            let text = fs::read(entry.path()).map_err(|it| FolderError::File(entry.path(), it))?;
            files.push((name, String::from_utf8_lossy(&text).into_owned()));
        }
        files.sort();
        Ok(files)
    }
}

/// What tells one set of rules from another.
pub fn fingerprint(files: &RuleFiles) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (name, text) in files {
        for piece in [name, text] {
            hash.update((piece.len() as u64).to_le_bytes());
            hash.update(piece);
        }
    }
    hash.finalize().into()
}

/// The files that compile, each tried with those before it, and what is wrong with the others.
pub fn sound(files: RuleFiles) -> (RuleFiles, Vec<String>) {
    if crate::worker::compile(&files).is_ok() {
        return (files, Vec::new());
    }
    let (mut kept, mut wrong) = (RuleFiles::new(), Vec::new());
    for file in files {
        kept.push(file);
        if let Err(why) = crate::worker::compile(&kept) {
            wrong.push(why);
            kept.pop();
        }
    }
    (kept, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_changes_seen() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::new(state.path());
        assert!(folder.read().is_err());
        folder.prepare().unwrap();
        for name in ["b.yara", "a.yar", ".draft.yar", "notes.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let files = folder.read().unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.yar", "b.yara"]);
        let before = fingerprint(&files);
        fs::write(folder.path().join("a.yar"), "changed").unwrap();
        assert_ne!(fingerprint(&folder.read().unwrap()), before);
    }

    #[test]
    fn one_broken_file_does_not_cost_the_others() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let good = file("good.yar", "rule good { strings: $a = \"x1y2z3\" condition: $a }");
        let files = vec![file("broken.yar", "rule {"), good.clone()];
        let (kept, wrong) = sound(files);
        assert_eq!(kept, [good]);
        assert!(wrong[0].contains("broken.yar"), "{wrong:?}");
    }
}
