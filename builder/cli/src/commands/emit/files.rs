//! `mailkiln emit files`: the configuration files of the services on a NixOS host.

use mailkiln_nix::{Source, on_a_host};

use crate::arguments::EmitFilesArguments;
use crate::assembly::SPAM_RULES;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::spec_file::SpecFile;

/// Writes them, at the places below the folder that they have below the root.
pub(super) fn run(arguments: &EmitFilesArguments, printer: &Printer) -> Result<(), Failure> {
    let file = SpecFile::read(arguments.config.path())?;
    let appliance = on_a_host(&file.spec, SPAM_RULES);
    let files = appliance.services.iter().flat_map(|service| &service.config_files);
    let sources: Vec<Source> = files
        .map(|file| Source {
            path: file.path.trim_start_matches('/').to_owned(),
            text: file.contents.clone(),
        })
        .collect();
    super::refuse_existing(&arguments.output, &sources)?;
    printer.result(&super::write(&arguments.output, &sources)?)
}
