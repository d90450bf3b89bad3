//! The commands, one file each.

mod quarantine;
mod rules;
mod scan;
mod serve;

use std::path::Path;

use crate::arguments::Command;
use crate::configuration::{Configuration, ConfigurationError};
use crate::quarantine::QuarantineError;
use crate::quarantine::release::ReleaseError;
use crate::rules::FolderError;
use crate::rules::update::UpdateError;
use crate::worker::{self, WorkerError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The settings.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The quarantine.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// A release.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The directory of rules.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// An update of the rules.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// Something else, in words.
    #[error("{0}")]
    Other(String),
}

/// Runs a command with the settings in `configuration`.
///
/// # Errors
/// [`CommandError`] says what went wrong.
pub fn run(command: Command, configuration: &Path) -> Result<(), CommandError> {
    let settings = || Configuration::read(configuration);
    match command {
        Command::Worker => Ok(worker::run()?),
        Command::Scan { file } => scan::run(file.as_deref()),
        Command::Serve { worker } => serve::run(&settings()?, worker),
        Command::List { json } => quarantine::list(&settings()?, json),
        Command::Show { id, raw } => quarantine::show(&settings()?, &id, raw),
        Command::Release { ids } => quarantine::release(&settings()?, &ids),
        Command::Delete { ids } => quarantine::delete(&settings()?, &ids),
        Command::CheckRules => rules::check(&settings()?),
        Command::UpdateRules => rules::update(&settings()?),
    }
}

/// Writes to standard output; a reader that has gone away does not matter.
fn print(bytes: &[u8]) {
    let _ = std::io::Write::write_all(&mut std::io::stdout(), bytes);
}
