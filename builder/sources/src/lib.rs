//! Packages as layers of a tree, read without executing anything.
//!
//! In: `.deb` files, verified and in the cache. Out: [`Layer`]s (what a package puts where, and
//! what it says about itself) and packs of compressed contents, both cached, so that a package
//! is unpacked once; the [`assemble`]d tree; and the [`sbom`] of an image.

mod assemble;
mod copyright;
pub mod deb;
mod dpkg;
mod kernel;
mod layer;
mod library;
mod prune;
pub mod sbom;
mod unpack;

pub use assemble::{AssembleError, assemble};
pub use layer::{BadLayer, Layer, LayerEntry, LayerKind, Package};
pub use library::{Library, LibraryError, Progress, Silent, Unpacked};
pub use prune::{Policy, Rule, Verdict};
pub use unpack::{UnpackError, unpack_deb};
