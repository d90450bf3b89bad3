//! `mailkiln emit modules`: the NixOS modules of the service model.

use std::fs;

use crate::arguments::EmitModulesArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::whole_file;

/// Writes the modules; with `--check` only tells whether those that are there are current.
pub(super) fn run(arguments: &EmitModulesArguments, printer: &Printer) -> Result<(), Failure> {
    let sources = mailkiln_nix::modules().map_err(|error| Failure::work(&error))?;
    let folder = &arguments.output;
    let reference = mailkiln_nix::options_reference(&sources);
    if !arguments.check {
        if let Some(path) = &arguments.reference {
            whole_file::write(path, reference.as_bytes())?;
        }
        return printer.result(&super::write(folder, &sources)?);
    }
    let is_current = |path: &str, text: &str| {
        fs::read_to_string(folder.join(path)).is_ok_and(|found| found == text)
    };
    let mut stale: Vec<String> = sources
        .iter()
        .filter(|source| !is_current(&source.path, &source.text))
        .map(|source| source.path.clone())
        .collect();
    let there = fs::read_dir(folder).map_err(Failure::file("read", folder))?;
    for entry in there {
        let entry = entry.map_err(Failure::file("read", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !sources.iter().any(|source| source.path == name) {
            stale.push(format!("{name} (no module any more)"));
        }
    }
    if let Some(path) = &arguments.reference
        && !fs::read_to_string(path).is_ok_and(|found| found == reference)
    {
        stale.push(path.display().to_string());
    }
    stale.sort();
    if stale.is_empty() {
        return Ok(());
    }
    let written = arguments.reference.as_ref();
    let also = written.map(|path| format!(" --reference {}", path.display())).unwrap_or_default();
    Err(Failure::Work {
        message: format!("{} is out of date: the service model has changed", folder.display()),
        causes: vec![stale.join(", ")],
        hint: Some(format!("run `mailkiln emit modules{also}` and review the difference")),
    })
}
