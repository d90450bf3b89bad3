//! What is known of earlier boots: `/var/lib/mailkiln-cloud/kept.json`.
//!
//! In: the file. Out: a [`Kept`]. A volume may be detached after the first boot, and a metadata service may
//! be down; the machine stays what it was. It is root's, since user-data may hold a seed.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::FirstBoot;
use crate::durable::{self, DurableError};
use crate::journal;

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What was found last.
    pub found: Option<FirstBoot>,
    /// The last fragment that was right.
    pub fragment: Option<String>,
    /// The machine's own ID, where that of `/var` is a copy's.
    pub machine_id: Option<String>,
}

impl Kept {
    /// Reads it; what is missing or damaged is nothing: the cloud is asked again. The journal says what was damaged.
    ///
    /// # Errors
    /// When it is there and can't be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                // Not the error's text, which may quote user-data.
                let (path, line) = (path.display(), error.line());
                journal::warn(&format!("{path} is damaged in line {line}, and not used"));
                Self::default()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes it, if it says something else than what is there.
    ///
    /// # Errors
    /// [`DurableError`].
    pub fn write(&self, path: &Path) -> Result<(), DurableError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        match fs::read(path) {
            Ok(known) if known == text => Ok(()),
            _ => durable::write(path, &text, 0o600, None),
        }
    }

    /// Takes over what was found now. Returns the former instance when this machine is another one: its
    /// disk is a copy, and nothing but the mail on it is this machine's.
    pub fn take(&mut self, found: Option<FirstBoot>) -> Option<String> {
        let mut found = found?;
        let before = self.found.take().unwrap_or_default();
        let former = match (&before.instance, &found.instance) {
            (Some(former), Some(now)) if former != now => Some(former.clone()),
            _ => None,
        };
        if former.is_some() {
            *self = Self::default();
        } else {
            found.instance = found.instance.or(before.instance);
            found.user_data = found.user_data.or(before.user_data);
        }
        self.found = Some(found);
        former
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(instance: Option<&str>, user_data: Option<&str>) -> FirstBoot {
        FirstBoot {
            instance: instance.map(str::to_owned),
            user_data: user_data.map(|text| text.as_bytes().to_vec()),
            ..FirstBoot::of("ec2")
        }
    }

    #[test]
    fn a_machine_stays_what_it_is_until_its_instance_is_another() {
        let mut kept = Kept::default();
        assert_eq!(kept.take(Some(found(Some("i-1"), Some("a")))), None);
        kept.fragment = Some("x".to_owned());
        // Detached, or silent: as before.
        assert_eq!(kept.take(None), None);
        assert_eq!(kept.take(Some(found(None, None))), None);
        assert_eq!(kept.found, Some(found(Some("i-1"), Some("a"))));
        assert_eq!(kept.take(Some(found(Some("i-1"), Some("b")))), None);
        assert_eq!(kept.fragment.as_deref(), Some("x"));
        assert_eq!(kept.take(Some(found(Some("i-2"), None))), Some("i-1".to_owned()));
        assert_eq!((kept.fragment.as_deref(), kept.found), (None, Some(found(Some("i-2"), None))));
    }

    #[test]
    fn it_survives_the_disk_and_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        assert_eq!(Kept::read(&path).unwrap(), Kept::default());
        let mut kept = Kept::default();
        kept.take(Some(found(Some("i-1"), Some("a"))));
        kept.write(&path).unwrap();
        assert_eq!(Kept::read(&path).unwrap(), kept);
        fs::write(&path, "{").unwrap();
        assert_eq!(Kept::read(&path).unwrap(), Kept::default());
    }
}
