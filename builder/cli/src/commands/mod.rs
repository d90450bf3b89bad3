//! The commands: one file each, named like the command.
//!
//! In: a command's arguments and the printer. Out: what the command prints or writes, or a failure.

mod build;
mod cache;
mod check;
mod completions;
mod convert;
mod diff;
mod dns;
mod emit;
mod export;
mod export_units;
mod flash;
mod inspect;
mod keygen;
mod lock;
mod lock_audit;
mod man;
mod new;
mod rpi_imager;
mod run;
mod schema;
mod seed;
mod sign;
mod targets;
mod upload;
mod verify;
mod verify_units;

use std::process::ExitCode;

pub(crate) use verify::key as public_key;

use crate::arguments::Command;
use crate::failure::Failure;
use crate::printer::Printer;

/// Runs a command; what it found may be its exit code.
pub(crate) fn run(command: Command, printer: &Printer) -> Result<ExitCode, Failure> {
    match command {
        Command::Build(arguments) => return build::run(&arguments, printer),
        Command::Diff(arguments) => return diff::run(&arguments, printer),
        Command::Verify(command) => return verify::run(&command, printer),
        Command::New(arguments) => new::run(&arguments, printer),
        Command::Check(arguments) => check::run(&arguments, printer),
        Command::Lock(arguments) => lock::run(&arguments, printer),
        Command::Run(arguments) => run::run(&arguments, printer),
        Command::Flash(arguments) => flash::run(&arguments, printer),
        Command::Upload(arguments) => upload::run(&arguments, printer),
        Command::Convert(arguments) => convert::run(&arguments, printer),
        Command::Inspect(arguments) => inspect::run(&arguments, printer),
        Command::Dns(arguments) => dns::run(&arguments, printer),
        Command::Emit(command) => emit::run(&command, printer),
        Command::Seed(command) => seed::run(&command, printer),
        Command::Cache(command) => cache::run(&command, printer),
        Command::Export(command) => export::run(&command, printer),
        Command::Sign(arguments) => sign::run(&arguments, printer),
        Command::Keygen(arguments) => keygen::run(&arguments, printer),
        Command::Targets => targets::run(printer),
        Command::Schema => schema::run(printer),
        Command::Completions(arguments) => completions::run(&arguments, printer),
        Command::Man(arguments) => man::run(&arguments, printer),
    }?;
    Ok(ExitCode::SUCCESS)
}
