//! `mailkiln-filter`: reads its command line, runs one command, says in one line what went wrong.
//!
//! Exit status: 0 done, 1 failed, 2 a wrong command line.

use std::io::Write as _;
use std::process::ExitCode;

use mailkiln_filter::arguments::Arguments;
use mailkiln_filter::{command, journal};

fn main() -> ExitCode {
    match Arguments::parse(std::env::args_os()) {
        Ok(Arguments::Print(text)) => {
            // A reader that has gone away does not matter.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Arguments::Run { command, configuration }) => {
            match command::run(command, &configuration) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    journal::error(&error.to_string());
                    ExitCode::FAILURE
                }
            }
        }
        Err(error) => {
            journal::error(&error.to_string());
            ExitCode::from(2)
        }
    }
}
