//! The arguments of `export`, `verify` and `keygen`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ExportUnitsArguments, PinArguments, ToolchainChoice, VerifyUnitsArguments};

/// `mailkiln export`.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Export the compiled units as a signed Nix binary cache
    NixCache(ExportNixCacheArguments),
    /// Export the compiled units as a signed unit cache, for `build --units-from`
    Units(ExportUnitsArguments),
    /// Export a list of images for `rpi-imager --repo`
    RpiImager(ExportRpiImagerArguments),
}

/// `mailkiln export rpi-imager`.
#[derive(Debug, Args)]
#[command(after_help = "\
Put the list and the images at ADDRESS and start `rpi-imager --repo ADDRESS/os_list.json`. Imager checks what it wrote against \
the digest in the list. Its own customisation is switched off, since the appliance takes a seed instead. Without --address \
the list names the images as files on this machine.")]
pub struct ExportRpiImagerArguments {
    /// The images, of Raspberry Pi targets, as img.xz, img.gz, img.zst or img
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// The folder that the images will be downloaded from, as an http:// or https:// URL
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// The file for the list
    #[arg(short, long, value_name = "FILE", default_value = "os_list.json")]
    pub output: PathBuf,
}

/// `mailkiln export nix-cache`.
#[derive(Debug, Args)]
#[command(after_help = "\
The programs are the same bytes that an appliance runs. Their libraries come along as a store path, and each program has a \
launcher, so that they run on NixOS unchanged. The same lock and key give the same files everywhere. An existing cache is \
extended.")]
pub struct ExportNixCacheArguments {
    /// The folder of the cache; created if it does not exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The signing key: a file from `mailkiln keygen` or `nix-store --generate-binary-cache-key`
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: PathBuf,
    /// The architecture of the units; can be repeated [default: both]
    #[arg(long, value_enum, value_name = "ARCH")]
    pub arch: Vec<ArchChoice>,
    /// Where packages come from.
    #[command(flatten)]
    pub pins: PinArguments,
    /// The toolchain that compiles the units
    #[arg(long, value_enum, value_name = "WHICH", default_value = "locked")]
    pub toolchain: ToolchainChoice,
}

/// The architecture of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ArchChoice {
    /// 64-bit PCs and servers.
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// `mailkiln verify`.
#[derive(Debug, Subcommand)]
pub enum VerifyCommand {
    /// Check every digest, signature, address and reference of a Nix binary cache
    NixCache(VerifyNixCacheArguments),
    /// Compile units again and compare them with a unit cache or the local cache
    Units(VerifyUnitsArguments),
}

/// `mailkiln verify nix-cache`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 if the cache is sound, 1 if it has faults, printed one per line; 2 for bad input. Every store path must be \
signed by one of the keys, even if Nix would accept it for its content address.")]
pub struct VerifyNixCacheArguments {
    /// The folder of the cache
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// A public key to trust, as NAME:BASE64; can be repeated
    #[arg(long, value_name = "KEY", required = true)]
    pub trusted_public_key: Vec<String>,
}

/// `mailkiln keygen`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the public key for `build --units-from`, `mailkiln verify` and Nix's `trusted-public-keys`. The secret key goes to the \
file, which only its owner can read, in the format of `nix-store --generate-binary-cache-key`.")]
pub struct KeygenArguments {
    /// The name of the key, such as cache.example.org-1; each key needs its own
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The file for the secret key; never overwritten [default: NAME.secret]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Create a key for `mailkiln sign` instead, in minisign's format; the public half goes to NAME.pub
    #[arg(long)]
    pub minisign: bool,
}
