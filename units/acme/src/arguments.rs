//! The command line of `mailkiln-acme`.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::request::{Reason, Request};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Do what is due.
    Run,
    /// Say how things stand.
    Status {
        /// As JSON.
        json: bool,
    },
    /// Do this now.
    Ask(Request),
}

/// A whole command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// Do something, below a root directory.
    Run {
        /// What.
        command: Command,
        /// `/` but in tests.
        root: PathBuf,
    },
    /// Print this and end.
    Print(String),
}

/// A command line that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}; `mailkiln-acme --help` lists the commands")]
pub struct ArgumentsError(String);

/// What `--help` prints.
pub const HELP: &str = "\
mailkiln-acme: gets and renews the certificate of a Mailkiln mail appliance

Commands for people:
  status [--json]       the certificate in use, names that are left out and why, when it is renewed,
                        what went wrong last, and the TLSA record to publish for DANE
  renew [--new-key]     get a new certificate now, also while attempts are paused after a failure. The
                        key stays unless --new-key is given; then publish the new TLSA record
  revoke [REASON]       declare the certificate in use invalid, and get another with a new key.
                        REASON is key-compromise (the default), superseded or cessation

`renew` and `revoke` need root: they start mailkiln-acme.service and wait until it is done. Both keep
to the limits of certificate authorities: four certificates a week for the same names.

Command of the appliance's own service:
  run                   do what is due: mailkiln-acme.timer starts it every few minutes

Options:
  --root DIR            use the files below DIR instead of / (for tests)
  --help, --version
";

impl Arguments {
    /// Reads a command line without the program's name.
    ///
    /// # Errors
    /// [`ArgumentsError`] naming the argument.
    pub fn parse(
        arguments: impl IntoIterator<Item = impl Into<OsString>, IntoIter: 'static>,
    ) -> Result<Self, ArgumentsError> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let (mut words, mut root) = (Vec::new(), PathBuf::from("/"));
        let (mut json, mut new_key) = (false, false);
        let wrong = |error: lexopt::Error| ArgumentsError(error.to_string());
        while let Some(argument) = parser.next().map_err(wrong)? {
            match argument {
                lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => {
                    return Ok(Self::Print(HELP.to_owned()));
                }
                lexopt::Arg::Long("version") | lexopt::Arg::Short('V') => {
                    let version = env!("CARGO_PKG_VERSION");
                    return Ok(Self::Print(format!("mailkiln-acme {version}\n")));
                }
                lexopt::Arg::Long("root") => root = parser.value().map_err(wrong)?.into(),
                lexopt::Arg::Long("json") => json = true,
                lexopt::Arg::Long("new-key") => new_key = true,
                lexopt::Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
                other => return Err(wrong(other.unexpected())),
            }
        }
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let command = match (words.as_slice(), json, new_key) {
            (["run"], false, false) => Command::Run,
            (["status"], json, false) => Command::Status { json },
            (["renew"], false, new_key) => Command::Ask(Request::Renew { new_key }),
            (["revoke"], false, false) => Command::Ask(Request::Revoke(Reason::KeyCompromise)),
            (["revoke", reason], false, false) => {
                Command::Ask(Request::Revoke(reason.parse().map_err(ArgumentsError)?))
            }
            ([], ..) => return Err(ArgumentsError("no command is given".to_owned())),
            (words, ..) => {
                let given = words.join(" ");
                return Err(ArgumentsError(format!(
                    "`{given}` is not a command, or is used differently"
                )));
            }
        };
        Ok(Self::Run { command, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn commands() {
        for (line, expected) in [
            ("run", Command::Run),
            ("status --json", Command::Status { json: true }),
            ("renew", Command::Ask(Request::Renew { new_key: false })),
            ("--root /x renew --new-key", Command::Ask(Request::Renew { new_key: true })),
            ("revoke", Command::Ask(Request::Revoke(Reason::KeyCompromise))),
            ("revoke superseded", Command::Ask(Request::Revoke(Reason::Superseded))),
        ] {
            match parse(line).unwrap() {
                Arguments::Run { command, .. } => assert_eq!(command, expected),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(parse("--help").unwrap(), Arguments::Print(HELP.to_owned()));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("", "no command"),
            ("dance", "`dance`"),
            ("run --json", "`run`"),
            ("revoke boredom", "`boredom`"),
            ("status --yaml", "--yaml"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part) && error.contains("--help"), "{error}");
        }
    }
}
