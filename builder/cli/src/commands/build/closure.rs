//! `mailkiln build --closure`: the image of a NixOS system that Nix has built.
//!
//! The store path is found first, then all that it refers to, then the disk is written.

use std::path::Path;

use mailkiln_closure::{Caches, Closure, ClosureError, LocalStore, in_store};
use mailkiln_fetch::{Base, Cache, Fetcher, Mirrors};
use mailkiln_format::{Format, publish, unnamed, write_beside};
use mailkiln_nix_store::{StorePath, TrustedPublicKey};
use mailkiln_spec::target::Target;

use super::{Artifact, Built, assembly_failure, formats};
use crate::arguments::{BuildArguments, ClosureArguments};
use crate::assembly::{ClosureOrder, assemble_closure};
use crate::commands::verify;
use crate::failure::Failure;
use crate::pins;
use crate::printer::Printer;
use crate::progress::{Bars, Watch};

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
    let (lock, mirrors, cache) =
        pins::opened(arguments.lock.as_deref(), arguments.mirror.as_deref())?;
    let bars = Bars::new(printer);
    let closure = closure(path, &arguments.closure, &cache, &mirrors, &bars)?;
    let order = ClosureOrder {
        closure: &closure,
        target,
        lock: &lock,
        cache: &cache,
        mirrors: &mirrors,
        watch: &bars,
    };
    let written = write(&order, &formats, &arguments.output, printer)?;
    printer.result(&written)
}

/// Finds the system and what it needs.
fn closure(
    path: &Path,
    arguments: &ClosureArguments,
    cache: &Cache,
    mirrors: &Mirrors,
    bars: &Bars<'_>,
) -> Result<Closure, Failure> {
    match sources(arguments)? {
        Sources::Store(root) => {
            let top = in_store(root, path).map_err(|error| Failure::input(&error))?;
            bars.step(&format!("reading {} and what it refers to", top.to_absolute_path()));
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
            bars.step(&format!("asking for {} and what it refers to", top.to_absolute_path()));
            let fetcher = Fetcher::new(cache, mirrors);
            let caches = Caches { bases: &bases, keys: &keys, fetcher: &fetcher };
            caches.closure(&top, bars.downloads()).map_err(closure_failure)
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
                "nothing says who may sign what comes from a cache".to_owned(),
                "name the public keys with --trusted-public-key NAME:BASE64: what `trusted-public-keys` of Nix has for these caches",
            ))
        }
        (all, count) if count == all.len() => {
            let bases: Result<Vec<Base>, _> = all.iter().map(|text| Base::parse(text)).collect();
            let bases = bases.map_err(|error| Failure::input(&error))?;
            let keys = arguments.trusted_public_key.iter().map(|text| verify::key(text));
            Ok(Sources::Caches { bases, keys: keys.collect::<Result<_, _>>()? })
        }
        _ => Err(wrong(
            "--from names a folder beside something else".to_owned(),
            "name one folder that a nix/store is in, or any number of caches by https://, http:// or file:///",
        )),
    }
}

/// Assembles the disk into a file without a name and publishes it when it is whole.
fn write(
    order: &ClosureOrder<'_>,
    formats: &[Format],
    folder: &Path,
    printer: &Printer,
) -> Result<Built, Failure> {
    let top = order.closure.top();
    let name = format!("{}-{}", top.name(), order.target.name);
    std::fs::create_dir_all(folder).map_err(Failure::file("make the folder", folder))?;
    let mut disk = unnamed(folder).map_err(|error| Failure::work(&error))?;
    let (assembled, bill) =
        assemble_closure(order, disk.as_file_mut()).map_err(|error| assembly_failure(&error))?;
    printer.message("publishing");
    let published = publish(disk, &assembled.extents, formats, folder, &name)
        .map_err(|error| Failure::work(&error))?;
    let mut files = Vec::new();
    for artifact in published {
        write_beside(&artifact.path, "spdx.json", bill.as_bytes())
            .map_err(|error| Failure::work(&error))?;
        files.push(Artifact { path: artifact.path, size: artifact.size, sha256: artifact.sha256 });
    }
    let system = Some(top.to_absolute_path());
    // QEMU's boards are started by files that only an appliance's image says it has.
    let runs = order.target.is_emulated() && order.target.qemu.is_none();
    Ok(Built {
        root_hash: None,
        system,
        runs,
        secure_boot: order.target.provider.secure_boot.clone(),
        files,
    })
}
