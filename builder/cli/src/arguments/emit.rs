//! The arguments of `emit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigFile;

/// `mailkiln emit`.
#[derive(Debug, Subcommand)]
pub enum EmitCommand {
    /// Write the NixOS modules
    Modules(EmitModulesArguments),
    /// Write a flake for one host, configured from mail.toml
    Host(EmitHostArguments),
    /// Write the configuration files of the services; the modules call this
    Files(EmitFilesArguments),
}

/// `mailkiln emit modules`.
#[derive(Debug, Args)]
pub struct EmitModulesArguments {
    /// The folder for the modules
    #[arg(short, long, value_name = "DIR", default_value = "modules")]
    pub output: PathBuf,
    /// Also write the reference of their options, as a Markdown page
    #[arg(long, value_name = "FILE")]
    pub reference: Option<PathBuf>,
    /// Write nothing; fail if the files are out of date
    #[arg(long)]
    pub check: bool,
}

/// `mailkiln emit host`.
#[derive(Debug, Args)]
pub struct EmitHostArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder for the flake
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

/// `mailkiln emit files`.
#[derive(Debug, Args)]
pub struct EmitFilesArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The root folder to write below
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// What the host decides.
    #[command(flatten)]
    pub host: HostArguments,
}

/// What a NixOS host decides differently than an image.
#[derive(Debug, Args)]
pub struct HostArguments {
    /// Port of the mail server's API on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub api_port: u16,
    /// Port of the filter on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 10025)]
    pub filter_port: u16,
    /// Port for mail released from the quarantine on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 10026)]
    pub release_port: u16,
    /// The mail server's DNS resolver: `resolved`, `host`, or addresses
    #[arg(long, value_name = "WHOM", default_value = "resolved")]
    pub resolver: String,
    /// The file of a certificate that another program maintains, with its intermediates
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    pub certificate: Option<String>,
    /// The file with its private key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub certificate_key: Option<String>,
    /// A name in that certificate; one must be the host's; repeat the option for each
    #[arg(long, value_name = "NAME", requires = "certificate")]
    pub certificate_name: Vec<String>,
}
