//! The lock and the mirrors that a command works with.
//!
//! In: options, environment, `mail.toml`, apt's configuration. Out: a [`Lock`] and [`Mirrors`], most specific first.

use std::env;
use std::path::Path;

use mailkiln_assemble::{Progress, Supply};
use mailkiln_fetch::{Cache, Mirrors, read_apt_sources};
use mailkiln_lock::Lock;

use crate::failure::Failure;
use crate::spec_file::read_text;

/// The lock that came with this program.
const OWN_LOCK: &str = include_str!("../../../mailkiln.lock");
/// Where apt keeps its configuration.
const APT: &str = "/etc/apt";

/// The lock at `path`, or the one that came with this program.
///
/// # Errors
/// [`Failure`] when the file can't be read or is no lock.
pub(crate) fn lock(path: Option<&Path>) -> Result<Lock, Failure> {
    let Some(path) = path else {
        return Lock::parse(OWN_LOCK).map_err(|error| Failure::work(&error));
    };
    let text = read_text(
        path,
        "`mailkiln lock --lock FILE` writes one; without `--lock`, the lock that came with this program is used",
    )?;
    Lock::parse(&text).map_err(|error| {
        Failure::input(&error)
            .with_hint(format!("{} is not a lock; `mailkiln lock` writes one", path.display()))
    })
}

/// A lock, and where its pins are fetched from and kept.
#[derive(Debug)]
pub(crate) struct Pins {
    /// The lock.
    pub(crate) lock: Lock,
    /// Mirrors in the order in which they are asked.
    pub(crate) mirrors: Mirrors,
    /// The cache of this user.
    pub(crate) cache: Cache,
}

impl Pins {
    /// Opens the lock at `path`, or the one that came with this program, and the cache. `option` and `spec` are the
    /// mirrors that the command line and `mail.toml` name.
    ///
    /// # Errors
    /// [`Failure`] of [`lock`] and [`mirrors`], or when the cache can't be opened.
    pub(crate) fn open(
        path: Option<&Path>,
        option: Option<&str>,
        spec: Option<&str>,
    ) -> Result<Self, Failure> {
        let lock = lock(path)?;
        let mirrors = mirrors(option, spec, Some(&lock))?;
        Ok(Self { lock, mirrors, cache: cache()? })
    }

    /// What an assembly fetches with.
    pub(crate) fn supply<'a>(&'a self, progress: &'a dyn Progress) -> Supply<'a> {
        Supply { cache: &self.cache, mirrors: &self.mirrors, progress }
    }
}

/// The cache of this user.
///
/// # Errors
/// [`Failure`] when it can't be opened.
pub(crate) fn cache() -> Result<Cache, Failure> {
    let cache = Cache::default_root().and_then(|root| Cache::open(&root));
    cache.map_err(|error| Failure::work(&error))
}

/// Mirrors in the order in which they are asked: option or `MAILKILN_MIRROR`, `mail.toml`, apt's own, and last the
/// archive of old packages that the lock names.
///
/// # Errors
/// [`Failure`] when an address is none.
pub(crate) fn mirrors(
    option: Option<&str>,
    spec: Option<&str>,
    lock: Option<&Lock>,
) -> Result<Mirrors, Failure> {
    let mut mirrors = Mirrors::default();
    let variable = env::var("MAILKILN_MIRROR").ok().filter(|value| !value.is_empty());
    for address in [option, variable.as_deref(), spec].into_iter().flatten() {
        mirrors.add(address).map_err(|error| Failure::input(&error))?;
    }
    match read_apt_sources(Path::new(APT)) {
        Ok(sources) => mirrors.add_apt(&sources),
        Err(error) => tracing::warn!("apt's configuration is left out: {error}"),
    }
    if let Some(lock) = lock
        && let Some(template) = &lock.snapshot_archive
    {
        mirrors
            .add_snapshot(template, &lock.snapshot_times())
            .map_err(|error| Failure::input(&error))?;
    }
    Ok(mirrors)
}
