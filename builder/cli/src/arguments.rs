//! What can be written on the command line: every command's arguments, in one place.
//!
//! In: the words of the command line, through clap. Out: typed arguments. The doc comments are the
//! text of `--help` and of the man page.

mod closure;
mod images;
mod nix_cache;
mod units;

use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use mailkiln_format::Format;

use crate::machine::{Accelerator, Attachment, Card, Firmware};
pub(crate) use closure::ClosureArguments;
pub(crate) use images::{ConvertArguments, DiffArguments, FlashArguments, InspectArguments};
pub(crate) use nix_cache::{
    ArchChoice, ExportCommand, ExportRpiImagerArguments, KeygenArguments, VerifyCommand,
};
pub(crate) use units::{ExportUnitsArguments, UnitsArguments, VerifyUnitsArguments};

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
    /// Pin what images are made from: packages and units, by digest
    Lock(LockArguments),
    /// Build the image of an appliance
    Build(BuildArguments),
    /// Boot an image in QEMU, its ports forwarded to loopback
    Run(RunArguments),
    /// Write an image to a card, a stick or a disk, and read it back; without DEVICE, list those there are
    Flash(FlashArguments),
    /// Write the disk of an image in other formats
    Convert(ConvertArguments),
    /// Say what an image holds, and whether it was altered
    Inspect(InspectArguments),
    /// Say what is different between two images, file by file
    Diff(DiffArguments),
    /// List the DNS records to publish
    Dns(DnsArguments),
    /// Make what the appliance shall not make up itself (DKIM keys, passwords, Wi-Fi), and put it onto a card
    #[command(subcommand)]
    Seed(SeedCommand),
    /// Look into the cache of downloads and compiled units, and make room
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Write the services as NixOS modules, or a mail.toml as the flake of a host
    #[command(subcommand)]
    Emit(EmitCommand),
    /// Deliver what is not an image
    #[command(subcommand)]
    Export(ExportCommand),
    /// Say whether something that was delivered is whole and from whom it should be
    #[command(subcommand)]
    Verify(VerifyCommand),
    /// Sign images and block maps, as minisign does
    Sign(SignArguments),
    /// Make a key that signs a unit cache, a Nix binary cache, or images
    Keygen(KeygenArguments),
    /// List the machines that images can be built for, and how far each was tried
    Targets,
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

/// Where `mail.toml` is, for commands that take it as their argument too.
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

/// `mailkiln emit`.
#[derive(Debug, Subcommand)]
pub enum EmitCommand {
    /// Write the NixOS modules that are made from the service model
    Modules(EmitModulesArguments),
    /// Write a flake for one host: it imports the modules and sets what mail.toml says
    Host(EmitHostArguments),
    /// Write the configuration files of the services, as a module does while a host is built
    Files(EmitFilesArguments),
}

/// `mailkiln emit modules`.
#[derive(Debug, Args)]
pub struct EmitModulesArguments {
    /// The folder of the modules
    #[arg(short, long, value_name = "DIR", default_value = "modules")]
    pub output: PathBuf,
    /// Also the reference of their options, as a page in Markdown
    #[arg(long, value_name = "FILE")]
    pub reference: Option<PathBuf>,
    /// Write nothing; fail when what is there says something else
    #[arg(long)]
    pub check: bool,
}

/// `mailkiln emit host`.
#[derive(Debug, Args)]
pub struct EmitHostArguments {
    /// The file that describes the mail host
    #[arg(value_name = "FILE", default_value = "mail.toml")]
    pub config: PathBuf,
    /// The folder of the flake
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

/// `mailkiln emit files`.
#[derive(Debug, Args)]
pub struct EmitFilesArguments {
    /// What they are made from.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder to write below
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// What the host decides.
    #[command(flatten)]
    pub host: HostArguments,
}

/// What a NixOS host decides otherwise than an image.
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
    /// Whom the mail server asks about names: `resolved`, `host`, or addresses
    #[arg(long, value_name = "WHOM", default_value = "resolved")]
    pub resolver: String,
    /// A certificate that others look after: the file with it and its intermediates
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    pub certificate: Option<String>,
    /// The file with its private key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub certificate_key: Option<String>,
    /// A name of that certificate; one must be the host's
    #[arg(long, value_name = "NAME", requires = "certificate")]
    pub certificate_name: Vec<String>,
}

/// `mailkiln new`.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// The mail domain: the part behind the @
    #[arg(value_name = "DOMAIN", required_unless_present = "demo")]
    pub domain: Option<String>,
    /// Write the configuration of ./demo: example.test with the accounts alice and bob
    #[arg(long, conflicts_with = "domain")]
    pub demo: bool,
    /// Where to write; a file that exists is left alone
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
    /// Include the DKIM records of this file: a copy of the appliance's
    /// /var/lib/mailkiln/dkim/DOMAIN.txt. May be given once per domain
    #[arg(long, value_name = "FILE")]
    pub dkim: Vec<PathBuf>,
    /// Include the TLSA record of this file: a copy of the appliance's
    /// /var/lib/mailkiln-acme/tlsa.txt
    #[arg(long, value_name = "FILE")]
    pub tlsa: Option<PathBuf>,
    /// Include the DKIM records of this seed: a folder of `mailkiln seed new`
    #[arg(long, value_name = "DIR")]
    pub seed: Option<PathBuf>,
}

/// `mailkiln seed`.
#[derive(Debug, Subcommand)]
pub enum SeedCommand {
    /// Make the seed of an appliance: a folder that is yours alone
    New(SeedNewArguments),
    /// Put a seed onto a card that was flashed, or into a copy of an image
    Apply(SeedApplyArguments),
}

