//! `mailkiln build`: the image of an appliance.
//!
//! What is written stands under another name until it is whole, so an interrupted build leaves nothing that looks done.

mod closure;
mod fleet;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mailkiln_assemble::{Assembled, Inputs, Parts, Tools, UnitCaches, assemble, assemble_from};
use mailkiln_compile::Toolchain;
use mailkiln_format::{Format, UnknownFormat};
use mailkiln_image::disk::Extent;
use mailkiln_lock::Lock;
use mailkiln_pin::Sha256;
use mailkiln_publish::{publish, unnamed, write_beside};
use mailkiln_spec::target::{FormatName, SecureBoot, Target, builtin_target};
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::arguments::BuildArguments;
use crate::failure::Failure;
use crate::lock_age;
use crate::pins::Pins;
use crate::printer::Printer;
use crate::progress::Bars;
use crate::spec_file::SpecFile;
use crate::tools::{assembly_failure, toolchain, tools};
use crate::unit_caches::{self, Written};

/// Builds the image, or several of them, in every format that was asked for.
pub(super) fn run(arguments: &BuildArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    let name = match (arguments.target.as_slice(), &arguments.all) {
        ([name], None) => name,
        _ => return fleet::run(arguments, printer),
    };
    one(name, arguments, printer).map(|()| ExitCode::SUCCESS)
}

/// Builds one image.
fn one(name: &str, arguments: &BuildArguments, printer: &Printer) -> Result<(), Failure> {
    let target = || builtin_target(name).map_err(|error| Failure::input(&error));
    if let Some(path) = &arguments.closure.closure {
        return closure::run(path, arguments, &target()?, printer);
    }
    let file = spec_file(arguments.config.path())?;
    let target = target()?;
    let formats = formats(arguments, &target)?;
    let mirror = (arguments.pins.mirror.as_deref(), file.spec.mirror.as_deref());
    let pins = Pins::open(arguments.pins.lock.as_deref(), mirror.0, mirror.1)?;
    lock_age::warn(&pins.lock, printer);
    let toolchain = toolchain(arguments.toolchain, &pins.lock, target.arch)?;
    warn_of_host(&toolchain, printer);
    let units = units_from(arguments, &file)?;
    let bars = Bars::new(printer);
    let inputs = inputs(&file, &target, &pins.lock);
    let tools = tools(pins.supply(&bars), &toolchain, &units)?;
    let written = write(&inputs, &tools, None, &formats, &arguments.output)?;
    printer.result(&written)
}

/// The `mail.toml` of an image.
fn spec_file(path: &Path) -> Result<SpecFile, Failure> {
    let file = SpecFile::read(path)?;
    if file.spec.web.is_some_and(|web| web.behind_proxy) {
        return Err(Failure::Input {
            message: "an image has no web server that the web unit could be behind".to_owned(),
            causes: Vec::new(),
            hint: Some(
                "remove `behind_proxy` from [web], or write `enable = false` there; on a NixOS host it has a use"
                    .to_owned(),
            ),
        });
    }
    Ok(file)
}

fn warn_of_host(toolchain: &Toolchain, printer: &Printer) {
    if matches!(toolchain, Toolchain::Host(_)) {
        printer.warning(
            "compiling with this machine's own tools: the image will not be reproducible elsewhere",
        );
    }
}

/// Where compiled units may be taken from.
fn units_from(arguments: &BuildArguments, file: &SpecFile) -> Result<UnitCaches, Failure> {
    let units = unit_caches::gather(
        Written { from: &arguments.units.units_from, keys: &arguments.closure.trusted_public_key },
        Written { from: &file.spec.units.from, keys: &file.spec.units.keys },
    )?;
    if units.bases.is_empty() && !arguments.closure.trusted_public_key.is_empty() {
        return Err(Failure::Input {
            message: "--trusted-public-key is given without a source that it could sign".to_owned(),
            causes: Vec::new(),
            hint: Some("add --units-from PATH|URL, or --closure and --from".to_owned()),
        });
    }
    Ok(units)
}

fn inputs<'a>(file: &'a SpecFile, target: &'a Target, lock: &'a Lock) -> Inputs<'a> {
    Inputs { spec: &file.spec, mail_toml: &file.text, target, lock }
}

