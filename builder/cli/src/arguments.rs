//! What can be written on the command line: every command's arguments, in one place.
//!
//! In: the words of the command line, through clap. Out: typed arguments. The doc comments are the
//! text of `--help` and of the man page.

mod build;
mod emit;
mod images;
mod lock;
mod nix_cache;
mod units;
mod upload;

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::machine::{Accelerator, Attachment, Card, Firmware};
pub(crate) use build::{BuildArguments, ClosureArguments, ToolchainChoice};
pub(crate) use emit::{
    EmitCommand, EmitFilesArguments, EmitHostArguments, EmitModulesArguments, HostArguments,
};
pub(crate) use images::{ConvertArguments, DiffArguments, FlashArguments, InspectArguments};
pub(crate) use lock::{CacheCommand, CachePruneArguments, LockArguments};
pub(crate) use nix_cache::{
    ArchChoice, ExportCommand, ExportRpiImagerArguments, KeygenArguments, VerifyCommand,
};
pub(crate) use units::{ExportUnitsArguments, UnitsArguments, VerifyUnitsArguments};
pub(crate) use upload::UploadArguments;

/// Mail appliances from one file.
///
/// From one mail.toml, mailkiln assembles a complete mail server as a disk image: reproducible,
/// without root, and without running anything from a package.
#[derive(Debug, Parser)]
#[command(name = "mailkiln", version, max_term_width = 100)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArguments,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct GlobalArguments {
    /// Print more; twice for details, three times for everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Print only results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print the result or the error as one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Colour,
}

/// When to colour the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Even into a file or a pipe.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented mail.toml for a domain
    New(NewArguments),
    /// Check mail.toml and explain each problem and its fix
    Check(CheckArguments),
    /// Pin the packages and units that images are built from
    Lock(LockArguments),
    /// Build the image of an appliance
    Build(BuildArguments),
    /// Boot an image in QEMU and forward its ports to loopback
    Run(RunArguments),
    /// Write an image to a card, stick or disk and verify it; without DEVICE, list the devices
    Flash(FlashArguments),
    /// Upload an image to a cloud, a bucket or a folder
    Upload(UploadArguments),
    /// Convert an image to other formats
    Convert(ConvertArguments),
    /// Show what an image contains and whether it was altered
    Inspect(InspectArguments),
    /// Compare two images file by file
    Diff(DiffArguments),
    /// List the DNS records to publish
    Dns(DnsArguments),
    /// Create DKIM keys, passwords and Wi-Fi settings before the first boot
    #[command(subcommand)]
    Seed(SeedCommand),
    /// List or prune the cache of downloads and compiled units
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Write NixOS modules, or the flake of a NixOS host
    #[command(subcommand)]
    Emit(EmitCommand),
    /// Export compiled units as a cache, or images as a list
    #[command(subcommand)]
    Export(ExportCommand),
    /// Verify a Nix binary cache or compiled units
    #[command(subcommand)]
    Verify(VerifyCommand),
    /// Sign images and block maps in minisign's format
    Sign(SignArguments),
    /// Create a key that signs a unit cache, a Nix binary cache or images
    Keygen(KeygenArguments),
    /// List the targets and how far each was tested
    Targets,
    /// Print the JSON schema of mail.toml, for editors
    Schema,
    /// Print shell completions
    Completions(CompletionsArguments),
    /// Print or write the manual pages
    Man(ManArguments),
}

/// The place of `mail.toml`.
#[derive(Debug, Args)]
pub struct ConfigArgument {
    /// The file that describes the appliance
    #[arg(short, long, value_name = "FILE", default_value = "mail.toml")]
    pub config: PathBuf,
}

/// The place of `mail.toml`, for commands that take it as an argument too.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The file that describes the appliance
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same as FILE
    #[arg(short, long, value_name = "FILE", default_value = "mail.toml")]
    config: PathBuf,
}

impl ConfigFile {
    /// The file that was named, either way.
    pub fn path(&self) -> &Path {
        self.file.as_ref().unwrap_or(&self.config)
    }
}

/// The lock and the mirror of commands that fetch packages.
#[derive(Debug, Args)]
pub struct PinArguments {
    /// The lock to use [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// The mirror to download packages from; the lock's digests are always checked
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
}

