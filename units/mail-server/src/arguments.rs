// SPDX-License-Identifier: AGPL-3.0-only

//! The command line. In: arguments. Out: what to do, or why not.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser};

const HELP: &str = "\
Usage: mailkiln-mail-server --config FILE
       mailkiln-mail-server check DATABASE
       mailkiln-mail-server repair DATABASE

The mail server of a Mailkiln appliance. Its source, with ours: units/mail-server in the
Mailkiln repository and the crate stalwart-lite (AGPL-3.0-only).

Commands:
  check DATABASE     read all of the database and say what is damaged; the server may run
  repair DATABASE    put a database in its place that holds every row that can be read; the
                     server must not run, and the old one stays beside it

Options:
  -c, --config FILE  serve what FILE configures
  -h, --help         print this
  -V, --version      print the version

Signals: TERM and INT end in order, HUP reads the certificates again.";

/// `mailkiln-mail-server 0.1.0`
const VERSION: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// Write this to standard output and end.
    Print(&'static str),
    /// Serve until told to stop.
    Serve {
        /// The TOML file that configures everything.
        config: PathBuf,
    },
    /// Say what is damaged in a database.
    Check(PathBuf),
    /// Replace a damaged database.
    Repair(PathBuf),
}

/// Reads the arguments after the program's name.
///
/// # Errors
///
/// An unknown option or command, one without its value, or no `--config`.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, lexopt::Error> {
    let mut parser = Parser::from_args(arguments);
    let mut config = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('c') | Arg::Long("config") => config = Some(parser.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Arguments::Print(HELP)),
            Arg::Short('V') | Arg::Long("version") => return Ok(Arguments::Print(VERSION)),
            Arg::Value(command) if config.is_none() && command == "check" => {
                return file(&mut parser).map(Arguments::Check);
            }
            Arg::Value(command) if config.is_none() && command == "repair" => {
                return file(&mut parser).map(Arguments::Repair);
            }
            other => return Err(other.unexpected()),
        }
    }
    config
        .map(|config| Arguments::Serve { config })
        .ok_or_else(|| "--config FILE is missing".into())
}

/// The only argument that is left.
fn file(parser: &mut Parser) -> Result<PathBuf, lexopt::Error> {
    let file = match parser.next()? {
        Some(Arg::Value(file)) => file.into(),
        Some(other) => return Err(other.unexpected()),
        None => return Err("DATABASE is missing".into()),
    };
    match parser.next()? {
        Some(other) => Err(other.unexpected()),
        None => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Arguments, String> {
        parse(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn accepts() {
        let serve = || Arguments::Serve { config: "a.toml".into() };
        for (arguments, expected) in [
            (&["--config", "a.toml"][..], serve()),
            (&["--config=a.toml"], serve()),
            (&["-c", "a.toml"], serve()),
            (&["--version"], Arguments::Print(VERSION)),
            (&["-c", "a.toml", "-h"], Arguments::Print(HELP)),
            (&["check", "mail.sqlite"], Arguments::Check("mail.sqlite".into())),
            (&["repair", "mail.sqlite"], Arguments::Repair("mail.sqlite".into())),
        ] {
            assert_eq!(read(arguments), Ok(expected), "{arguments:?}");
        }
    }

    #[test]
    fn refuses() {
        for (arguments, message) in [
            (&[][..], "--config FILE is missing"),
            (&["--config"], "missing argument for option '--config'"),
            (&["--conf", "x"], "invalid option '--conf'"),
            (&["a.toml"], "unexpected argument \"a.toml\""),
            (&["check"], "DATABASE is missing"),
            (&["repair", "a", "b"], "unexpected argument \"b\""),
            (&["-c", "a.toml", "check", "b"], "unexpected argument \"check\""),
        ] {
            assert_eq!(read(arguments), Err(message.to_owned()), "{arguments:?}");
        }
    }
}
