//! What never decides an artifact's bytes: where inputs are kept and fetched from, what compiles them, and who watches.

use std::fmt;

use mailkiln_compile::{Toolchain, sandbox::Reentry};
use mailkiln_fetch::{Base, Cache, Fetcher, Mirrors};
use mailkiln_nix_store::TrustedPublicKey;

/// Where inputs are kept and fetched from. The lock's digests decide what is accepted.
#[derive(Clone, Copy)]
pub struct Supply<'a> {
    /// Keeps inputs and intermediate results.
    pub cache: &'a Cache,
    /// Serve what the cache lacks.
    pub mirrors: &'a Mirrors,
    /// Receives progress updates.
    pub progress: &'a dyn Progress,
}

/// All that an assembly works with and that leaves no trace in the image.
///
/// The one exception is a [`Toolchain::Host`], which compiles other bytes than the locked one; the bill of materials then
/// says so.
#[derive(Clone)]
pub struct Tools<'a> {
    /// Where inputs are kept and fetched from.
    pub supply: Supply<'a>,
    /// Compiles units.
    pub toolchain: &'a Toolchain,
    /// Starts the sandbox that units are compiled in.
    pub sandbox: Reentry,
    /// Whether compiled dependencies are kept from one compilation to the next.
    pub layers: bool,
    /// Unit caches that may serve compiled units instead.
    pub units: &'a UnitCaches,
}

/// Where compiled units may be taken from, and who may have signed them.
#[derive(Debug, Default)]
pub struct UnitCaches {
    /// Addresses, in the order in which they are asked.
    pub bases: Vec<Base>,
    /// Keys that may sign.
    pub keys: Vec<TrustedPublicKey>,
}

/// Receives progress updates of an assembly.
pub trait Progress: Sync {
    /// A step without a measure has begun.
    fn step(&self, what: &str);
    /// Something went differently than requested; the assembly continues.
    fn warn(&self, what: &str);
    /// Receives progress updates of downloads.
    fn downloads(&self) -> &dyn mailkiln_fetch::Progress;
    /// Receives progress updates of packages being unpacked.
    fn unpacking(&self) -> &dyn mailkiln_sources::Progress;
    /// Receives progress updates of compilations.
    fn compiling(&self) -> &dyn mailkiln_compile::Progress;
}

impl<'a> Supply<'a> {
    pub(crate) fn fetcher(&self) -> Fetcher<'a> {
        Fetcher::new(self.cache, self.mirrors)
    }
}

impl fmt::Debug for Supply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supply").field("cache", self.cache).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tools<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("supply", &self.supply).finish_non_exhaustive()
    }
}
