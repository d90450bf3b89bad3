//! The commands: one file each, named like the command.
//!
//! In: a command's arguments and the printer. Out: what the command prints or writes, or a failure.

mod check;
mod completions;
mod dns;
mod man;
mod new;
mod schema;

use crate::arguments::Command;
use crate::failure::Failure;
use crate::printer::Printer;

/// Runs a command.
pub(crate) fn run(command: Command, printer: &Printer) -> Result<(), Failure> {
    match command {
        Command::New(arguments) => new::run(&arguments, printer),
        Command::Check(arguments) => check::run(&arguments, printer),
        Command::Dns(arguments) => dns::run(&arguments, printer),
        Command::Schema => schema::run(printer),
        Command::Completions(arguments) => completions::run(&arguments, printer),
        Command::Man(arguments) => man::run(&arguments, printer),
    }
}
