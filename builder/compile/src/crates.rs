//! How `.crate` files come into the cache.
//!
//! In: the crates that a component's `Cargo.lock` pins. Out: each of them in the cache, verified.
//! The host's own cargo does the fetching, with the user's settings for registries, mirrors and
//! certificates; nothing it brings is used unless it hashes to what `Cargo.lock` says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use mailkiln_fetch::{Cache, CacheError};

use crate::component::Component;
use crate::file_error::At;
use crate::workshop::write_files;
use crate::{FileError, LockedCrate, Progress, Step, UnpackError};

/// How much of cargo's complaint is worth repeating, in lines.
const REPEATED_LINES: usize = 12;

/// The crates that the cache does not have.
pub fn missing<'a>(crates: &'a [LockedCrate], cache: &Cache) -> Vec<&'a LockedCrate> {
    crates.iter().filter(|locked| cache.blob(&locked.sha256).is_none()).collect()
}

/// Brings every crate of `component` into the cache: from cargo's own cache where it has them,
/// else by `cargo fetch`. With all of them in the cache, neither cargo nor network is touched.
///
/// # Errors
/// [`CratesError`]: no cargo, cargo's own failure, or a crate that hashes wrongly.
pub(crate) fn obtain(
    component: &Component,
    crates: &[LockedCrate],
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<(), CratesError> {
    if missing(crates, cache).is_empty() {
        return Ok(());
    }
    obtain_from(&cargo_home()?, component, crates, cache, progress)
}

fn obtain_from(
    home: &Path,
    component: &Component,
    crates: &[LockedCrate],
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<(), CratesError> {
    import(crates, home, cache)?;
    let wanted = missing(crates, cache);
    if wanted.is_empty() {
        return Ok(());
    }
    progress.advance(Step::Fetch, 0, wanted.len(), &wanted[0].name);
    fetch(component, &wanted, home, cache)?;
    import(crates, home, cache)?;
    match missing(crates, cache).first() {
        None => Ok(()),
        Some(locked) => {
            Err(CratesError::NotBrought { name: locked.to_string(), home: home.to_owned() })
        }
    }
}

/// Where cargo keeps what it has downloaded: `CARGO_HOME`, else `~/.cargo`.
fn cargo_home() -> Result<PathBuf, CratesError> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CARGO_HOME").or_else(|| Some(set("HOME")?.join(".cargo"))).ok_or(CratesError::NoHome)
}

/// Takes over what cargo has; a file that hashes wrongly is an error only if no registry's
/// folder has a right one.
fn import(crates: &[LockedCrate], home: &Path, cache: &Cache) -> Result<(), CratesError> {
    let registries = registries(&home.join("registry/cache"))?;
    for locked in missing(crates, cache) {
        let mut wrong = None;
        for registry in &registries {
            let path = registry.join(format!("{}.crate", locked.folder()));
            let Ok(file) = File::open(&path) else { continue };
            let size = file.metadata().at("read", &path)?.len();
            match cache.insert(&path.display().to_string(), locked.sha256, size, file) {
                Ok(_) => break,
                Err(error @ CacheError::Altered { .. }) => wrong = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(error) = wrong
            && cache.blob(&locked.sha256).is_none()
        {
            return Err(error.into());
        }
    }
    Ok(())
}

/// One folder per registry that cargo has fetched from; none if it never has.
fn registries(cache: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(cache) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("read", cache)?,
    };
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.at("read", cache)?;
    paths.sort();
    Ok(paths)
}

/// Lets cargo fetch these crates of a component, by a manifest that asks for each by its version. The component's own
/// manifests would not do: the published manifests of what is patched ask for other crates than the patched ones, and
/// cargo would drop from `Cargo.lock`, and not fetch, what only patched ones ask for. With `Cargo.lock` beside it cargo
/// takes what these crates need from there, and versions that were yanked since.
fn fetch(
    component: &Component,
    wanted: &[&LockedCrate],
    home: &Path,
    cache: &Cache,
) -> Result<(), CratesError> {
    let temporary = cache.root().join("tmp");
    let folder = tempfile::tempdir_in(&temporary).at("create", &temporary)?;
    let lock = component.files.get(&component.path("Cargo.lock")).cloned().unwrap_or_default();
    let files = BTreeMap::from([
        ("Cargo.toml".to_owned(), manifest(wanted).into_bytes().into()),
        ("Cargo.lock".to_owned(), lock),
        ("lib.rs".to_owned(), Cow::default()),
    ]);
    write_files(folder.path(), &files)?;
    let output = Command::new("cargo")
        .args(["fetch", "--manifest-path"])
        .arg(folder.path().join("Cargo.toml"))
        .env("CARGO_HOME", home)
        .output()
        .map_err(|source| CratesError::NoCargo { source })?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = complaint.lines().collect();
    let last = lines[lines.len().saturating_sub(REPEATED_LINES)..].join("\n");
    Err(CratesError::Cargo { component: component.name.clone(), complaint: last })
}

/// A manifest that asks for these crates at these versions.
fn manifest(wanted: &[&LockedCrate]) -> String {
    let mut text = "[package]\nname = \"crates\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
                    [lib]\npath = \"lib.rs\"\n\n[workspace]\n\n[dependencies]\n"
        .to_owned();
    for (number, LockedCrate { name, version, .. }) in wanted.iter().enumerate() {
        text += &format!(
            "crate-{number} = {{ package = \"{name}\", version = \"={version}\", default-features = false }}\n"
        );
    }
    text
}

/// A crate can't be had.
#[derive(Debug, thiserror::Error)]
pub enum CratesError {
    /// Neither `CARGO_HOME` nor `HOME` is set.
    #[error("cargo's folder can't be found: set HOME or CARGO_HOME")]
    NoHome,
    /// cargo is needed to fetch, and is not there.
    #[error("crates have to be fetched and cargo does not start ({source}): install Rust first")]
    NoCargo {
        /// Why it does not start.
        source: io::Error,
    },
    /// cargo failed.
    #[error(
        "cargo could not fetch the crates of {component}; check the network and the registry \
         settings of ~/.cargo/config.toml, then run the command again:\n{complaint}"
    )]
    Cargo {
        /// The component.
        component: String,
        /// cargo's last lines.
        complaint: String,
    },
    /// cargo succeeded, but the file is not where cargo keeps such files.
    #[error(
        "cargo fetched {name} but did not keep it under {}: a `vendor` replacement in \
         ~/.cargo/config.toml does that; run mailkiln without it", home.display()
    )]
    NotBrought {
        /// The crate.
        name: String,
        /// cargo's folder.
        home: PathBuf,
    },
    /// The cache refused, or the crate is not the pinned one.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The component's manifests can't be written for cargo to read.
    #[error(transparent)]
    Manifests(#[from] UnpackError),
    /// The disk refused.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
#[path = "crates_tests.rs"]
mod tests;
