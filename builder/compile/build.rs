//! Gathers the sources of `units/` into three tables of (path, bytes), sorted by path.
//!
//! In: `units/{Cargo.toml,Cargo.lock,init,store,agent,acme}`, `units/filter` and `units/mail-server`. Out:
//! `embedded_files.rs`. Only what a compilation reads: manifests, locks, `src` and patches.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files at a package's root that count; of its folders, those in [`FOLDERS`] do.
const FILES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "build.rs"];
const FOLDERS: [&str; 2] = ["src", "patches"];

fn main() -> io::Result<()> {
    let here = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let units = here.join("../../units").canonicalize()?;
    let mut appliance = Vec::new();
    for package in ["", "init", "store", "agent", "acme"] {
        gather(&units, package, &mut appliance)?;
    }
    let mut filter = Vec::new();
    for package in ["", "inspect", "program"] {
        gather(&units.join("filter"), package, &mut filter)?;
    }
    let mut mail_server = Vec::new();
    gather(&units.join("mail-server"), "", &mut mail_server)?;
    let code = table("APPLIANCE", &units, appliance)?
        + &table("FILTER", &units.join("filter"), filter)?
        + &table("MAIL_SERVER", &units.join("mail-server"), mail_server)?;
    fs::write(out.join("embedded_files.rs"), code)
}

/// Adds the relative paths of a package's files.
fn gather(root: &Path, package: &str, paths: &mut Vec<String>) -> io::Result<()> {
    let folder = root.join(package);
    let relative = |name: &str| format!("{package}/{name}").trim_start_matches('/').to_owned();
    for name in FILES {
        let file = folder.join(name);
        println!("cargo:rerun-if-changed={}", file.display());
        if file.is_file() {
            paths.push(relative(name));
        }
    }
    for name in FOLDERS {
        descend(root, &relative(name), paths)?;
    }
    Ok(())
}

fn descend(root: &Path, folder: &str, paths: &mut Vec<String>) -> io::Result<()> {
    let on_disk = root.join(folder);
    println!("cargo:rerun-if-changed={}", on_disk.display());
    if !on_disk.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(on_disk)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidData)?;
        let path = format!("{folder}/{name}");
        // What editors and patch(1) leave behind is nobody's source.
        let stray = name.starts_with('.') || name.ends_with('~') || name.ends_with(".orig");
        let wanted = !folder.starts_with("patches") || name.ends_with(".patch");
        if entry.file_type()?.is_dir() {
            descend(root, &path, paths)?;
        } else if wanted && !stray {
            paths.push(path);
        }
    }
    Ok(())
}

fn table(name: &str, root: &Path, mut paths: Vec<String>) -> io::Result<String> {
    paths.sort();
    let mut code = format!("const {name}: &[(&str, &[u8])] = &[\n");
    for path in paths {
        let file = root.join(&path);
        println!("cargo:rerun-if-changed={}", file.display());
        let file = file.to_str().ok_or(io::ErrorKind::InvalidData)?;
        writeln!(code, "    ({path:?}, include_bytes!({file:?})),").map_err(io::Error::other)?;
    }
    Ok(code + "];\n")
}
