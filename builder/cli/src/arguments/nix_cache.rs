//! The arguments of `export`, `verify` and `keygen`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ExportUnitsArguments, ToolchainChoice, VerifyUnitsArguments};

/// `mailkiln export`.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Write the compiled units as a Nix binary cache: content-addressed store paths, signed
    NixCache(ExportNixCacheArguments),
    /// Write the compiled units as a unit cache, signed, for `build --units-from`
    Units(ExportUnitsArguments),
    /// Write the list of images that Raspberry Pi Imager takes as `--repo`
    RpiImager(ExportRpiImagerArguments),
}

/// `mailkiln export rpi-imager`.
#[derive(Debug, Args)]
#[command(after_help = "\
Put the file and the images where ADDRESS says, and start `rpi-imager --repo ADDRESS/os_list.json`. Imager checks what it has written \
by the digest in the list. Its own customisation is switched off: the appliance takes a seed instead. Without --address the list names the \
images as files of this machine.")]
pub struct ExportRpiImagerArguments {
    /// Images of boards: img.xz, img.gz, img.zst or img
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// Where the images will be downloaded from: their folder, an http:// or https:// address
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,
    /// The file of the list
    #[arg(short, long, value_name = "FILE", default_value = "os_list.json")]
    pub output: PathBuf,
}

/// `mailkiln export nix-cache`.
#[derive(Debug, Args)]
#[command(after_help = "\
Programs have the very bytes that an appliance runs. They bring the libraries that they were linked with as a store path of \
their own, and start by a launcher beside them, so that they run on NixOS as they are. The same lock and key give the same \
files everywhere. A cache that is there is added to.")]
pub struct ExportNixCacheArguments {
    /// The folder of the cache; made if it does not exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The key that signs: a file of `mailkiln keygen` or of `nix-store --generate-binary-cache-key`
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: PathBuf,
    /// Which machines the units are for; may be given twice [default: both]
    #[arg(long, value_enum, value_name = "ARCH")]
    pub arch: Vec<ArchChoice>,
    /// The lock to take libraries and units from [default: the one that came with this program]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Where to download packages; the lock's digests decide what is taken
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// What to compile the units with
    #[arg(long, value_enum, value_name = "WHICH", default_value = "locked")]
    pub toolchain: ToolchainChoice,
}

/// Which machines units are for.
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
    /// Compile units again, and compare the bytes with those of a unit cache or of the local cache
    Units(VerifyUnitsArguments),
}

/// `mailkiln verify nix-cache`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 where nothing is wrong, 1 where something is, which is said in a line each; 2 for bad input. Every store path \
must be signed by one of the keys, also where Nix would take it for its content address alone.")]
pub struct VerifyNixCacheArguments {
    /// The folder of the cache
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// A public key that may sign, as NAME:BASE64; may be given several times
    #[arg(long, value_name = "KEY", required = true)]
    pub trusted_public_key: Vec<String>,
}

/// `mailkiln keygen`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the public key: what `build --units-from`, `mailkiln verify` and `trusted-public-keys` of Nix take. The file is the key, for its \
owner alone, in the form of `nix-store --generate-binary-cache-key`.")]
pub struct KeygenArguments {
    /// What the key is called, as in cache.example.org-1: give another key another name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The file of the secret key; one that exists is left alone [default: NAME.secret]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Make a key for `mailkiln sign` instead, in minisign's format; the public half goes to NAME.pub
    #[arg(long)]
    pub minisign: bool,
}
