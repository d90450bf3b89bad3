//! How `.crate` files come into the cache.
//!
//! In: the crates that a component's `Cargo.lock` pins. Out: each of them in the cache, verified.
//! The host's own cargo does the fetching, with the user's settings for registries, mirrors and
//! certificates; nothing it brings is used unless it hashes to what `Cargo.lock` says.

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
    let home = cargo_home()?;
    import(crates, &home, cache)?;
    let wanted = missing(crates, cache);
    if wanted.is_empty() {
        return Ok(());
    }
    progress.advance(Step::Fetch, 0, wanted.len(), &wanted[0].name);
    fetch(component, cache)?;
    import(crates, &home, cache)?;
    match missing(crates, cache).first() {
        None => Ok(()),
        Some(locked) => Err(CratesError::NotBrought { name: locked.to_string(), home }),
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

/// Runs `cargo fetch` on a copy of the component's manifests. Not with `--locked`: the published
/// manifests may ask for crates that patched ones, and so `Cargo.lock`, do not have. cargo adds
/// those to the copy; what is locked stays as it is, and its digests are ours to verify.
fn fetch(component: &Component, cache: &Cache) -> Result<(), CratesError> {
    let temporary = cache.root().join("tmp");
    let folder = tempfile::tempdir_in(&temporary).at("create", &temporary)?;
    write_files(folder.path(), &component.files)?;
    let output = Command::new("cargo")
        .args(["fetch", "--manifest-path"])
        .arg(folder.path().join(component.path("Cargo.toml")))
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
mod tests {
    use super::*;
    use mailkiln_pin::Sha256;

    /// A cargo home whose registries hold these bytes as `x-1.0.0.crate`, and an empty cache.
    fn homes(registries: &[&str]) -> (tempfile::TempDir, PathBuf, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("cargo");
        for (number, content) in registries.iter().enumerate() {
            let registry = home.join("registry/cache").join(format!("registry-{number}"));
            fs::create_dir_all(&registry).unwrap();
            fs::write(registry.join("x-1.0.0.crate"), content).unwrap();
        }
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        (folder, home, cache)
    }

    fn pinned(content: &str) -> [LockedCrate; 1] {
        [LockedCrate {
            name: String::from("x"),
            version: String::from("1.0.0"),
            sha256: Sha256::of(content.as_bytes()),
        }]
    }

    #[test]
    fn cargos_crates_are_taken_over_if_they_hash_right() {
        let crates = pinned("right");
        for registries in [&["right"][..], &["wrong", "right"], &["right", "wrong"]] {
            let (_folder, home, cache) = homes(registries);
            import(&crates, &home, &cache).unwrap();
            assert!(missing(&crates, &cache).is_empty(), "{registries:?}");
        }
        let (_folder, home, cache) = homes(&["wrong", "other"]);
        let error = import(&crates, &home, &cache).unwrap_err();
        assert!(matches!(error, CratesError::Cache(CacheError::Altered { .. })), "{error}");
        assert_eq!(missing(&crates, &cache).len(), 1);
    }

    #[test]
    fn a_cargo_that_never_fetched_is_no_error() {
        let (_folder, home, cache) = homes(&[]);
        let crates = pinned("right");
        import(&crates, &home, &cache).unwrap();
        assert_eq!(missing(&crates, &cache).len(), 1);
    }
}
