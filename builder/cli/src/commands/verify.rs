//! `mailkiln verify nix-cache`: whether a Nix binary cache is whole, and from whom it should be.
//!
//! Whatever is in the cache may be foreign: its texts are escaped before they are printed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mailkiln_nix_store::{CacheFiles, Fault, TrustedPublicKey, Verified, verify};
use serde::Serialize;

use super::verify_units;
use crate::arguments::VerifyCommand;
use crate::failure::Failure;
use crate::printer::Printer;

/// Prints what is wrong.
pub(super) fn run(command: &VerifyCommand, printer: &Printer) -> Result<ExitCode, Failure> {
    let arguments = match command {
        VerifyCommand::NixCache(arguments) => arguments,
        VerifyCommand::Units(arguments) => return verify_units::run(arguments, printer),
    };
    let keys: Result<Vec<_>, _> =
        arguments.trusted_public_key.iter().map(|text| key(text)).collect();
    let folder = &arguments.directory;
    let Verified { paths, faults } =
        verify(&Folder(folder), &keys?).map_err(Failure::file("read", folder))?;
    if paths == 0 {
        return Err(Failure::Input {
            message: format!("{} has no store path: it is not a cache", folder.display()),
            causes: Vec::new(),
            hint: Some("name the folder that nix-cache-info is in".to_owned()),
        });
    }
    let faults: Vec<FaultReport> = faults.iter().map(FaultReport::of).collect();
    let sound = faults.is_empty();
    printer.result(&Report { directory: folder.clone(), paths, sound, faults })?;
    Ok(ExitCode::from(u8::from(!sound)))
}

/// Reads a public key.
///
/// # Errors
/// [`Failure`] when it is not one.
pub(crate) fn key(text: &str) -> Result<TrustedPublicKey, Failure> {
    TrustedPublicKey::parse(text).map_err(|error| Failure::Input {
        message: format!("`{}` is not a public key", text.escape_debug()),
        causes: vec![error.to_string()],
        hint: Some("expected NAME:BASE64, as `mailkiln keygen` prints it".to_owned()),
    })
}

/// A cache on disk.
struct Folder<'a>(&'a Path);

impl CacheFiles for Folder<'_> {
    fn records(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.0)? {
            // Names that are no text are no names of records.
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if name.ends_with(".narinfo") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let path = self.0.join(name);
        // A pipe would wait forever.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::other("it is not a plain file"));
        }
        Ok(Box::new(File::open(path)?))
    }
}

/// All that is printed.
#[derive(Serialize)]
struct Report {
    directory: PathBuf,
    /// Store paths in the cache.
    paths: usize,
    sound: bool,
    faults: Vec<FaultReport>,
}

#[derive(Serialize)]
struct FaultReport {
    /// The file in the cache.
    place: String,
    /// The store path.
    path: Option<String>,
    what: String,
    cure: &'static str,
    #[serde(skip)]
    line: String,
}

impl FaultReport {
    fn of(fault: &Fault) -> Self {
        Self {
            place: fault.place.clone(),
            path: fault.path.clone(),
            what: fault.flaw.to_string(),
            cure: fault.flaw.cure(),
            line: fault.to_string(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{}", fault.line)?;
        }
        let Self { directory, paths, faults, .. } = self;
        match faults.len() {
            0 => write!(f, "{}: nothing wrong; store paths: {paths}", directory.display()),
            wrong => write!(f, "{}: faults: {wrong}; store paths: {paths}", directory.display()),
        }
    }
}
