//! What can be written on the command line: every command's arguments, in one place.
//!
//! In: the words of the command line, through clap. Out: typed arguments. The doc comments are the
//! text of `--help` and of the man page.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Mail appliances from one file.
///
/// From one mail.toml, mailkiln assembles a complete mail server as a disk image: reproducible,
/// without root, and without running anything from a package.
#[derive(Debug, Parser)]
#[command(name = "mailkiln", version, max_term_width = 100)]
pub struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub struct GlobalArguments {
    /// Say more; twice for details, three times for everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print the result, or the error, as one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Whether to colour what is printed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Colour,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Even into a file or a pipe.
    Always,
    /// Not at all.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented mail.toml for a domain
    New(NewArguments),
    /// Say what is wrong with mail.toml, where, and what to write instead
    Check(CheckArguments),
    /// List the DNS records to publish
    Dns(DnsArguments),
    /// Print the JSON schema of mail.toml, for editors
    Schema,
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Print or write the manual pages
    Man(ManArguments),
}

/// Where `mail.toml` is.
#[derive(Debug, Args)]
pub struct ConfigArgument {
    /// The file that describes the appliance
    #[arg(short, long, value_name = "FILE", default_value = "mail.toml")]
    pub config: PathBuf,
}

/// `mailkiln new`.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// The mail domain: the part behind the @
    #[arg(value_name = "DOMAIN")]
    pub domain: String,
    /// Where to write; a file that exists is left alone
    #[arg(short, long, value_name = "FILE", default_value = "mail.toml")]
    pub output: PathBuf,
}

/// `mailkiln check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
}

/// `mailkiln dns`.
#[derive(Debug, Args)]
pub struct DnsArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// Print a zone file instead of a table
    #[arg(long)]
    pub zone: bool,
    /// Include the DKIM records of this file: a copy of the appliance's
    /// /var/lib/mailkiln/dkim/DOMAIN.txt. May be given once per domain
    #[arg(long, value_name = "FILE")]
    pub dkim: Vec<PathBuf>,
}

/// `mailkiln completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// For which shell
    pub shell: clap_complete::Shell,
}

/// `mailkiln man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Write the page of every command into this directory instead
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn clap_finds_no_contradiction() {
        Arguments::command().debug_assert();
    }
}
