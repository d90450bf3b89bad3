//! The commands of `mailkiln-acme`, one file each.

mod ask;
pub mod status;

use std::io::{self, Write as _};
use std::process::ExitCode;

use mailkiln_store::durable::DurableError;
use mailkiln_store::owner::{self, OwnerError};

use crate::arguments::Command;
use crate::clock::SystemClock;
use crate::layout::Layout;
use crate::run::{self, Outcome, RunError};
use crate::settings::{Settings, SettingsError};

/// Why a command failed. Every message names the thing and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The request could not be left.
    #[error(transparent)]
    Write(#[from] DurableError),
    /// Root could not become the owner of the state.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The unit could not be started.
    #[error("cannot start mailkiln-acme.service: {0}; run this as root")]
    Unit(String),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
}

/// Runs one command.
///
/// # Errors
/// [`CommandError`]; the caller prints it.
pub fn run(command: Command, layout: &Layout) -> Result<ExitCode, CommandError> {
    let settings = Settings::read(&layout.settings())?;
    match command {
        // What an authority refuses is written down and tried again: the unit has done its work.
        Command::Run if is_root() && layout.systemd().is_dir() => ask::start()?,
        Command::Run => {
            become_owner(layout)?;
            run::run(layout, &settings, &SystemClock)?;
        }
        Command::Status { json } => return status::run(layout, &settings, json),
        Command::Ask(request) => return ask::run(layout, &settings, request),
    };
    Ok(ExitCode::SUCCESS)
}

/// True for root, who has the unit do the work: its user owns the state, and its sandbox has the port
/// of the proofs.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Root's files in the client's state would stop the unit for good.
fn become_owner(layout: &Layout) -> Result<(), CommandError> {
    Ok(owner::become_owner_of(&layout.directory(), &[layout.certificates()])?)
}

/// Prints to standard output.
fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CommandError::Output)
}

/// The exit status that says how a run ended.
fn code(outcome: &Outcome) -> ExitCode {
    match outcome {
        Outcome::Failed(_) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
