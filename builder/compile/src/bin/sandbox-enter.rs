//! The hidden subcommand as a program of its own, for this crate's tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args().skip_while(|argument| argument != "sandbox-enter");
    mailkiln_compile::sandbox::enter(arguments.skip(1))
}
