//! Mail appliances from one file: the command line.
//!
//! In: arguments and a `mail.toml`. Out: results on standard output, messages on standard error,
//! and an exit code: 0 done, 1 failed, 2 bad input (`diff` has its own meaning of 1 and 2). One file per command under `commands`.

mod arguments;
mod commands;
mod failure;
mod indexes;
mod lock_age;
mod logging;
pub mod machine;
mod pins;
mod printer;
mod progress;
mod report;
mod spec_file;
mod tools;
mod unit_caches;
mod whole_file;

use std::process::ExitCode;

use clap::Parser as _;

pub use arguments::{Arguments, Colour, Command, GlobalArguments};
pub use failure::Failure;
pub use printer::Printer;
pub use spec_file::SpecFile;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    // Before anything else: a process that enters the sandbox must not have started a thread.
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(mailkiln_compile::sandbox::SUBCOMMAND) {
        // Whoever compiles waits for signals in a thread; here they end the process. It dies with its parent anyway.
        let _ = mailkiln_flash::Interrupt::unblocks();
        return mailkiln_compile::sandbox::enter(words);
    }
    let arguments = Arguments::parse();
    logging::start(&arguments.global);
    let printer = Printer::new(&arguments.global);
    clean_up_when_interrupted(&arguments.command);
    match commands::run(arguments.command, &printer) {
        Ok(code) => code,
        Err(failure) => {
            printer.failure(&failure);
            failure.exit_code()
        }
    }
}

/// An interrupted command leaves no half image. `flash` and `run` end in their own order; `upload` makes no file, and
/// the programs that it starts must hear of Ctrl-C themselves.
fn clean_up_when_interrupted(command: &Command) {
    if matches!(command, Command::Flash(_) | Command::Run(_) | Command::Upload(_)) {
        return;
    }
    if let Err(error) = mailkiln_flash::Interrupt::cleans(mailkiln_publish::remove_unfinished) {
        tracing::debug!(%error, "an interrupted run will leave its unfinished files");
    }
}
