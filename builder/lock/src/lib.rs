//! Pins: signed Debian indexes read, solved and written to mailkiln.lock.
//!
//! In: bytes of `InRelease` and `Packages.xz` files, the wanted packages, a lock's text. Out: a
//! [`Lock`]. Pure: what is downloaded, and from where, is the concern of `mailkiln-fetch`; the
//! time is handed in.

mod audit;
mod component;
mod error;
pub mod fuzz;
mod keyring;
mod lockfile;
mod packages;
mod provider;
mod relation;
mod release;
mod solve;
mod universes;
mod update;
mod wanted;

pub use audit::{AuditError, Finding, audit};
pub use component::{Component, ComponentSource, CratePin, FilePin, PatchPin};
pub use error::LockError;
pub use keyring::{KeyError, Keyring, SignatureError};
pub use lockfile::{Index, Lock, SetName, Suite};
pub use packages::{MultiArch, Package, PackagesError, Relations};
pub use relation::{Atom, BadRelation, Clause, Operator, Qualifier};
pub use release::{
    Expected, InRelease, MAX_RELEASE_BYTES, Release, ReleaseError, Unverified, Verified,
};
pub use solve::{SolveError, Universe, Wanted};
pub use universes::{Offered, Universes};
pub use update::{Scope, UpdateError, check_scope, complete, same_files, twice, update_only};
pub use wanted::{WantedError, WantedFile, WantedSet, WantedSuite};
