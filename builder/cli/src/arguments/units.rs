//! The arguments about compiled units that come from elsewhere, or go there.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use mailkiln_unit::Unit;

use super::{ArchChoice, PinArguments};

/// Unit caches to use.
#[derive(Debug, Args)]
pub struct UnitsArguments {
    /// Take compiled units from this unit cache if it has them: a folder, or an https://, http:// or file:/// URL; can be
    /// repeated; see also MAILKILN_UNITS_FROM
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
Units that the local cache lacks are compiled first. An existing unit cache is extended, so one folder can hold the units of \
several versions. `build --units-from DIR --trusted-public-key KEY` uses it; any web server can serve it. Units that came \
from another cache are not signed again: `verify units` compiles them here first.")]
pub struct ExportUnitsArguments {
    /// The folder of the unit cache; created if it does not exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The signing key: a file from `mailkiln keygen`
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: PathBuf,
    /// The architecture of the units; can be repeated [default: both]
    #[arg(long, value_enum, value_name = "ARCH")]
    pub arch: Vec<ArchChoice>,
    /// The units; can be repeated [default: all]
    #[arg(long, value_name = "UNIT", value_parser = units())]
    pub unit: Vec<String>,
    /// Where packages come from.
    #[command(flatten)]
    pub pins: PinArguments,
}

/// `mailkiln verify units`.
#[derive(Debug, Args)]
#[command(after_help = "\
Compiles from scratch, which takes about half an hour on two processors per architecture for all units. Exit status: 0 if all \
bytes are the same, 1 if some differ, printed one per line; 2 for bad input.")]
pub struct VerifyUnitsArguments {
    /// The unit cache: a folder, or an https://, http:// or file:/// URL [default: the local cache]
    #[arg(value_name = "PATH|URL", requires = "trusted_public_key")]
    pub from: Option<String>,
    /// A public key to trust, as NAME:BASE64; can be repeated
    #[arg(long, value_name = "KEY", requires = "from")]
    pub trusted_public_key: Vec<String>,
    /// The architecture of the units; can be repeated [default: both]
    #[arg(long, value_enum, value_name = "ARCH")]
    pub arch: Vec<ArchChoice>,
    /// The units; can be repeated [default: all]
    #[arg(long, value_name = "UNIT", value_parser = units())]
    pub unit: Vec<String>,
    /// Where packages come from.
    #[command(flatten)]
    pub pins: PinArguments,
}
