//! Lists the files of `images/`, `images/bases/` and `images/modules/`, so that adding a target, what targets
//! share, or a class of kernel modules changes no Rust code. The agent of an appliance is compiled with this crate
//! too, and without that folder: a new target is no reason to compile it anew.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let images = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../images");
    list(&images, "targets.rs")?;
    list(&images.join("bases"), "bases.rs")?;
    list(&images.join("modules"), "classes.rs")
}

/// Writes the names and texts of a folder's TOML files as a Rust expression.
fn list(folder: &Path, out: &str) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let files = match fs::read_dir(folder) {
        Ok(files) => files.collect::<Vec<_>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut files: Vec<PathBuf> = files
        .into_iter()
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let entries = files.iter().map(|path| {
        let name = path.file_stem().unwrap_or_default();
        format!("    ({name:?}, include_str!({path:?})),\n")
    });
    let list = format!("&[\n{}]\n", entries.collect::<String>());
    fs::write(Path::new(&variable("OUT_DIR")?).join(out), list)
}

/// A variable that Cargo sets for build scripts.
fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