/// Assembles the disk into a file without a name and publishes it when it is whole. `parts` are those of the inputs, if
/// they have been gathered before.
fn write(
    inputs: &Inputs<'_>,
    tools: &Tools<'_>,
    parts: Option<&Parts>,
    formats: &[Format],
    folder: &Path,
) -> Result<Built, Failure> {
    let target = inputs.target;
    let mut disk = unfinished(folder)?;
    let assembled = match parts {
        Some(parts) => assemble_from(inputs, parts, &tools.supply, disk.as_file_mut()),
        None => assemble(inputs, tools, disk.as_file_mut()),
    };
    let Assembled { disk: assembled, bill } =
        assembled.map_err(|error| assembly_failure(&error))?;
    tools.supply.progress.step("publishing");
    let files = published(disk, &assembled.extents, &bill, formats, (folder, &inputs.name()))?;
    Ok(Built {
        root_hash: Some(assembled.root_hash),
        system: None,
        runs: target.is_emulated(),
        secure_boot: target.provider.secure_boot.clone(),
        files,
    })
}

/// A file without a name in `folder`, which is created if it is missing.
fn unfinished(folder: &Path) -> Result<NamedTempFile, Failure> {
    fs::create_dir_all(folder).map_err(Failure::file("create the folder", folder))?;
    unnamed(folder).map_err(|error| Failure::work(&error))
}

/// Publishes a disk in every format under a name in a folder, each with its bill of materials.
fn published(
    disk: NamedTempFile,
    extents: &[Extent],
    bill: &str,
    formats: &[Format],
    (folder, name): (&Path, &str),
) -> Result<Vec<Artifact>, Failure> {
    let artifacts = publish(disk, extents, formats, folder, name);
    let artifacts = artifacts.map_err(|error| Failure::work(&error))?;
    artifacts
        .into_iter()
        .map(|artifact| {
            write_beside(&artifact.path, "spdx.json", bill.as_bytes())
                .map_err(|error| Failure::work(&error))?;
            Ok(Artifact { path: artifact.path, size: artifact.size, sha256: artifact.sha256 })
        })
        .collect()
}

/// The formats that were asked for, each once; the target's own when none was.
fn formats(arguments: &BuildArguments, target: &Target) -> Result<Vec<Format>, Failure> {
    let known = |name: &FormatName| {
        name.as_str().parse().map_err(|error: UnknownFormat| {
            Failure::input(&error).with_hint(format!("correct {}", target.file()))
        })
    };
    if arguments.format.is_empty() {
        return Ok(vec![known(&target.default_format)?]);
    }
    let can = target.formats.iter().map(known).collect::<Result<Vec<Format>, _>>()?;
    let mut formats = Vec::new();
    for format in &arguments.format {
        if !can.contains(format) {
            let names: Vec<&str> = can.iter().map(|format| format.name()).collect();
            return Err(Failure::Input {
                message: format!("{} is not available as {format}", target.name),
                causes: Vec::new(),
                hint: Some(format!("choose from {}", names.join(", "))),
            });
        }
        if !formats.contains(format) {
            formats.push(*format);
        }
    }
    Ok(formats)
}

/// What was built.
#[derive(Debug, Serialize)]
struct Built {
    /// Of an appliance's read-only root.
    #[serde(skip_serializing_if = "Option::is_none")]
    root_hash: Option<Sha256>,
    /// The store path of a NixOS system.
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    /// What Secure Boot does where it will run.
    #[serde(skip_serializing_if = "Option::is_none")]
    secure_boot: Option<SecureBoot>,
    /// Whether QEMU has a machine for it: its own, or the usual one of a processor with UEFI.
    #[serde(skip)]
    runs: bool,
    files: Vec<Artifact>,
}

/// One artifact; its digest and its bill of materials stand beside it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Artifact {
    /// The file.
    pub(super) path: PathBuf,
    /// Its bytes.
    pub(super) size: u64,
    /// Its digest.
    pub(super) sha256: Sha256,
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, tenth) = (self.size / 1_000_000, self.size / 100_000 % 10);
        write!(f, "{whole:>6}.{tenth} MB  {}", self.path.display())
    }
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for artifact in &self.files {
            writeln!(f, "{artifact}")?;
        }
        match (&self.root_hash, &self.system) {
            (Some(hash), _) => write!(f, "root hash {hash}")?,
            (None, system) => write!(f, "system {}", system.as_deref().unwrap_or_default())?,
        }
        if let Some(SecureBoot::On { switch }) = &self.secure_boot {
            write!(f, "\n\nImages are not signed. Turn Secure Boot off: {switch}")?;
        }
        let of = |artifact: &&Artifact| Format::of_name(&artifact.path);
        let run =
            self.files.iter().find(|it| self.runs && of(it).is_some_and(|it| it.qemu().is_some()));
        let flash = self.files.iter().find(|it| of(it).is_some_and(|it| it.stream().is_some()));
        match (run, flash) {
            (Some(artifact), _) => {
                write!(f, "\n\nTry it: mailkiln run {}", artifact.path.display())
            }
            (None, Some(artifact)) if !self.runs => {
                let path = artifact.path.display();
                write!(f, "\n\nPut it on a card: mailkiln flash {path}")
            }
            _ => Ok(()),
        }
    }
}
