//! Seeds for the fuzz targets: small valid inputs, made by our own writers or taken from the repository.
//!
//! In: a folder. Out: in it one folder for each target, with a file for each seed.

mod attachments;
mod containers;
mod formats;
mod nix_cache;
mod texts;
mod webmail;

// Everything here is instrumented, and libFuzzer has what that calls.
use libfuzzer_sys as _;

use std::path::PathBuf;
use std::{env, error, fs};

/// What makes a seed fail.
type Error = Box<dyn error::Error>;

/// Target and content of each seed.
type Seeds = Vec<(&'static str, Vec<u8>)>;

fn main() -> Result<(), Error> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: seeds FOLDER")?);
    let seeds = [
        texts::seeds()?,
        containers::seeds()?,
        formats::seeds()?,
        nix_cache::seeds()?,
        attachments::seeds(),
        webmail::seeds(),
    ]
    .concat();
    for (number, (target, content)) in seeds.iter().enumerate() {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{number}")), content)?;
    }
    Ok(())
}
