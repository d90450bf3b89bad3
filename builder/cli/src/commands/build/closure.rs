//! `mailkiln build --closure`: the image of a NixOS system that Nix has built.
//!
//! The store path is found first, then all that it refers to, then the disk is written.

use std::path::Path;

use mailkiln_assemble::{ClosureInputs, Supply, assemble_closure};
use mailkiln_closure::{Caches, Closure, ClosureError, LocalStore, in_store};
use mailkiln_fetch::{Base, Fetcher};
use mailkiln_format::Format;
use mailkiln_nix_store::{StorePath, TrustedPublicKey};
use mailkiln_spec::target::Target;

use super::{Built, formats, published, unfinished};
use crate::arguments::{BuildArguments, ClosureArguments};
use crate::commands::verify;
use crate::failure::Failure;
use crate::pins::Pins;
use crate::printer::Printer;
use crate::progress::Bars;
use crate::tools::assembly_failure;

/// Where this machine's own store is.
const ROOT: &str = "/";

/// Builds the image in every format that was asked for.
pub(super) fn run(
    path: &Path,
    arguments: &BuildArguments,
    target: &Target,
    printer: &Printer,
) -> Result<(), Failure> {
    let formats = formats(arguments, target)?;
    let pins = Pins::open(arguments.pins.lock.as_deref(), arguments.pins.mirror.as_deref(), None)?;
    let bars = Bars::new(printer);
    let supply = pins.supply(&bars);
    let closure = closure(path, &arguments.closure, &supply)?;
    let inputs = ClosureInputs { closure: &closure, target, lock: &pins.lock };
    let written = write(&inputs, &supply, &formats, &arguments.output)?;
    printer.result(&written)
}

/// Finds the system and what it needs.
fn closure(
    path: &Path,
    arguments: &ClosureArguments,
    supply: &Supply<'_>,
) -> Result<Closure, Failure> {
    let progress = supply.progress;
    match sources(arguments)? {
        Sources::Store(root) => {
            let top = in_store(root, path).map_err(|error| Failure::input(&error))?;
            progress.step(&format!("reading {} and its references", top.to_absolute_path()));
            LocalStore::below(root).closure(&top).map_err(closure_failure)
        }
        Sources::Caches { bases, keys } => {
            let text = path.to_str().unwrap_or_default().trim_end_matches('/');
            // A link leads into the store of this machine, whose paths have the same names in every cache.
            let top = match StorePath::from_absolute_path(text.as_bytes()) {
                Ok(top) => top,
                Err(_) => {
                    in_store(Path::new(ROOT), path).map_err(|error| Failure::input(&error))?
                }
            };
            progress.step(&format!(
                "fetching the records of {} and its references",
                top.to_absolute_path()
            ));
            let fetcher = Fetcher::new(supply.cache, supply.mirrors);
            let caches = Caches { bases: &bases, keys: &keys, fetcher: &fetcher };
            caches.closure(&top, progress.downloads()).map_err(closure_failure)
        }
    }
}

fn closure_failure(error: ClosureError) -> Failure {
    Failure::work(&error)
}

/// Where store paths are taken from.
enum Sources<'a> {
    Store(&'a Path),
    Caches { bases: Vec<Base>, keys: Vec<TrustedPublicKey> },
}

fn sources(arguments: &ClosureArguments) -> Result<Sources<'_>, Failure> {
    let wrong = |message: String, hint: &str| Failure::Input {
        message,
        causes: Vec::new(),
        hint: Some(hint.to_owned()),
    };
    let is_address = |text: &&String| text.contains("://");
    let addresses: Vec<&String> = arguments.from.iter().filter(is_address).collect();
    match (arguments.from.as_slice(), addresses.len()) {
        ([], _) => Ok(Sources::Store(Path::new(ROOT))),
        ([folder], 0) => Ok(Sources::Store(Path::new(folder))),
        (all, count) if count == all.len() && arguments.trusted_public_key.is_empty() => {
            Err(wrong(
                "no key is given for the caches".to_owned(),
                "add --trusted-public-key NAME:BASE64, with the keys that Nix's `trusted-public-keys` has for these caches",
            ))
        }
        (all, count) if count == all.len() => {
            let bases: Result<Vec<Base>, _> = all.iter().map(|text| Base::parse(text)).collect();
            let bases = bases.map_err(|error| Failure::input(&error))?;
            let keys = arguments.trusted_public_key.iter().map(|text| verify::key(text));
            Ok(Sources::Caches { bases, keys: keys.collect::<Result<_, _>>()? })
        }
        _ => Err(wrong(
            "--from names a folder together with something else".to_owned(),
            "use one folder with a nix/store in it, or any number of https://, http:// or file:/// caches",
        )),
    }
}

/// Assembles the disk into a file without a name and publishes it when it is whole.
fn write(
    inputs: &ClosureInputs<'_>,
    supply: &Supply<'_>,
    formats: &[Format],
    folder: &Path,
) -> Result<Built, Failure> {
    let top = inputs.closure.top();
    let name = format!("{}-{}", top.name(), inputs.target.name);
    let mut disk = unfinished(folder)?;
    let (assembled, bill) = assemble_closure(inputs, supply, disk.as_file_mut())
        .map_err(|error| assembly_failure(&error))?;
    supply.progress.step("publishing");
    let files = published(disk, &assembled.extents, &bill, formats, (folder, &name))?;
    let system = Some(top.to_absolute_path());
    // QEMU's boards are started by files that only an appliance's image says it has.
    let runs = inputs.target.is_emulated() && inputs.target.qemu.is_none();
    Ok(Built {
        root_hash: None,
        system,
        runs,
        secure_boot: inputs.target.provider.secure_boot.clone(),
        files,
    })
}
