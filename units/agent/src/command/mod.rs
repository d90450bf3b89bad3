//! The commands of `mailkiln-agent`, one file each.
//!
//! In: what the command line says. Out: an exit status and, for people, lines on standard output.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::account_password::AccountPasswordError;
use crate::api::ApiError;
use crate::appliance::{Appliance, ApplianceError, NameError};
use crate::arguments::Command;
use crate::certificate::CertificateError;
use crate::cloud::guestinfo::GuestInfoError;
use crate::dkim::DkimError;
use crate::durable::DurableError;
use crate::layout::Layout;
use crate::page::PageError;
use crate::password::PasswordError;
use crate::provisioned::RecordError;
use crate::secrets::SecretError;
use crate::seed::SeedError;
use mailkiln_store::owner::{self, OwnerError};

mod another_instance;
mod bans;
mod cloud;
mod console;
mod first_certificates;
mod forget_passwords;
mod guestinfo;
mod health;
mod page;
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
    /// Root could not become the owner of the state.
    #[error(transparent)]
    Owner(#[from] OwnerError),
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
    /// The link that stands for a certificate that is still to come.
    #[error("cannot link {0} to the host's certificate: {1}; see `df` and `dmesg`")]
    StandIn(PathBuf, #[source] std::io::Error),
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
    /// A disk that is full, or the like.
    #[error("cannot take over first boot data: {0}")]
    Cloud(#[source] std::io::Error),
    /// VMware does not answer.
    #[error(transparent)]
    GuestInfo(#[from] GuestInfoError),
    /// What a seed left on `/var`.
    #[error("cannot read {0}: {1}")]
    Kept(PathBuf, #[source] std::io::Error),
    /// Standard input or output.
    #[error("cannot {0}: {1}")]
    Stream(&'static str, #[source] std::io::Error),
    /// Some of the wanted accounts could not be made; each has its own line in the journal.
    #[error("{0} of the domains and accounts of mail.toml could not be made; see the lines above")]
    Provision(usize),
    /// What should be an address is not.
    #[error("`{0}` is not an IP address; `mailkiln-agent bans` lists those that are banned")]
    NoIpAddress(String),
    /// No ban to lift.
    #[error("{0} is not banned; `mailkiln-agent bans` lists the clients that are")]
    NotBanned(std::net::IpAddr),
    /// The page where passwords are changed.
    #[error(transparent)]
    Page(#[from] PageError),
    /// There is none.
    #[error(
        "appliance.json has no `page`: on this machine passwords are set by `mailkiln-agent password`"
    )]
    NoPage,
    /// No console can be written to.
    #[error("no console of appliance.json can be written to; see the lines above")]
    NoConsole,
}

/// Runs one command.
///
/// # Errors
/// [`CommandError`]; the caller prints it.
pub fn run(command: Command, layout: &Layout) -> Result<ExitCode, CommandError> {
    if writes_state(&command) {
        owner::become_owner_of(&layout.state(), &shared(&command, layout))?;
    }
    match command {
        Command::Prepare => prepare::run(layout)?,
        Command::SeedTake => seed::take(layout)?,
        Command::SeedErase => seed::erase(layout)?,
        Command::CloudLocal => cloud::local(layout)?,
        Command::CloudGuestinfo { redact } => guestinfo::run(redact)?,
        Command::CloudFetch => cloud::fetch(layout)?,
        Command::CloudApply => cloud::apply(layout)?,
        Command::CloudForget => cloud::forget(layout)?,
        Command::Provision => provision::run(layout)?,
        Command::ProvisionPlan { appliance } => provision::print_plan(layout, appliance)?,
        Command::Console => console::run(layout)?,
        Command::Page => page::run(layout)?,
        Command::Health { json } => return health::run(layout, json),
        Command::Status => status::run(layout)?,
        Command::Password { address, from_stdin } => {
            set_password::run(layout, &address, from_stdin)?;
        }
        Command::SecretSet { name } => secret::run(layout, &name)?,
        Command::ForgetPasswords => forget_passwords::run(layout)?,
        Command::BansList => bans::list(layout)?,
        Command::BansLift { address } => bans::lift(layout, &address)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// True for what writes to the state, which belongs to the agent's own user. The seed is root's: it
/// writes where the user may not.
fn writes_state(command: &Command) -> bool {
    match command {
        Command::Prepare
        | Command::Provision
        | Command::Console
        | Command::Password { .. }
        | Command::SecretSet { .. }
        | Command::ForgetPasswords => true,
        Command::SeedTake
        | Command::SeedErase
        // What is kept of a cloud is root's too; what asks it is nobody but the user already.
        | Command::CloudLocal
        | Command::CloudGuestinfo { .. }
        | Command::CloudFetch
        | Command::CloudApply
        | Command::CloudForget
        | Command::Health { .. }
        | Command::Status
        | Command::ProvisionPlan { .. }
        // The server holds the bans.
        | Command::BansList
        | Command::BansLift { .. }
        // Reads what all may read, and the certificate.
        | Command::Page => false,
    }
}

/// Whose groups a command needs beside its user's own: those of the certificates, and of the consoles.
fn shared(command: &Command, layout: &Layout) -> Vec<PathBuf> {
    let mut paths = vec![layout.certificates()];
    if *command == Command::Console
        && let Ok(appliance) = Appliance::read(&layout.appliance())
    {
        paths.extend(appliance.consoles);
    }
    paths
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
