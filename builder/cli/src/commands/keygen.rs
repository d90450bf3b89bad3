//! `mailkiln keygen`: a key that signs a Nix binary cache, or images.
//!
//! The secret goes into a file for its owner alone, and nowhere else.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mailkiln_nix_store::SecretKey;
use rand_core::{OsRng, RngCore as _};
use serde::Serialize;

use crate::arguments::KeygenArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::whole_file;

/// Makes the key and prints its public half.
pub(super) fn run(arguments: &KeygenArguments, printer: &Printer) -> Result<(), Failure> {
    let KeygenArguments { name, output, minisign } = arguments;
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed).map_err(|error| Failure::work(&error))?;
    if *minisign {
        return for_images(name, output.as_deref(), seed, printer);
    }
    let key = SecretKey::new(name, seed).map_err(|error| Failure::input(&error))?;
    let path = output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.secret")));
    write(&path, &key.to_secret_text())?;
    printer.result(&Made { public_key: key.public_text(), secret_key_file: path })
}

/// A key in minisign's format, its public half in a file beside it.
fn for_images(
    name: &str,
    output: Option<&Path>,
    seed: [u8; 32],
    printer: &Printer,
) -> Result<(), Failure> {
    let mut id = [0; 8];
    OsRng.try_fill_bytes(&mut id).map_err(|error| Failure::work(&error))?;
    let key = mailkiln_signature::SecretKey::from_random(seed, id);
    let path = output.map_or_else(|| PathBuf::from(format!("{name}.secret")), Path::to_owned);
    write(&path, &key.text())?;
    let public = path.with_file_name(format!("{name}.pub"));
    whole_file::write(&public, key.public().text().as_bytes())?;
    printer.result(&Made { public_key: key.public().line(), secret_key_file: path })
}

/// Writes a new file, whole or not at all.
fn write(path: &Path, secret: &str) -> Result<(), Failure> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists => Failure::Input {
                    message: format!("{} exists already", path.display()),
                    causes: Vec::new(),
                    hint: Some("choose another --output or NAME: replacing a key makes its signatures worthless".to_owned()),
                },
                _ => Failure::file("write", path)(error),
            }
        })?;
    let written = file.write_all(secret.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a key is of no use to anybody; that it can't be removed would not be news.
        let _ = fs::remove_file(path);
        Failure::file("write", path)(error)
    })
}

/// What was made.
#[derive(Serialize)]
struct Made {
    public_key: String,
    secret_key_file: PathBuf,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public_key)
    }
}
