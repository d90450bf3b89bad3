//! The arguments of `build`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mailkiln_format::Format;

use super::{ConfigFile, PinArguments, UnitsArguments, images};

/// `mailkiln build`.
#[derive(Debug, Args)]
pub struct BuildArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Build every mail.toml of this folder for every TARGET: its .toml files, and the mail.toml of each folder in it;
    /// if one fails, the others are still built
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "config", "closure"])]
    pub all: Option<PathBuf>,
    /// The board or cloud to build for; several can be separated by commas or given one by one
    #[arg(short, long, value_name = "TARGET", required = true, value_delimiter = ',')]
    pub target: Vec<String>,
    /// The number of images to build at the same time, if there are several [default: one per processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZero<usize>>,
    /// The image formats, separated by commas; can be repeated [default: the target's]
    #[arg(short, long, value_name = "FORMAT", value_delimiter = ',', value_parser = images::formats())]
    pub format: Vec<Format>,
    /// The folder for HOST-TARGET.FORMAT, its .sha256, .spdx.json and, if it can be flashed, .bmap
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// Where packages come from.
    #[command(flatten)]
    pub pins: PinArguments,
    /// The toolchain that compiles the units
    #[arg(long, value_enum, value_name = "WHICH", default_value = "locked")]
    pub toolchain: ToolchainChoice,
    /// Where compiled units may be taken from.
    #[command(flatten)]
    pub units: UnitsArguments,
    /// A NixOS system to build from.
    #[command(flatten)]
    pub closure: ClosureArguments,
}

/// The toolchain that compiles units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ToolchainChoice {
    /// The lock's packages, in a sandbox: the same bytes everywhere.
    Locked,
    /// This machine's cargo, rustc and cc, for systems that forbid user namespaces.
    Host,
}

/// A NixOS system to build from, and where it is.
#[derive(Debug, Args)]
pub struct ClosureArguments {
    /// Build from this NixOS system instead of mail.toml: a store path, or a link to one such as ./result
    #[arg(long, value_name = "PATH", conflicts_with_all = ["file", "config", "toolchain"])]
    pub closure: Option<PathBuf>,
    /// A binary cache that has its store paths: an https://, http:// or file:/// URL, repeated in the order to try; or a folder
    /// with a nix/store in it [default: this machine's /nix/store]
    #[arg(long, value_name = "CACHE", requires = "closure")]
    pub from: Vec<String>,
    /// A public key to trust for --from and --units-from, as NAME:BASE64; can be repeated
    #[arg(long, visible_alias = "trusted-key", value_name = "KEY")]
    pub trusted_public_key: Vec<String>,
}
