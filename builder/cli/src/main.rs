//! The `mailkiln` program: arguments in, an exit code out. All the work is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mailkiln::main()
}
