//! The command line of `mailkiln-filter`.
//!
//! In: arguments. Out: a [`Command`].

use std::ffi::OsString;
use std::path::PathBuf;

use crate::configuration;
use crate::quarantine::Id;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Serve the mail server until stopped.
    Serve {
        /// The program that is started as a worker.
        worker: OsString,
    },
    /// Look into messages that the filter hands over.
    Worker,
    /// Say what is in a message.
    Scan {
        /// Its file; standard input without one.
        file: Option<PathBuf>,
    },
    /// List what is kept.
    List {
        /// As JSON.
        json: bool,
    },
    /// Print a kept message.
    Show {
        /// Which.
        id: Id,
        /// The message itself, not what is known about it.
        raw: bool,
    },
    /// Hand kept messages to those they are for.
    Release {
        /// Which.
        ids: Vec<Id>,
    },
    /// Delete kept messages.
    Delete {
        /// Which.
        ids: Vec<Id>,
    },
    /// Compile the rules and say what is wrong with them.
    CheckRules,
    /// Fetch the rules of the configured address.
    UpdateRules,
}

/// A whole command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// Do something.
    Run {
        /// What.
        command: Command,
        /// The settings.
        configuration: PathBuf,
    },
    /// Print this and end.
    Print(String),
}

/// A command line that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}; `mailkiln-filter --help` lists the commands")]
pub struct ArgumentsError(String);

/// What `--help` prints.
pub const HELP: &str = "\
mailkiln-filter: looks into every message on its way through the mail server

Commands for people (as root or as the user mail-filter):
  quarantine list [--json]       messages that are kept, the oldest first
  quarantine show ID [--raw]     what is known about a message; --raw: the message itself
  quarantine release ID...       hand messages to the mailboxes they are for
  quarantine delete ID...        delete messages
  scan [FILE]                    say what is in a message (standard input without FILE)
  rules check                    compile the malware rules and say what is wrong with them

Commands of the appliance's own services:
  serve [--worker PROGRAM]       serve the mail server; workers are PROGRAM (default: this one)
  worker                         look into messages; started by serve
  rules update                   fetch the rules of mail.toml and check their signature

Options:
  --config FILE                  settings (default: /etc/mailkiln/filter.toml)
  -h, --help                     this text
  -V, --version                  the version

Exit status: 0 done, 1 failed, 2 a wrong command line
";

impl Arguments {
    /// Reads a command line; the first of `arguments` is the program's name.
    ///
    /// # Errors
    /// [`ArgumentsError`] names what is wrong.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ArgumentsError> {
        let mut parser = lexopt::Parser::from_iter(arguments);
        let mut configuration = PathBuf::from(configuration::PATH);
        let (mut words, mut json, mut raw, mut worker) = (Vec::new(), false, false, None);
        while let Some(argument) = parser.next().map_err(unclear)? {
            use lexopt::Arg::{Long, Short, Value};
            match argument {
                Long("help") | Short('h') => return Ok(Self::Print(HELP.to_owned())),
                Long("version") | Short('V') => {
                    let version = env!("CARGO_PKG_VERSION");
                    return Ok(Self::Print(format!("mailkiln-filter {version}\n")));
                }
                Long("config") => configuration = parser.value().map_err(unclear)?.into(),
                Long("worker") => worker = Some(parser.value().map_err(unclear)?),
                Long("json") => json = true,
                Long("raw") => raw = true,
                Value(word) => words.push(word.to_string_lossy().into_owned()),
                other => return Err(unclear(other.unexpected())),
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = match (words.as_slice(), json, raw, worker) {
            (["serve"], false, false, worker) => {
                Command::Serve { worker: worker.map_or_else(own_program, Ok)? }
            }
            (["worker"], false, false, None) => Command::Worker,
            (["scan"], false, false, None) => Command::Scan { file: None },
            (["scan", file], false, false, None) => Command::Scan { file: Some(file.into()) },
            (["quarantine", "list"], json, false, None) => Command::List { json },
            (["quarantine", "show", id], false, raw, None) => Command::Show { id: one(id)?, raw },
            (["quarantine", "release", first, rest @ ..], false, false, None) => {
                Command::Release { ids: all(first, rest)? }
            }
            (["quarantine", "delete", first, rest @ ..], false, false, None) => {
                Command::Delete { ids: all(first, rest)? }
            }
            (["rules", "check"], false, false, None) => Command::CheckRules,
            (["rules", "update"], false, false, None) => Command::UpdateRules,
            ([], ..) => return Err(ArgumentsError("no command".to_owned())),
            (words, ..) => {
                return Err(ArgumentsError(format!("cannot make sense of `{}`", words.join(" "))));
            }
        };
        Ok(Self::Run { command, configuration })
    }
}

fn unclear(error: lexopt::Error) -> ArgumentsError {
    ArgumentsError(error.to_string())
}

fn own_program() -> Result<OsString, ArgumentsError> {
    std::env::current_exe()
        .map(PathBuf::into_os_string)
        .map_err(|error| ArgumentsError(format!("cannot find this program ({error}): --worker")))
}

fn one(id: &str) -> Result<Id, ArgumentsError> {
    id.parse().map_err(|error: crate::quarantine::UnknownId| ArgumentsError(error.to_string()))
}

fn all(first: &str, rest: &[&str]) -> Result<Vec<Id>, ArgumentsError> {
    std::iter::once(&first).chain(rest).map(|id| one(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        let words = std::iter::once("mailkiln-filter").chain(line.split_whitespace());
        Arguments::parse(words.map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn command_lines() {
        let run = |command| {
            Ok(Arguments::Run { command, configuration: PathBuf::from(configuration::PATH) })
        };
        let id: Id = "20261122-103833-5d41402a".parse().unwrap();
        assert_eq!(parse("quarantine list --json"), run(Command::List { json: true }));
        assert_eq!(
            parse("quarantine show 20261122-103833-5d41402a --raw"),
            run(Command::Show { id: id.clone(), raw: true })
        );
        assert_eq!(
            parse("quarantine delete 20261122-103833-5d41402a 20261122-103833-5d41402a"),
            run(Command::Delete { ids: vec![id.clone(), id] })
        );
        assert_eq!(parse("scan x.eml"), run(Command::Scan { file: Some("x.eml".into()) }));
        assert_eq!(
            parse("serve --worker /w --config /c"),
            Ok(Arguments::Run {
                command: Command::Serve { worker: "/w".into() },
                configuration: "/c".into()
            })
        );
        assert!(matches!(parse("serve"), Ok(Arguments::Run { .. })));
        assert_eq!(parse("-h"), Ok(Arguments::Print(HELP.to_owned())));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (line, named) in [
            ("", "no command"),
            ("quarantine", "`quarantine`"),
            ("quarantine release", "`quarantine release`"),
            ("quarantine delete ../../etc", "`../../etc` is no message"),
            ("scan --json x", "`scan x`"),
            ("serve --fast", "--fast"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(named) && error.contains("--help"), "{line}: {error}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(HELP.lines().all(|line| line.len() <= 100));
    }
}
