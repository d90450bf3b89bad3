//! Arguments of the commands that read images, and how formats are named.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use mailkiln_format::{Format, UnknownFormat};
use mailkiln_pin::Sha256;

/// The names of formats, with what each is for: the list is that of the formats themselves.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    let mut all: Vec<Format> = Format::all().collect();
    all.sort_by_key(|format| format.name());
    let values = all.into_iter().map(|it| PossibleValue::new(it.name()).help(it.title()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Format>().map_err(boxed))
}

/// Which images can be flashed.
fn flashable() -> String {
    let names: Vec<&str> =
        Format::all().filter(|it| it.stream().is_some()).map(Format::name).collect();
    format!("The image, as a file or an https:// address: one of {}", names.join(", "))
}

fn boxed(error: UnknownFormat) -> Box<dyn std::error::Error + Send + Sync> {
    error.into()
}

/// `mailkiln convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
The digest of each file is written beside it as .sha256. What is written depends on the disk alone: from whatever \
format it is read, a format has the same bytes. There is no block map: which zeros a used medium needs, only `build` knows.")]
pub struct ConvertArguments {
    /// The image, of any format; what it is, its content says
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// What to make; several with commas between them, or the option several times
    #[arg(short, long, value_name = "FORMAT", required = true, value_delimiter = ',', value_parser = formats())]
    pub format: Vec<Format>,
    /// The folder that gets NAME.FORMAT
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// The name of the files, and of the machine in an OVA [default: the image's, without its ending]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `mailkiln flash`.
#[derive(Debug, Args)]
#[command(after_help = "\
Only the blocks that IMAGE.bmap names are written, if that file is there; else all of them. The disk that this \
machine runs from, and whatever is mounted or otherwise in use, is refused. The first MiB, which holds the \
partition table, is emptied first and written last: a device whose flashing was interrupted, or whose content \
is not what was written, does not boot.")]
pub struct FlashArguments {
    #[arg(value_name = "IMAGE", help = flashable())]
    pub image: String,
    /// The whole device, as /dev/sdb, or a plain file that is large enough; what is on it is lost
    #[arg(value_name = "DEVICE")]
    pub device: Option<PathBuf>,
    /// Digest of the image file, compressed as it is; needed for an address
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<Sha256>,
    /// Write only what is signed by this key: a minisign public key, as its file or its line of base64;
    /// the signature is IMAGE.minisig
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Put this seed onto the device too: a folder of `mailkiln seed new`
    #[arg(long, value_name = "DIR")]
    pub seed: Option<PathBuf>,
    /// Do not ask for the device's name
    #[arg(short, long)]
    pub yes: bool,
}

/// `mailkiln inspect`.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// The image, of any format that `build --help` lists
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// List the files at or below this path of the root file system
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    /// List every file of the root file system
    #[arg(long)]
    pub tree: bool,
}

/// `mailkiln diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 where nothing differs, 1 where something does, 2 where they could not be compared. Lines begin with \
- for what only the first image has, with + for what only the second has, and with ~ for what differs.")]
pub struct DiffArguments {
    /// The first image, of any format; it may be for another machine, and of another format, than the second
    #[arg(value_name = "IMAGE")]
    pub first: PathBuf,
    /// The second image
    #[arg(value_name = "IMAGE")]
    pub second: PathBuf,
    /// List every difference instead of the first 20 of each group (--json always lists every one)
    #[arg(long)]
    pub all: bool,
}
