//! One upload from its beginning to its end, and the pruning of old images.
//!
//! In: a destination, an image. Out: where the image is. An image that is there already is not sent again; an upload that
//! was interrupted goes on; what failed for good is removed from the cloud.

use serde::Serialize;

use crate::artifact::Artifact;
use crate::destination::{Destination, Stored};
use crate::error::UploadError;
use crate::journal::Journal;
use crate::progress::Progress;

/// What became of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was sent.
    Uploaded,
    /// It was there before; nothing was sent.
    AlreadyThere,
}

/// Sends the image unless it is there.
///
/// # Errors
/// As the destination fails. What was sent is removed again, unless [`UploadError::is_resumable`].
pub fn upload(
    name: &str,
    destination: &dyn Destination,
    artifact: &Artifact,
    progress: &dyn Progress,
) -> Result<(Outcome, Stored), UploadError> {
    let place = destination.place();
    let resumed = Journal::exists(&artifact.path, name, &place);
    let journal = Journal::open(artifact, name, &place)?;
    let found = match destination.find(artifact) {
        Ok(found) => found,
        Err(error) => {
            if !resumed {
                journal.remove()?;
            }
            return Err(error);
        }
    };
    if let Some(stored) = found {
        if resumed {
            destination.tidy(&journal)?;
        }
        journal.remove()?;
        return Ok((Outcome::AlreadyThere, stored));
    }
    if journal.sha256() != artifact.sha256.to_string() {
        progress.step("removing what an upload of another image with this name has left");
        destination.clean(&journal)?;
        journal.restart(artifact, &place)?;
    }
    match destination.put(artifact, &journal, progress) {
        Ok(stored) => {
            destination.tidy(&journal)?;
            journal.remove()?;
            Ok((Outcome::Uploaded, stored))
        }
        Err(error) if error.is_resumable() && destination.resumes() => Err(error),
        Err(error) => {
            progress.step("removing what was sent");
            match destination.clean(&journal) {
                Ok(()) => journal.remove()?,
                // The journal stays, so that `--abandon` can try again.
                Err(left) => progress.step(&format!("could not remove what was sent: {left}")),
            }
            Err(error)
        }
    }
}

/// Removes what an interrupted upload has left in the cloud, and its journal. Returns whether there was one.
///
/// # Errors
/// As the destination fails; the journal stays then.
pub fn abandon(
    name: &str,
    destination: &dyn Destination,
    artifact: &Artifact,
) -> Result<bool, UploadError> {
    let place = destination.place();
    if !Journal::exists(&artifact.path, name, &place) {
        return Ok(false);
    }
    let journal = Journal::open(artifact, name, &place)?;
    destination.clean(&journal)?;
    journal.remove()?;
    Ok(true)
}

/// Keeps the newest `keep` images with this name and `protected`; removes the others, which it returns.
///
/// # Errors
/// As the destination fails.
pub fn prune(
    destination: &dyn Destination,
    name: &str,
    keep: usize,
    protected: Option<&Stored>,
) -> Result<Vec<Stored>, UploadError> {
    let mut removed = Vec::new();
    for stored in destination.list(name)?.into_iter().skip(keep) {
        if protected.is_some_and(|it| it.id == stored.id) {
            continue;
        }
        destination.remove(&stored)?;
        removed.push(stored);
    }
    Ok(removed)
}
