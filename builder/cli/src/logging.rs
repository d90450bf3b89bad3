//! What the library says about its progress, on standard error.
//!
//! In: the verbosity of the command line, or `MAILKILN_LOG` in tracing's filter notation. Out:
//! a subscriber for the whole process.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::arguments::GlobalArguments;
use crate::printer::wants_colour;

/// Filter that takes the place of `-v` and `-q`: `mailkiln_lock=trace,info`.
const VARIABLE: &str = "MAILKILN_LOG";

/// Starts logging for this process.
pub(crate) fn start(arguments: &GlobalArguments) {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(wants_colour(arguments.color))
        .without_time()
        .with_target(arguments.verbose > 1);
    // An error means that a test or a library user installed a subscriber before; theirs stays.
    let _ = if arguments.json { subscriber.json().try_init() } else { subscriber.try_init() };
}