/// `mailkiln seed new`.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder gets DKIM keys of every [[domain]], the device's SSH key where mail.toml has [ssh], the key of the ACME \
account, and seed.toml with the hashes of passwords, made to be edited: Wi-Fi, static network, SSH keys. Without a \
password for `admin` one is made and shown, once; with --json, the device makes it.")]
pub struct SeedNewArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgument,
    /// The folder; made if it does not exist, refused if something is in it
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// First passwords: on each line an address, or `admin`, a blank and the password. `-` is
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub passwords: Option<PathBuf>,
}

/// `mailkiln seed apply`.
#[derive(Debug, Args)]
pub struct SeedApplyArguments {
    /// A whole device that holds an image, as /dev/sdb, or an .img that is yours alone
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The folder of the seed
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Overwrite a seed that is there already
    #[arg(long)]
    pub replace: bool,
}

/// `mailkiln lock`.
#[derive(Debug, Args)]
pub struct LockArguments {
    /// Choose the packages afresh from Debian's signed indexes; with a name, of a package or of a source
    /// (`linux`), move only that source's packages and what they demand
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    pub update: Option<Option<String>>,
    /// With --update: move only what Debian's security archive has a newer version of
    #[arg(long, requires = "update")]
    pub security: bool,
    /// With --update: move the compilers too; every unit is then compiled again
    #[arg(long, requires = "update")]
    pub toolchain: bool,
    /// Write nothing; fail when the lock does not fit this program, or with --update, when Debian has
    /// something newer
    #[arg(long)]
    pub check: bool,
    /// Write nothing; list the known holes of locked packages by the distribution's security tracker:
    /// its JSON is downloaded, or read from FILE. Fails where a fixed version can be had
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["update", "check"])]
    pub audit: Option<Option<PathBuf>>,
    /// The lock to make, update, check or audit
    #[arg(long, value_name = "FILE", default_value = "mailkiln.lock")]
    pub lock: PathBuf,
    /// Where to read the indexes; signatures decide what is taken
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// An archive that keeps every package: an address with {archive} and {time} in it, kept in the
    /// lock and asked last
    #[arg(long, value_name = "URL")]
    pub snapshot_archive: Option<String>,
}

/// `mailkiln cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Say what the cache holds
    List,
    /// Remove what the lock does not name and nobody has used of late
    Prune(CachePruneArguments),
}

/// `mailkiln cache prune`.
#[derive(Debug, Args)]
pub struct CachePruneArguments {
    /// Keep what was used in the last so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub older_than: u64,
    /// Then remove what was used longest ago until so many megabytes are left
    #[arg(long, value_name = "MB")]
    pub max_size: Option<u64>,
    /// Remove everything, also what the lock names
    #[arg(long, conflicts_with_all = ["older_than", "max_size"])]
    pub all: bool,
    /// The lock whose files are kept [default: the one that came with this program]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
}

/// `mailkiln build`.
#[derive(Debug, Args)]
pub struct BuildArguments {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Build every mail.toml of this folder, each for every TARGET: its files that end with .toml, and the mail.toml of each
    /// folder in it. One that fails does not stop the others
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "config", "closure"])]
    pub all: Option<PathBuf>,
    /// The board or cloud to build for; several with commas between them, or the option several times
    #[arg(short, long, value_name = "TARGET", required = true, value_delimiter = ',')]
    pub target: Vec<String>,
    /// How many images are made at the same time, where there are several [default: one per processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZero<usize>>,
    /// What to deliver; several with commas between them, or the option several times [default: the target's]
    #[arg(short, long, value_name = "FORMAT", value_delimiter = ',', value_parser = images::formats())]
    pub format: Vec<Format>,
    /// The folder that gets HOST-TARGET.FORMAT, its .sha256, .spdx.json and, where it can be flashed, .bmap
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// The lock to build from [default: the one that came with this program]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Where to download packages; the lock's digests decide what is taken
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// What to compile the units with
    #[arg(long, value_enum, value_name = "WHICH", default_value = "locked")]
    pub toolchain: ToolchainChoice,
    /// Where compiled units may be taken from.
    #[command(flatten)]
    pub units: UnitsArguments,
    /// A NixOS system to build from.
    #[command(flatten)]
    pub closure: ClosureArguments,
}

/// What units are compiled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ToolchainChoice {
    /// The lock's packages, in a sandbox: the same bytes everywhere.
    Locked,
    /// This machine's cargo, rustc and cc, where user namespaces are forbidden.
    Host,
}

/// `mailkiln run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The image: raw, qcow2, VHD, VHDX or VMDK; it is never written to
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Keep what the appliance writes in this overlay; made if it does not exist
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// Size of a new overlay: the disk that the appliance grows into
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    pub disk_size: String,
    /// Firmware that starts the image
    #[arg(long, value_enum, default_value = "uefi")]
    pub firmware: Firmware,
    /// What the disk hangs on [default: virtio]
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
    /// Port N of the appliance answers at 127.0.0.1, port N + OFFSET
    #[arg(long, value_name = "OFFSET", default_value_t = 10000)]
    pub port_offset: u16,
    /// Write the serial console to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub console: Option<PathBuf>,
    /// How QEMU runs the guest; KVM where it proves to boot, else TCG
    #[arg(long, value_enum)]
    pub accelerator: Option<Accelerator>,
}

/// `mailkiln sign`.
#[derive(Debug, Args)]
pub struct SignArguments {
    /// The secret key: a file of `mailkiln keygen --minisign`, or of `minisign -G -W`
    #[arg(value_name = "KEY")]
    pub key: PathBuf,
    /// What to sign: images and their .bmap; each gets a FILE.minisig beside it
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
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
