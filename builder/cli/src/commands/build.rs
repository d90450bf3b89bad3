//! `mailkiln build`: the image of an appliance.
//!
//! What is written stands under another name until it is whole, so an interrupted build leaves nothing that looks done.

mod closure;
mod fleet;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mailkiln_compile::{HostToolchain, LockedToolchain, Toolchain};
use mailkiln_fetch::Cache;
use mailkiln_format::{Format, UnknownFormat, publish, unnamed, write_beside};
use mailkiln_lock::Lock;
use mailkiln_pin::{Arch, Sha256};
use mailkiln_spec::target::{FormatName, SecureBoot, Target, builtin_target};
use serde::Serialize;

use crate::arguments::{BuildArguments, ToolchainChoice};
use crate::assembly::{self, Assembled, Materials, Order};
use crate::failure::Failure;
use crate::lock_age;
use crate::pins;
use crate::printer::Printer;
use crate::progress::Bars;
use crate::spec_file::SpecFile;
use crate::unit_caches::{UnitCaches, Written};

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
    let file = SpecFile::read(arguments.config.path())?;
    let target = target()?;
    let formats = formats(arguments, &target)?;
    let lock = pins::lock(arguments.lock.as_deref())?;
    lock_age::warn(&lock, printer);
    let mirrors =
        pins::mirrors(arguments.mirror.as_deref(), file.spec.mirror.as_deref(), Some(&lock))?;
    let cache = Cache::default_root()
        .and_then(|root| Cache::open(&root))
        .map_err(|error| Failure::work(&error))?;
    let toolchain = toolchain(arguments.toolchain, &lock, target.arch)?;
    warn_of_host(&toolchain, printer);
    let units = unit_caches(arguments, &file)?;
    let bars = Bars::new(printer);
    let order = Order {
        spec: &file.spec,
        target: &target,
        lock: &lock,
        cache: &cache,
        mirrors: &mirrors,
        toolchain: &toolchain,
        units: &units,
        watch: &bars,
    };
    let written = write(&order, None, &formats, &arguments.output)?;
    printer.result(&written)
}

fn warn_of_host(toolchain: &Toolchain, printer: &Printer) {
    if matches!(toolchain, Toolchain::Host(_)) {
        printer.warning("compiling with this machine's own tools: the image's bytes will not be those of other machines");
    }
}

/// Where compiled units may be taken from.
fn unit_caches(arguments: &BuildArguments, file: &SpecFile) -> Result<UnitCaches, Failure> {
    let units = UnitCaches::gather(
        Written { from: &arguments.units.units_from, keys: &arguments.closure.trusted_public_key },
        Written { from: &file.spec.units.from, keys: &file.spec.units.keys },
    )?;
    if units.bases.is_empty() && !arguments.closure.trusted_public_key.is_empty() {
        return Err(Failure::Input {
            message: "--trusted-public-key is given, and nothing that it could have signed"
                .to_owned(),
            causes: Vec::new(),
            hint: Some("add --units-from PATH|URL, or --closure and --from".to_owned()),
        });
    }
    Ok(units)
}

/// What an image is called, without the ending of its format.
fn name(host: impl fmt::Display, target: &Target) -> String {
    format!("{host}-{}", target.name)
}

/// Assembles the disk into a file without a name and publishes it when it is whole. `materials` are those of the order,
/// where they have been gathered before.
fn write(
    order: &Order<'_>,
    materials: Option<&Materials>,
    formats: &[Format],
    folder: &Path,
) -> Result<Built, Failure> {
    let name = name(&order.spec.host.name, order.target);
    fs::create_dir_all(folder).map_err(Failure::file("make the folder", folder))?;
    let mut disk = unnamed(folder).map_err(|error| Failure::work(&error))?;
    let assembled = match materials {
        Some(materials) => assembly::assemble_from(order, materials, disk.as_file_mut()),
        None => assembly::assemble(order, disk.as_file_mut()),
    };
    let assembled = assembled.map_err(|error| assembly_failure(&error))?;
    order.watch.step("publishing");
    let Assembled { disk: assembled, bill } = assembled;
    let published = publish(disk, &assembled.extents, formats, folder, &name)
        .map_err(|error| Failure::work(&error))?;
    let mut files = Vec::new();
    for artifact in published {
        write_beside(&artifact.path, "spdx.json", bill.as_bytes())
            .map_err(|error| Failure::work(&error))?;
        files.push(Artifact { path: artifact.path, size: artifact.size, sha256: artifact.sha256 });
    }
    let root_hash = Some(assembled.root_hash);
    Ok(Built {
        root_hash,
        system: None,
        runs: order.target.is_emulated(),
        secure_boot: order.target.provider.secure_boot.clone(),
        files,
    })
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
                message: format!("{} is not delivered as {format}", target.name),
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

/// What compiles for `target`: over the toolchain of this machine, what it takes for another one.
pub(super) fn toolchain(
    choice: ToolchainChoice,
    lock: &Lock,
    target: Arch,
) -> Result<Toolchain, Failure> {
    match choice {
        ToolchainChoice::Locked => {
            let host = host()?;
            let set = |name| lock.packages(name, host).map_err(|error| Failure::work(&error));
            let mut pins = set("toolchain")?.to_vec();
            if host != target {
                pins.extend_from_slice(set("cross")?);
            }
            Ok(Toolchain::Locked(LockedToolchain::new(&pins)))
        }
        ToolchainChoice::Host => {
            let found = HostToolchain::find().map_err(|error| Failure::work(&error))?;
            Ok(Toolchain::Host(found))
        }
    }
}

/// The architecture that this program runs on, and so compiles on.
fn host() -> Result<Arch, Failure> {
    Arch::ALL.into_iter().find(|arch| arch.gnu() == std::env::consts::ARCH).ok_or_else(|| {
        Failure::Work {
            message: format!("there is no locked toolchain for {}", std::env::consts::ARCH),
            causes: Vec::new(),
            hint: Some("use --toolchain host".to_owned()),
        }
    })
}

/// Exit code 1 with the error's words; a package that mirrors have lost is named by its code too.
pub(super) fn assembly_failure(error: &assembly::AssemblyError) -> Failure {
    match error {
        assembly::AssemblyError::Fetch(fetch) => Failure::Work {
            message: format!("{fetch} [{}]", fetch.code()),
            causes: Vec::new(),
            hint: None,
        },
        other => Failure::work(other),
    }
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
