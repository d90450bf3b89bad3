//! `mailkiln export nix-cache`: the compiled units as a Nix binary cache.
//!
//! An archive is written before the record that names it, and both under another name until they are whole: whoever reads
//! the cache meanwhile, or after an interruption, finds nothing that is not true.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use mailkiln_assemble::{Exported, UnitCaches, UnitInputs, store_objects};
use mailkiln_nix_store::{CacheInfo, Entry, INFO_NAME, SecretKey, add_signature};
use mailkiln_pin::Arch;
use serde::Serialize;

use super::{export_units, rpi_imager};
use crate::arguments::{ArchChoice, ExportCommand};
use crate::failure::Failure;
use crate::pins::Pins;
use crate::printer::Printer;
use crate::progress::Bars;
use crate::tools::{assembly_failure, toolchain, tools};
use crate::whole_file;

/// Longest key file that is read, in bytes; a key has about 100.
const LONGEST_KEY: u64 = 4096;

/// Runs the command.
pub(super) fn run(command: &ExportCommand, printer: &Printer) -> Result<(), Failure> {
    let arguments = match command {
        ExportCommand::NixCache(arguments) => arguments,
        ExportCommand::Units(arguments) => return export_units::run(arguments, printer),
        ExportCommand::RpiImager(arguments) => return rpi_imager::run(arguments, printer),
    };
    let key = read_key(&arguments.secret_key_file, printer)?;
    let folder = &arguments.directory;
    prepare(folder)?;
    let pins = Pins::open(arguments.pins.lock.as_deref(), arguments.pins.mirror.as_deref(), None)?;
    let bars = Bars::new(printer);
    let units = UnitCaches::default();
    let mut paths = Vec::new();
    for arch in architectures(&arguments.arch) {
        let toolchain = toolchain(arguments.toolchain, &pins.lock, arch)?;
        let inputs = UnitInputs { arch, lock: &pins.lock };
        let tools = tools(pins.supply(&bars), &toolchain, &units)?;
        for exported in store_objects(&inputs, &tools).map_err(|error| assembly_failure(&error))? {
            printer.message(format_args!("archiving {}", exported.object.path()));
            paths.push(add(folder, &exported, &key)?);
        }
    }
    printer.result(&Report { public_key: key.public_text(), paths })
}

pub(super) fn read_key(path: &Path, printer: &Printer) -> Result<SecretKey, Failure> {
    use io::Read as _;
    let file = fs::File::open(path).map_err(Failure::file("read", path))?;
    let metadata = file.metadata().map_err(Failure::file("read", path))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let shown = path.display();
        printer.warning(format_args!("others may read the key {shown}: chmod go= {shown}"));
    }
    let mut text = String::new();
    file.take(LONGEST_KEY).read_to_string(&mut text).map_err(Failure::file("read", path))?;
    SecretKey::parse(&text).map_err(|error| Failure::Input {
        message: format!("{} can't be used", path.display()),
        causes: vec![error.to_string()],
        hint: None,
    })
}

/// Each architecture once; both, when none was asked for.
pub(super) fn architectures(chosen: &[ArchChoice]) -> Vec<Arch> {
    let of = |choice: &ArchChoice| match choice {
        ArchChoice::X86_64 => Arch::X86_64,
        ArchChoice::Aarch64 => Arch::Aarch64,
    };
    let chosen: Vec<Arch> = chosen.iter().map(of).collect();
    Arch::ALL.into_iter().filter(|arch| chosen.is_empty() || chosen.contains(arch)).collect()
}

/// Makes the folder a cache, if it is none yet; what is no cache and not empty is left alone.
fn prepare(folder: &Path) -> Result<(), Failure> {
    let nars = folder.join("nar");
    let info = folder.join(INFO_NAME);
    match fs::read_to_string(&info) {
        Ok(text) => {
            CacheInfo::parse(&text).map_err(|error| Failure::Input {
                message: format!("{} is not a cache that can be extended", folder.display()),
                causes: vec![format!("{INFO_NAME}: {error}")],
                hint: Some("choose another folder".to_owned()),
            })?;
            fs::create_dir_all(&nars).map_err(Failure::file("make the folder", &nars))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_empty = |mut entries: fs::ReadDir| entries.next().is_none();
            if !fs::read_dir(folder).map_or(true, is_empty) {
                return Err(Failure::Input {
                    message: format!("{} is not empty and not a cache", folder.display()),
                    causes: Vec::new(),
                    hint: Some("choose another folder".to_owned()),
                });
            }
            fs::create_dir_all(&nars).map_err(Failure::file("make the folder", &nars))?;
            whole_file::write(&info, CacheInfo::default().to_string().as_bytes())
        }
        Err(error) => Err(Failure::file("read", &info)(error)),
    }
}

/// Adds a store path to the cache.
fn add(folder: &Path, exported: &Exported, key: &SecretKey) -> Result<PathReport, Failure> {
    let Exported { arch, unit, object } = exported;
    let entry = Entry::new(object, key).map_err(|error| Failure::work(&error))?;
    let nar = folder.join(&entry.nar_name);
    // The name is the digest: what has other bytes is damaged.
    if fs::read(&nar).ok().as_ref() != Some(&entry.nar) {
        whole_file::write(&nar, &entry.nar)?;
    }
    let record = folder.join(&entry.record_name);
    match fs::read(&record) {
        Ok(existing) => {
            let wider = add_signature(&existing, &entry, key);
            if let Some(wider) = wider.map_err(|error| Failure::input(&error))? {
                whole_file::write(&record, &wider)?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            whole_file::write(&record, &entry.record)?
        }
        Err(error) => return Err(Failure::file("read", &record)(error)),
    }
    Ok(PathReport {
        path: object.path().to_absolute_path(),
        arch: arch.to_string(),
        unit: unit.clone(),
        nar_size: object.nar_size(),
        file_size: entry.nar.len() as u64,
    })
}

/// What the cache has now.
#[derive(Serialize)]
struct Report {
    public_key: String,
    paths: Vec<PathReport>,
}

#[derive(Serialize)]
struct PathReport {
    path: String,
    arch: String,
    /// The unit that it starts; none for what such paths refer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    nar_size: u64,
    file_size: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.paths {
            writeln!(f, "{:<8}{:>6} kB  {}", path.arch, path.file_size.div_ceil(1000), path.path)?;
        }
        write!(f, "signed by {}", self.public_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_made_once_and_nothing_else_becomes_one() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("deep/cache");
        prepare(&cache).unwrap();
        fs::write(cache.join(INFO_NAME), "StoreDir: /nix/store\nPriority: 7\n").unwrap();
        prepare(&cache).unwrap();
        let info = fs::read_to_string(cache.join(INFO_NAME)).unwrap();
        assert!(info.contains("Priority: 7"), "{info}");
        fs::write(cache.join(INFO_NAME), "StoreDir: /gnu/store\n").unwrap();
        assert!(prepare(&cache).is_err());
        let error = prepare(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("is not empty and not a cache"), "{error}");
    }

    #[test]
    fn both_architectures_unless_one_is_chosen() {
        assert_eq!(architectures(&[]), Arch::ALL);
        assert_eq!(architectures(&[ArchChoice::Aarch64; 2]), [Arch::Aarch64]);
    }
}