/// `mailkiln new`.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// The mail domain: the part after the @
    #[arg(value_name = "DOMAIN", required_unless_present_any = ["demo", "generic"])]
    pub domain: Option<String>,
    /// Write the configuration of an image without a domain: each machine is told by its user-data what it is
    #[arg(long, conflicts_with_all = ["domain", "demo"])]
    pub generic: bool,
    /// Write the configuration of ./demo: example.test with the accounts alice and bob
    #[arg(long, conflicts_with = "domain")]
    pub demo: bool,
    /// The file to write; an existing file is never overwritten
    #[arg(short, long, value_name = "FILE", default_value = "mail.toml")]
    pub output: PathBuf,
}

/// `mailkiln check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// `mailkiln dns`.
#[derive(Debug, Args)]
pub struct DnsArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Print a zone file instead of a table
    #[arg(long)]
    pub zone: bool,
    /// Include the DKIM records in this file, a copy of the appliance's
    /// /var/lib/mailkiln/dkim/DOMAIN.txt; repeat the option for each domain
    #[arg(long, value_name = "FILE")]
    pub dkim: Vec<PathBuf>,
    /// Include the TLSA record in this file, a copy of the appliance's
    /// /var/lib/mailkiln-acme/tlsa.txt
    #[arg(long, value_name = "FILE")]
    pub tlsa: Option<PathBuf>,
    /// Include the DKIM records of this seed, a folder from `mailkiln seed new`
    #[arg(long, value_name = "DIR")]
    pub seed: Option<PathBuf>,
}

/// `mailkiln seed`.
#[derive(Debug, Subcommand)]
pub enum SeedCommand {
    /// Create the seed of an appliance: a folder that only you can read
    New(SeedNewArguments),
    /// Put a seed onto a flashed card or into a copy of an image
    Apply(SeedApplyArguments),
}

/// `mailkiln seed new`.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder gets the DKIM keys of every [[domain]], the device's SSH key if mail.toml has [ssh], the key of the ACME \
account, and seed.toml with password hashes, which you can edit to add Wi-Fi, a static network or SSH keys. Unless you \
give a password for `admin`, one is generated and shown once; with --json, the device generates it.")]
pub struct SeedNewArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The folder; created if it does not exist, refused if it is not empty
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// A file of first passwords: on each line an address or `admin`, a space and the password;
    /// `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub passwords: Option<PathBuf>,
}

/// `mailkiln seed apply`.
#[derive(Debug, Args)]
pub struct SeedApplyArguments {
    /// A whole device that holds an image, such as /dev/sdb, or an .img that only you can read
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The folder of the seed
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Overwrite an existing seed
    #[arg(long)]
    pub replace: bool,
}

/// `mailkiln run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The image: raw, qcow2, VHD, VHDX or VMDK; it is never changed
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Keep the appliance's writes in this overlay; created if it does not exist
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// The size of the appliance's disk, for a new overlay
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    pub disk_size: String,
    /// The firmware that starts the image
    #[arg(long, value_enum, default_value = "uefi")]
    pub firmware: Firmware,
    /// The disk's controller [default: virtio]
    #[arg(long = "as", value_enum, value_name = "PART")]
    pub attachment: Option<Attachment>,
    /// The network card [default: virtio]
    #[arg(long = "nic", value_enum, value_name = "CARD")]
    pub card: Option<Card>,
    /// Guest memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub memory: u32,
    /// Guest processors
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub processors: u32,
    /// Forward port N of the appliance to 127.0.0.1, port N + OFFSET
    #[arg(long, value_name = "OFFSET", default_value_t = 10000)]
    pub port_offset: u16,
    /// Write the serial console to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub console: Option<PathBuf>,
    /// Add a graphics card and keep a PNG of its screen in this file, drawn anew every two seconds
    #[arg(long, value_name = "FILE")]
    pub screen: Option<PathBuf>,
    /// How QEMU runs the guest [default: KVM if it boots here, else TCG]
    #[arg(long, value_enum)]
    pub accelerator: Option<Accelerator>,
}

/// `mailkiln sign`.
#[derive(Debug, Args)]
pub struct SignArguments {
    /// The secret key: a file from `mailkiln keygen --minisign` or `minisign -G -W`
    #[arg(value_name = "KEY")]
    pub key: PathBuf,
    /// The images and .bmap files to sign; each signature goes to FILE.minisig
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `mailkiln completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `mailkiln man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Write a page for every command into this directory instead
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
