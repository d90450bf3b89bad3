//! `mailkiln-web`: reads its command line and its configuration, serves until SIGTERM.
//!
//! Exit status: 0 done, 1 failed, 2 a wrong command line.

use std::io::Write as _;
use std::process::ExitCode;

use mailkiln_web::arguments::Arguments;
use mailkiln_web::configuration::Configuration;
use mailkiln_web::journal;

fn main() -> ExitCode {
    let configuration = match Arguments::parse(std::env::args_os()) {
        Ok(Arguments::Print(text)) => {
            // A reader that has gone away does not matter.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Ok(Arguments::Run { configuration, check }) => match Configuration::read(&configuration) {
            Ok(_) if check => return ExitCode::SUCCESS,
            Ok(read) => read,
            Err(error) => {
                journal::error(&error.to_string());
                return ExitCode::FAILURE;
            }
        },
        Err(error) => {
            journal::error(&error.to_string());
            return ExitCode::from(2);
        }
    };
    match mailkiln_web::serve::run(configuration) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal::error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
