//! The commands of `mailkiln-agent`, one file each.
//!
//! In: what the command line says. Out: an exit status and, for people, lines on standard output.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::account_password::AccountPasswordError;
use crate::api::ApiError;
use crate::appliance::{ApplianceError, NameError};
use crate::arguments::Command;
use crate::certificate::CertificateError;
use crate::dkim::DkimError;
use crate::durable::DurableError;
use crate::layout::Layout;
use crate::password::PasswordError;
use crate::provisioned::RecordError;
use crate::secrets::SecretError;
use crate::seed::SeedError;

mod console;
mod forget_passwords;
mod health;
pub mod prepare;
pub mod provision;
mod secret;
mod seed;
mod set_password;
mod status;

pub use seed::CardError;

/// Why a command failed. Every message names the thing and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The description of the appliance.
    #[error(transparent)]
    Appliance(#[from] ApplianceError),
    /// A name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A file.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// What provisioning has made so far.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A DKIM key.
    #[error(transparent)]
    Dkim(#[from] DkimError),
    /// A certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A certificate that the host's administrator looks after.
    #[error(
        "cannot read the certificate {0}: {1}; whoever looks after it must put it there, readable for \
         the group that is named with it"
    )]
    BroughtCertificate(PathBuf, #[source] std::io::Error),
    /// The mail server's API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A new password for an account.
    #[error(transparent)]
    AccountPassword(#[from] AccountPasswordError),
    /// A seed that was handed to `prepare`.
    #[error("the seed cannot be used: {0}")]
    Seed(#[from] SeedError),
    /// The boot partition.
    #[error(transparent)]
    Card(#[from] CardError),
    /// What a seed left on `/var`.
    #[error("cannot read {0}: {1}")]
    Kept(PathBuf, #[source] std::io::Error),
    /// Standard input or output.
    #[error("cannot {0}: {1}")]
    Stream(&'static str, #[source] std::io::Error),
    /// Some of the wanted accounts could not be made; each has its own line in the journal.
    #[error("{0} of the domains and accounts of mail.toml could not be made; see the lines above")]
    Provision(usize),
    /// No console can be written to.
    #[error("no console of appliance.json can be written to; see the lines above")]
    NoConsole,
}

/// Runs one command.
///
/// # Errors
/// [`CommandError`]; the caller prints it.
pub fn run(command: Command, layout: &Layout) -> Result<ExitCode, CommandError> {
    match command {
        Command::Prepare => prepare::run(layout)?,
        Command::SeedTake => seed::take(layout)?,
        Command::SeedErase => seed::erase(layout)?,
        Command::Provision => provision::run(layout)?,
        Command::ProvisionPlan { appliance } => provision::print_plan(layout, appliance)?,
        Command::Console => console::run(layout)?,
        Command::Health { json } => return health::run(layout, json),
        Command::Status => status::run(layout)?,
        Command::Password { address, from_stdin } => {
            set_password::run(layout, &address, from_stdin)?;
        }
        Command::SecretSet { name } => secret::run(layout, &name)?,
        Command::ForgetPasswords => forget_passwords::run(layout)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints to standard output.
fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| CommandError::Stream("write to standard output", error))
}

/// One secret from standard input, without the newline that `echo` and the Enter key append.
fn read_secret() -> Result<String, CommandError> {
    let mut text = std::io::read_to_string(std::io::stdin())
        .map_err(|error| CommandError::Stream("read standard input", error))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
