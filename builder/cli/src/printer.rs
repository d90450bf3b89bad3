//! The one way to standard output and standard error.
//!
//! In: results, messages and failures. Out: results on standard output as text or JSON, messages on
//! standard error, those coloured where that is wanted and readable.

use std::env;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::arguments::{Colour, GlobalArguments};
use crate::failure::Failure;
use crate::report;

/// Prints what the command line asked for, as it asked for it.
#[derive(Debug)]
pub struct Printer {
    json: bool,
    quiet: bool,
    colour: bool,
}

impl Printer {
    /// A printer for standard output and standard error.
    pub fn new(arguments: &GlobalArguments) -> Self {
        Self { json: arguments.json, quiet: arguments.quiet, colour: wants_colour(arguments.color) }
    }

    /// Prints a command's result: its `Display`, or with `--json` its `Serialize`.
    ///
    /// # Errors
    ///
    /// When standard output can't be written, unless its reader simply went away.
    pub fn result<T: Display + Serialize>(&self, result: &T) -> Result<(), Failure> {
        if self.json { self.document(result) } else { self.text(&result.to_string()) }
    }

    /// Prints text that is made for another program, the same with and without `--json`.
    ///
    /// # Errors
    ///
    /// As [`result`](Self::result).
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        let gap = if text.ends_with('\n') { "" } else { "\n" };
        let mut out = io::stdout().lock();
        let written = write!(out, "{text}{gap}").and_then(|()| out.flush());
        match written {
            // `mailkiln schema | head` is no failure.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(Failure::file("write", "standard output".as_ref())),
        }
    }

    /// Tells how things are going; `-q` and `--json` silence it.
    pub fn message(&self, text: impl Display) {
        if !self.quiet && !self.json {
            self.say(&text);
        }
    }

    /// Asks on standard error for a line of standard input; `None` when that has ended.
    ///
    /// # Errors
    ///
    /// When standard input can't be read.
    pub fn ask(&self, question: impl Display) -> Result<Option<String>, Failure> {
        let _ = write!(io::stderr().lock(), "{question} ");
        let mut line = String::new();
        let length = io::stdin()
            .read_line(&mut line)
            .map_err(Failure::file("read", "standard input".as_ref()))?;
        Ok((length > 0).then(|| line.trim().to_owned()))
    }

    /// Warns; `-q` silences it.
    pub fn warning(&self, text: impl Display) {
        if !self.quiet {
            self.say(&format_args!("{} {text}", self.in_colour(33, "warning:")));
        }
    }

    /// Tells why the command ended without a result: on standard error for people, with `--json` on
    /// standard output for programs.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            // Should standard output be gone too, the exit code still tells.
            let _ = self.document(&report::document(failure));
        } else {
            self.say(&report::text(failure, self.colour));
        }
    }

    /// Whether results are printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether messages, and so progress bars, are wanted on standard error.
    pub fn is_talkative(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }

    fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(value).map_err(|error| Failure::work(&error))?;
        self.text(&json)
    }

    /// One line or more to standard error.
    fn say(&self, text: &dyn Display) {
        // Nobody is left to be told when standard error is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// `text` in one of the eight ANSI colours (ECMA-48, SGR) on standard error.
    fn in_colour<'a>(&self, code: u8, text: &'a str) -> impl Display + use<'a> {
        let colour = self.colour;
        fmt::from_fn(move |f| match colour {
            true => write!(f, "\x1b[1;{code}m{text}\x1b[0m"),
            false => f.write_str(text),
        })
    }
}

/// Whether messages on standard error are coloured (<https://no-color.org>).
pub(crate) fn wants_colour(colour: Colour) -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            io::stderr().is_terminal()
                && !set("NO_COLOR")
                && env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}
