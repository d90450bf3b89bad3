//! `mailkiln export units`: the compiled units as a unit cache.
//!
//! A program is written before the record that names it, and both under another name until they are whole: whoever reads
//! the cache meanwhile, or after an interruption, finds nothing that is not true.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use mailkiln_assemble::{Exportable, UnitCaches, UnitInputs, exportable};
use mailkiln_nix_store::SecretKey;
use mailkiln_pin::Sha256;
use mailkiln_unit_cache::{PROGRAMS, Signed, record_name};
use serde::Serialize;

use super::export::{architectures, read_key};
use crate::arguments::{ExportUnitsArguments, ToolchainChoice};
use crate::failure::Failure;
use crate::pins::Pins;
use crate::printer::Printer;
use crate::progress::Bars;
use crate::tools::{assembly_failure, toolchain, tools};
use crate::whole_file;

/// By this file a folder is known to be a unit cache.
const MARK: &str = "mailkiln-units";
/// What it says.
const FORMAT: &str = "mailkiln-units 1\n";

/// Runs the command.
pub(super) fn run(arguments: &ExportUnitsArguments, printer: &Printer) -> Result<(), Failure> {
    let key = read_key(&arguments.secret_key_file, printer)?;
    let folder = &arguments.directory;
    prepare(folder)?;
    let pins = Pins::open(arguments.pins.lock.as_deref(), arguments.pins.mirror.as_deref(), None)?;
    let bars = Bars::new(printer);
    let names: Vec<&str> = arguments.unit.iter().map(String::as_str).collect();
    let units = UnitCaches::default();
    let mut reports = Vec::new();
    for arch in architectures(&arguments.arch) {
        let toolchain = toolchain(ToolchainChoice::Locked, &pins.lock, arch)?;
        let inputs = UnitInputs { arch, lock: &pins.lock };
        let tools = tools(pins.supply(&bars), &toolchain, &units)?;
        for unit in exportable(&inputs, &tools, &names).map_err(|error| assembly_failure(&error))? {
            reports.push(add(folder, unit, &key)?);
        }
    }
    printer.result(&Report { public_key: key.public_text(), units: reports })
}

/// Makes the folder a unit cache, if it is not one already; refuses a folder with something else in it.
fn prepare(folder: &Path) -> Result<(), Failure> {
    let refuse = |why: &str| Failure::Input {
        message: format!("{} {why}", folder.display()),
        causes: Vec::new(),
        hint: Some("choose another folder".to_owned()),
    };
    let mark = folder.join(MARK);
    match fs::read_to_string(&mark) {
        Ok(text) if text == FORMAT => {}
        Ok(_) => return Err(refuse("is a unit cache of another format")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_empty = |mut entries: fs::ReadDir| entries.next().is_none();
            if !fs::read_dir(folder).map_or(true, is_empty) {
                return Err(refuse("is not empty and not a unit cache"));
            }
            fs::create_dir_all(folder).map_err(Failure::file("make the folder", folder))?;
            whole_file::write(&mark, FORMAT.as_bytes())?;
        }
        Err(error) => return Err(Failure::file("read", &mark)(error)),
    }
    let programs = folder.join(PROGRAMS);
    fs::create_dir_all(&programs).map_err(Failure::file("make the folder", &programs))
}

/// Adds a unit to the cache.
fn add(folder: &Path, unit: Exportable, key: &SecretKey) -> Result<UnitReport, Failure> {
    let Exportable { record, unit } = unit;
    if let Some(origin) = unit.origin {
        return Err(Failure::Input {
            message: format!(
                "{} for {} was not compiled here, it comes from {}",
                record.component, record.target, origin.place
            ),
            causes: Vec::new(),
            hint: Some(format!(
                "`mailkiln verify units --unit {}` compiles it here; if the bytes are the same, it can be signed",
                record.component
            )),
        });
    }
    let mut size = 0;
    for program in &unit.programs {
        let bytes = fs::read(&program.path).map_err(Failure::file("read", &program.path))?;
        if Sha256::of(&bytes) != program.sha256 {
            return Err(Failure::Work {
                message: format!("{} was altered in the cache", program.path.display()),
                causes: Vec::new(),
                hint: Some("`mailkiln cache prune --all` empties it".to_owned()),
            });
        }
        size += program.size;
        let path = folder.join(PROGRAMS).join(program.sha256.to_string());
        // The name is the digest: what has other bytes is damaged.
        if fs::read(&path).ok().as_ref() != Some(&bytes) {
            whole_file::write(&path, &bytes)?;
        }
    }
    let report = UnitReport {
        unit: record.component.clone(),
        arch: record.target.to_string(),
        key: record.key,
        size,
    };
    let path = folder.join(record_name(&record.key));
    let signed = record.sign(key);
    let before = fs::read(&path).ok().and_then(|bytes| Signed::parse(&bytes).ok());
    let signed = match &before {
        Some(before) => signed.with_signatures_of(before),
        None => signed,
    };
    if before.as_ref() != Some(&signed) {
        whole_file::write(&path, signed.to_string().as_bytes())?;
    }
    Ok(report)
}

