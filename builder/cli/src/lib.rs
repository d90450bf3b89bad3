//! Mail appliances from one file: the command line.
//!
//! In: arguments and a `mail.toml`. Out: results on standard output, messages on standard error,
//! and an exit code: 0 done, 1 failed, 2 bad input. One file per command under `commands`.

mod arguments;
mod commands;
mod failure;
mod logging;
mod printer;
mod report;
mod spec_file;

use std::process::ExitCode;

use clap::Parser as _;

pub use arguments::{Arguments, Colour, Command, GlobalArguments};
pub use failure::Failure;
pub use printer::Printer;
pub use spec_file::SpecFile;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(&arguments.global);
    let printer = Printer::new(&arguments.global);
    match commands::run(arguments.command, &printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer.failure(&failure);
            failure.exit_code()
        }
    }
}
