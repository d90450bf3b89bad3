//! Lists `units/*/unit.toml`, sorted by the folder's name, so that a new unit changes no Rust code.
//!
//! In: the folders below `units/`. Out: `units.rs`, a table of (name, text). A file that can't be used stops the
//! compilation.

#[allow(dead_code, unreachable_pub, reason = "the library uses all of it")]
#[path = "src/manifest.rs"]
mod manifest;
#[allow(unreachable_pub, reason = "the library uses it")]
#[path = "src/rules.rs"]
mod rules;
#[allow(dead_code, unreachable_pub, reason = "the library uses all of it")]
#[path = "src/service.rs"]
mod service;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let units = here.join("../../units").canonicalize()?;
    println!("cargo::rerun-if-changed={}", units.display());
    let mut folders: Vec<PathBuf> = fs::read_dir(&units)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    folders.sort();
    let (mut table, mut read) = (String::from("&[\n"), Vec::new());
    for folder in folders {
        let file = folder.join("unit.toml");
        if !file.is_file() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", file.display());
        let name = name(&folder)?;
        let text = fs::read_to_string(&file)?;
        let unit = manifest::Unit::read(&name, &text).map_err(io::Error::other)?;
        read.push(unit);
        writeln!(table, "    ({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    rules::together(&read).map_err(io::Error::other)?;
    fs::write(out.join("units.rs"), table + "]\n")
}

fn name(folder: &Path) -> io::Result<String> {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
