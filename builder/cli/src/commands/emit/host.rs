//! `mailkiln emit host`: a flake of one host.

use crate::arguments::EmitHostArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::spec_file::SpecFile;

/// Writes the flake, unless one is there.
pub(super) fn run(arguments: &EmitHostArguments, printer: &Printer) -> Result<(), Failure> {
    let file = SpecFile::read_named(arguments.config.path())?;
    let table: toml::Table = toml::from_str(&file.text).map_err(|error| Failure::work(&error))?;
    let sources = mailkiln_nix::host(&table).map_err(|error| Failure::work(&error))?;
    super::refuse_existing(&arguments.output, &sources)?;
    let mut written = super::write(&arguments.output, &sources)?;
    written.next = Some(format!(
        "Put the host's hardware-configuration.nix beside them; {}/README.md says what then.",
        arguments.output.display()
    ));
    printer.result(&written)
}
