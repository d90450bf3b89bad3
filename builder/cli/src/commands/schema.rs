//! `mailkiln schema`: the JSON schema of `mail.toml`.

use crate::failure::Failure;
use crate::printer::Printer;

/// Prints the schema.
pub(super) fn run(printer: &Printer) -> Result<(), Failure> {
    printer.text(&mailkiln_spec::json_schema())
}
