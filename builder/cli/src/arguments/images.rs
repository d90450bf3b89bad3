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
    format!("The image, a file or an https:// URL: {}", names.join(", "))
}

fn boxed(error: UnknownFormat) -> Box<dyn std::error::Error + Send + Sync> {
    error.into()
}

/// `mailkiln convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each file gets its digest beside it as .sha256. The result depends on the disk alone: it has the same bytes whatever format \
it was converted from. There is no block map, since only `build` knows which zeros a used medium needs.")]
pub struct ConvertArguments {
    /// The image, in any format; its content decides which
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// The formats to write, separated by commas; can be repeated
    #[arg(short, long, value_name = "FORMAT", required = true, value_delimiter = ',', value_parser = formats())]
    pub format: Vec<Format>,
    /// The folder for NAME.FORMAT
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// The name of the files, and of the machine in an OVA [default: the image's, without its suffix]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `mailkiln flash`.
#[derive(Debug, Args)]
#[command(after_help = "\
If IMAGE.bmap exists, only the blocks that it lists are written. The disk that this machine runs from is refused, and so \
is any device that is mounted or in use. The first MiB, which holds the partition table, is cleared first and \
written last: a device does not boot if flashing was interrupted or verification failed.")]
pub struct FlashArguments {
    #[arg(value_name = "IMAGE", help = flashable())]
    pub image: String,
    /// The whole device, such as /dev/sdb, or a file that is large enough; its content is lost
    #[arg(value_name = "DEVICE")]
    pub device: Option<PathBuf>,
    /// The digest of the image file as downloaded; required for a URL
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<Sha256>,
    /// Require a signature by this key: a minisign public key, as a file or its line of base64; the
    /// signature is IMAGE.minisig
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Put this seed onto the device too, a folder from `mailkiln seed new`
    #[arg(long, value_name = "DIR")]
    pub seed: Option<PathBuf>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}

/// `mailkiln inspect`.
#[derive(Debug, Args)]
pub struct InspectArguments {
    /// The image, in any format that `build --help` lists
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
Exit status: 0 if the images are the same, 1 if they differ, 2 if they could not be compared. Lines begin with - for what \
only the first image has, + for what only the second has, and ~ for what differs.")]
pub struct DiffArguments {
    /// The first image, in any format; target and format may differ from the second's
    #[arg(value_name = "IMAGE")]
    pub first: PathBuf,
    /// The second image
    #[arg(value_name = "IMAGE")]
    pub second: PathBuf,
    /// List every difference instead of the first 20 of each group; --json always lists all
    #[arg(long)]
    pub all: bool,
}