/// What was added.
#[derive(Serialize)]
struct Report {
    public_key: String,
    units: Vec<UnitReport>,
}

#[derive(Serialize)]
struct UnitReport {
    unit: String,
    arch: String,
    /// Digest of its inputs: its name in the cache.
    key: Sha256,
    /// Bytes of its programs.
    size: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for UnitReport { unit, arch, key, size } in &self.units {
            writeln!(f, "{arch:<8}{unit:<12}{:>6} kB  {key}", size.div_ceil(1000))?;
        }
        write!(f, "signed by {}", self.public_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mailkiln_compile::{BuiltBy, CompiledUnit, Origin, Program};
    use mailkiln_pin::Arch;
    use mailkiln_unit_cache::Record;

    fn unit(folder: &Path, origin: Option<Origin>) -> Exportable {
        let path = folder.join("program");
        fs::write(&path, "bytes").unwrap();
        let sha256 = Sha256::of(b"bytes");
        let program = Program { name: "mailkiln-agent".to_owned(), path, size: 5, sha256 };
        let record = Record {
            component: "agent".to_owned(),
            target: Arch::X86_64,
            key: Sha256::of(b"key"),
            toolchain: Sha256::of(b"toolchain"),
            programs: vec![(program.name.clone(), 5, sha256)],
            crates: Vec::new(),
        };
        let unit = CompiledUnit {
            programs: vec![program],
            crates: Vec::new(),
            built_by: BuiltBy::LockedToolchain,
            origin,
            log: folder.join("log"),
        };
        Exportable { record, unit }
    }

    #[test]
    fn a_unit_is_added_once_and_signed_by_everybody_who_adds_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("deep/cache");
        let keys = [1, 2].map(|seed| SecretKey::new("k-1", [seed; 32]).unwrap());
        prepare(&cache).unwrap();
        for key in [&keys[0], &keys[1], &keys[0]] {
            prepare(&cache).unwrap();
            add(&cache, unit(folder.path(), None), key).unwrap();
        }
        let record = fs::read_to_string(cache.join(record_name(&Sha256::of(b"key")))).unwrap();
        assert_eq!(record.matches("\nsignature k-1:").count(), 2, "{record}");
        let program = cache.join(PROGRAMS).join(Sha256::of(b"bytes").to_string());
        fs::write(&program, "rotten").unwrap();
        add(&cache, unit(folder.path(), None), &keys[0]).unwrap();
        assert_eq!(fs::read(&program).unwrap(), b"bytes");
    }

    #[test]
    fn what_was_compiled_elsewhere_or_altered_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let key = SecretKey::new("k-1", [1; 32]).unwrap();
        prepare(&cache).unwrap();
        let origin = Origin { place: "https://a.example".to_owned(), key: "a-1".to_owned() };
        let error = add(&cache, unit(folder.path(), Some(origin)), &key).err().unwrap();
        assert!(error.to_string().contains("comes from https://a.example"), "{error}");
        let altered = unit(folder.path(), None);
        fs::write(folder.path().join("program"), "other").unwrap();
        assert!(add(&cache, altered, &key).is_err());
        assert_eq!(fs::read_dir(cache.join(PROGRAMS)).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_with_other_things_does_not_become_a_cache() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter"), "").unwrap();
        let error = prepare(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("is not empty and not a unit cache"), "{error}");
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join(MARK), "mailkiln-units 2\n").unwrap();
        assert!(prepare(other.path()).is_err());
    }
}
