//! `scan`: says what is in a message, without any policy.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Instant;

use mailkiln_inspect::{Limits, Rules, inspect};

use super::{CommandError, print};

pub(super) fn run(file: Option<&Path>) -> Result<(), CommandError> {
    let message = match file {
        Some(path) => fs::read(path).map_err(|error| {
            CommandError::Other(format!("cannot read {}: {error}", path.display()))
        }),
        None => {
            let mut bytes = Vec::new();
            let read = io::stdin().read_to_end(&mut bytes);
            read.map(|_| bytes).map_err(|error| {
                CommandError::Other(format!("cannot read standard input: {error}"))
            })
        }
    }?;
    let limits = Limits::default();
    let rules = Rules::builtin().map_err(|error| CommandError::Other(error.to_string()))?;
    let report = inspect(&message, &limits, &rules, Instant::now() + limits.time);
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&format!("{finding}\n"));
    }
    if report.findings.is_empty() {
        text.push_str("nothing found\n");
    }
    print(text.as_bytes());
    Ok(())
}
