//! `mailkiln seed`: what an appliance shall not make up itself, made and put onto a card.

mod apply;
mod folder;
mod new;

pub(super) use apply::Loaded;
pub(super) use folder::read;

use crate::arguments::SeedCommand;
use crate::failure::Failure;
use crate::printer::Printer;

/// Runs the command.
pub(super) fn run(command: &SeedCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        SeedCommand::New(arguments) => new::run(arguments, printer),
        SeedCommand::Apply(arguments) => apply::run(arguments, printer),
    }
}
