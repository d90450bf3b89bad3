//! The arguments about compiled units that come from elsewhere, or go there.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use mailkiln_unit::Unit;

use super::ArchChoice;

/// Where compiled units may be taken from.
#[derive(Debug, Args)]
pub struct UnitsArguments {
    /// Take compiled units from this unit cache, where it has them: a folder, or an https://, http:// or file:/// address.
    /// May be given several times; see also MAILKILN_UNITS_FROM
    #[arg(long, value_name = "PATH|URL", conflicts_with = "closure")]
    pub units_from: Vec<String>,
}

/// The units of this program, each with a word about it.
fn units() -> PossibleValuesParser {
    let value = |unit: &'static Unit| {
        PossibleValue::new(unit.name.as_str()).help(unit.description.as_str())
    };
    PossibleValuesParser::new(mailkiln_unit::units().iter().map(value))
}

/// `mailkiln export units`.
#[derive(Debug, Args)]
#[command(after_help = "\
What the local cache does not have is compiled first. A unit cache that is there is added to, so one folder can hold the units of \
several versions. `build --units-from DIR --trusted-public-key KEY` takes from it; any web server can offer it. Units that were \
taken from another cache are not signed again: `verify units` compiles them and makes them this machine's own.")]
pub struct ExportUnitsArguments {
    /// The folder of the unit cache; made if it does not exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The key that signs: a file of `mailkiln keygen`
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: PathBuf,
    /// Which machines the units are for; may be given twice [default: both]
    #[arg(long, value_enum, value_name = "ARCH")]
    pub arch: Vec<ArchChoice>,
    /// Which units; may be given several times [default: all]
    #[arg(long, value_name = "UNIT", value_parser = units())]
    pub unit: Vec<String>,
    /// The lock to take the toolchain and units from [default: the one that came with this program]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Where to download packages; the lock's digests decide what is taken
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
}

/// `mailkiln verify units`.
#[derive(Debug, Args)]
#[command(after_help = "\
Compiles from nothing, which takes about half an hour of two processors per architecture for all units. Exit status: 0 where all \
bytes are the same, 1 where they are not, which is said in a line each; 2 for bad input.")]
pub struct VerifyUnitsArguments {
    /// The unit cache: a folder, or an https://, http:// or file:/// address [default: what the local cache has]
    #[arg(value_name = "PATH|URL", requires = "trusted_public_key")]
    pub from: Option<String>,
    /// A public key that may sign, as NAME:BASE64; may be given several times
    #[arg(long, value_name = "KEY", requires = "from")]
    pub trusted_public_key: Vec<String>,
    /// Which machines the units are for; may be given twice [default: both]
    #[arg(long, value_enum, value_name = "ARCH")]
    pub arch: Vec<ArchChoice>,
    /// Which units; may be given several times [default: all]
    #[arg(long, value_name = "UNIT", value_parser = units())]
    pub unit: Vec<String>,
    /// The lock to take the toolchain and units from [default: the one that came with this program]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Where to download packages; the lock's digests decide what is taken
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
}
