//! `mailkiln completions`: what a shell needs to complete our arguments.

use clap::CommandFactory as _;

use crate::arguments::{Arguments, CompletionsArguments};
use crate::failure::Failure;
use crate::printer::Printer;

/// Prints the completions.
pub(super) fn run(arguments: &CompletionsArguments, printer: &Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "mailkiln", &mut script);
    printer.text(&String::from_utf8_lossy(&script))
}
