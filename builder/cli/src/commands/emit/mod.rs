//! `mailkiln emit`: the service model for NixOS.
//!
//! `modules` writes the modules, `host` a flake of one host that imports them, and `files` what a
//! module has made while a host is built: the configuration files of the services.

mod files;
mod host;
mod modules;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mailkiln_nix::Source;
use serde::Serialize;

use crate::arguments::EmitCommand;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::whole_file;

/// Runs one of them.
pub(super) fn run(command: &EmitCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        EmitCommand::Modules(arguments) => modules::run(arguments, printer),
        EmitCommand::Host(arguments) => host::run(arguments, printer),
        EmitCommand::Files(arguments) => files::run(arguments, printer),
    }
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    folder: PathBuf,
    files: Vec<String>,
    /// What to do next.
    #[serde(skip)]
    next: Option<String>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "  {}", self.folder.join(file).display())?;
        }
        self.next.iter().try_for_each(|next| writeln!(f, "\n{next}"))
    }
}

/// Writes files below a folder, each whole or not at all.
fn write(folder: &Path, files: &[Source]) -> Result<Written, Failure> {
    for Source { path, text } in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Failure::file("create", parent))?;
        whole_file::write(&path, text.as_bytes())?;
    }
    let files = files.iter().map(|file| file.path.clone()).collect();
    Ok(Written { folder: folder.to_owned(), files, next: None })
}

/// Refuses a folder in which somebody's files would be replaced.
fn refuse_existing(folder: &Path, files: &[Source]) -> Result<(), Failure> {
    let existing = files.iter().map(|file| folder.join(&file.path)).find(|path| path.exists());
    match existing {
        None => Ok(()),
        Some(path) => Err(Failure::Input {
            message: format!("{} exists", path.display()),
            causes: vec!["nothing was written".to_owned()],
            hint: Some("choose another folder with `-o DIR`, or move that one away".to_owned()),
        }),
    }
}
