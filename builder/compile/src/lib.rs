//! Rust units compiled from source in a sandbox made of locked packages.
//!
//! In: a [`Component`] (sources, `Cargo.lock`, patches), a [`Toolchain`] (pinned packages, or the
//! host's own) and a cache. Out: a [`CompiledUnit`]: programs whose bytes do not depend on the
//! host, the crates they were made of, and the log.
//!
//! The way through: `cargo_lock` says which crates, `crates` brings them, `vendor` unpacks and
//! `patch`es them, `toolchain` unpacks compilers, `workshop` lays out folders, `recipe` says how
//! cargo is called, `sandbox` calls it, `layer` keeps what it made of the crates, `compiler` ties them
//! together.

mod adopt;
mod cargo_lock;
mod compiler;
mod component;
mod crates;
mod embedded;
mod file_error;
mod graph;
mod key;
mod layer;
mod messages;
mod metadata;
mod patch;
mod patched;
mod progress;
mod recipe;
pub mod sandbox;
mod toolchain;
mod unit;
mod unpack;
mod vendor;
mod workshop;

pub use cargo_lock::{CargoLockError, LockedCrate};
pub use compiler::{CompileError, Compiler};
pub use component::{Component, Features};
pub use crates::{CratesError, missing as missing_crates};
pub use embedded::embedded;
pub use file_error::FileError;
pub use metadata::{MetadataError, UsedCrate};
pub use patch::{Patch, PatchError};
pub use progress::{Progress, Silent, Step};
pub use sandbox::{Reentry, SandboxError};
pub use toolchain::{HostToolchain, LockedToolchain, Toolchain, ToolchainError};
pub use unit::{BuiltBy, CompiledUnit, Origin, Program};
pub use unpack::UnpackError;
pub use vendor::VendorError;

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use crate::{Patch, cargo_lock, graph, messages, metadata};

    /// Reads `bytes` as a `Cargo.lock`.
    pub fn cargo_lock(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let _ = cargo_lock::parse(&text);
        if let Ok(graph) = graph::Graph::read(&text) {
            let _ = graph.affected(["a"]);
        }
    }

    /// Reads `bytes` as a patch and, when there is a NUL in them, applies it to the text behind it.
    pub fn patch(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let (diff, old) = text.split_once('\0').unwrap_or((&text, ""));
        let patch = Patch { path: "fuzz.patch".to_owned(), text: diff.to_owned() };
        for change in patch.changes().unwrap_or_default() {
            let _ = change.hunks.apply(old);
        }
    }

    /// Reads `bytes` as what cargo says: a graph, and messages.
    pub fn cargo_output(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let _ = metadata::used_crates(&text, "unit", &[]);
        let mut messages = messages::Messages::default();
        for line in text.lines() {
            let _ = messages.line(line);
        }
        let _ = messages::excerpt(&text, 20);
    }
}
