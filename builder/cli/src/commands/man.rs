//! `mailkiln man`: the manual pages.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;

use crate::arguments::{Arguments, ManArguments};
use crate::failure::Failure;
use crate::printer::Printer;

/// Prints the main page, or writes all pages into a directory.
pub(super) fn run(arguments: &ManArguments, printer: &Printer) -> Result<(), Failure> {
    match &arguments.output {
        Some(directory) => write(directory, printer),
        None => print(printer),
    }
}

fn print(printer: &Printer) -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command())
        .render(&mut page)
        .map_err(|error| Failure::work(&error))?;
    printer.text(&String::from_utf8_lossy(&page))
}

fn write(directory: &Path, printer: &Printer) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(Failure::file("create", directory))?;
    clap_mangen::generate_to(Arguments::command(), directory)
        .map_err(Failure::file("write manual pages into", directory))?;
    printer.message(format_args!("Wrote the manual pages into {}.", directory.display()));
    Ok(())
}
