//! What a destination is, and the list of them.
//!
//! A destination is one module under `destinations` with an [`Entry`], and one line in [`ALL`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::artifact::Artifact;
use crate::destinations as of;
use crate::error::UploadError;
use crate::http::Http;
use crate::journal::Journal;
use crate::progress::Progress;
use crate::retry::Patience;
use crate::settings::{Setting, Settings, Surroundings};

/// Every destination, in the order in which help lists them.
pub static ALL: &[&Entry] = &[
    &of::folder::ENTRY,
    &of::s3::ENTRY,
    &of::aws::ENTRY,
    &of::gcp::ENTRY,
    &of::azure::ENTRY,
    &of::openstack::ENTRY,
    &of::hetzner::ENTRY,
    &of::digitalocean::ENTRY,
    &of::oracle::ENTRY,
    &of::proxmox::ENTRY,
];

/// A destination as data.
#[derive(Debug)]
pub struct Entry {
    /// As the command line writes it.
    pub name: &'static str,
    /// For help, in a few words.
    pub title: &'static str,
    /// Formats that it takes, the best first; empty for all.
    pub formats: &'static [&'static str],
    /// Its settings.
    pub settings: &'static [Setting],
    /// What to do next, a template of `next`.
    pub next: &'static str,
    /// What [`Destination::facts`] has for it besides what is known of every image.
    pub facts: &'static [&'static str],
    /// Makes it ready; nothing is sent.
    pub open: fn(&Context) -> Result<Box<dyn Destination>, UploadError>,
}

/// What a destination is made from.
#[derive(Debug)]
pub struct Context {
    /// Its settings and the environment.
    pub settings: Settings,
    /// The client.
    pub http: Http,
    /// How many parts are sent at once.
    pub threads: usize,
}

/// An image that is in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// What machines are started from: an identifier, a path, an address.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// When it was made, as the cloud writes it, so that later ones sort later.
    pub created: String,
}

/// A place that images are put.
pub trait Destination: Send + Sync {
    /// Where, in one line, without secrets. The same place has the same words.
    fn place(&self) -> String;

    /// What an upload does, step by step.
    fn plan(&self, artifact: &Artifact) -> Vec<String>;

    /// The image with this digest, if it is there and whole.
    ///
    /// # Errors
    /// As requests fail.
    fn find(&self, artifact: &Artifact) -> Result<Option<Stored>, UploadError>;

    /// Uploads. Goes on where the journal ends.
    ///
    /// # Errors
    /// As requests fail; the caller decides by the error whether to go on later or to [`clean`](Self::clean).
    fn put(
        &self,
        artifact: &Artifact,
        journal: &Journal,
        progress: &dyn Progress,
    ) -> Result<Stored, UploadError>;

    /// Whether a broken upload can go on. Where it can't, nothing of it is kept.
    fn resumes(&self) -> bool {
        true
    }

    /// Removes what an upload needed on its way and no longer does.
    ///
    /// # Errors
    /// As requests fail.
    fn tidy(&self, _journal: &Journal) -> Result<(), UploadError> {
        Ok(())
    }

    /// Removes everything that an upload has left behind, for it is given up.
    ///
    /// # Errors
    /// As requests fail.
    fn clean(&self, journal: &Journal) -> Result<(), UploadError>;

    /// The images with this name (host and target), the newest first.
    ///
    /// # Errors
    /// As requests fail.
    fn list(&self, name: &str) -> Result<Vec<Stored>, UploadError>;

    /// Removes an image.
    ///
    /// # Errors
    /// As requests fail.
    fn remove(&self, stored: &Stored) -> Result<(), UploadError>;

    /// What the commands to start a machine need besides the image, under the names of [`Entry::facts`]: region, bucket.
    fn facts(&self) -> BTreeMap<&'static str, String>;
}

impl Entry {
    /// The destination with this name.
    ///
    /// # Errors
    /// [`UploadError::Setting`] that lists those there are.
    pub fn named(name: &str) -> Result<&'static Self, UploadError> {
        ALL.iter().find(|entry| entry.name == name).copied().ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
            UploadError::Setting {
                message: format!("unknown destination `{}`", name.escape_debug()),
                hint: format!("choose from {}", names.join(", ")),
            }
        })
    }

    /// Makes it ready, with settings and an environment. Nothing is sent.
    ///
    /// # Errors
    /// [`UploadError::Setting`], [`UploadError::NoCredentials`] and others of reading credentials.
    pub fn open(
        &self,
        given: BTreeMap<String, String>,
        surroundings: Surroundings,
    ) -> Result<Box<dyn Destination>, UploadError> {
        let settings = Settings::new(self.name, self.settings, given, surroundings)?;
        let patience = Patience {
            tries: u32::try_from(settings.number("tries", 1, 100)?).unwrap_or(1),
            look: Duration::from_secs(settings.number("poll-seconds", 1, 600)?),
            ..Patience::default()
        };
        self.open_with(settings, patience)
    }

    /// The same with other patience.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        &self,
        settings: Settings,
        patience: Patience,
    ) -> Result<Box<dyn Destination>, UploadError> {
        let authority = settings.get("ca").map(PathBuf::from);
        let http = Http::new(authority.as_ref(), settings.flag("plain-http")?, patience)?;
        let threads = usize::try_from(settings.number("threads", 1, 64)?).unwrap_or(1);
        (self.open)(&Context { settings, http, threads })
    }

    /// Fails unless it takes the image's format.
    ///
    /// # Errors
    /// [`UploadError::Setting`] with the command that converts.
    pub fn accepts(&self, artifact: &Artifact) -> Result<(), UploadError> {
        if self.formats.is_empty() || self.formats.contains(&artifact.format) {
            return Ok(());
        }
        Err(UploadError::Setting {
            message: format!(
                "{} takes {}, and {} is {}",
                self.name,
                self.formats.join(", "),
                artifact.path.display(),
                artifact.format
            ),
            hint: format!(
                "mailkiln convert {} --format {}",
                artifact.path.display(),
                self.formats.first().unwrap_or(&"img")
            ),
        })
    }
}
