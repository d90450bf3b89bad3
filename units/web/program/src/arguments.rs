//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What `--help` prints.
const HELP: &str = "\
Serves ports 80 and 443 of a mail server: webmail, certificates' challenges, MTA-STS, set-up of mail programs, DAV.

Usage: mailkiln-web --config FILE [--check]

  --config FILE  the configuration, TOML (docs/web.md)
  --check        read the configuration, say what is wrong, serve nothing
  --help         print this
  --version      print the version

It listens where systemd says (LISTEN_FDS) and where the configuration says. SIGTERM ends it once the
requests under way are answered; SIGHUP makes it read the certificate again, which it also does by itself.
";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// Print this and end.
    Print(String),
    /// Serve.
    Run {
        /// The configuration file.
        configuration: PathBuf,
        /// Only read it.
        check: bool,
    },
}

/// A command line that asks for nothing we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// A word we do not know.
    #[error("unknown argument `{0}`; `mailkiln-web --help` lists all")]
    Unknown(String),
    /// Without a configuration there is nothing to serve.
    #[error("missing --config FILE; `mailkiln-web --help` explains it")]
    NoConfiguration,
}

impl Arguments {
    /// Reads `words`, of which the first is the program's name.
    ///
    /// # Errors
    /// [`ArgumentsError`].
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, ArgumentsError> {
        let mut words = words.into_iter().skip(1);
        let (mut configuration, mut check) = (None, false);
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--help" | "-h") => return Ok(Self::Print(HELP.to_owned())),
                Some("--version" | "-V") => {
                    let version = env!("CARGO_PKG_VERSION");
                    return Ok(Self::Print(format!("mailkiln-web {version}\n")));
                }
                Some("--check") => check = true,
                Some("--config") => configuration = words.next().map(PathBuf::from),
                _ => return Err(ArgumentsError::Unknown(word.to_string_lossy().into_owned())),
            }
        }
        let configuration = configuration.ok_or(ArgumentsError::NoConfiguration)?;
        Ok(Self::Run { configuration, check })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, ArgumentsError> {
        Arguments::parse(["mailkiln-web"].iter().chain(words).map(OsString::from))
    }

    #[test]
    fn command_lines() {
        let run = |check| Ok(Arguments::Run { configuration: "web.toml".into(), check });
        assert_eq!(parse(&["--config", "web.toml"]), run(false));
        assert_eq!(parse(&["--check", "--config", "web.toml"]), run(true));
        assert_eq!(parse(&["--config"]), Err(ArgumentsError::NoConfiguration));
        assert_eq!(parse(&["serve"]), Err(ArgumentsError::Unknown("serve".into())));
        assert!(
            matches!(parse(&["--help"]), Ok(Arguments::Print(text)) if text.contains("SIGHUP"))
        );
    }
}
