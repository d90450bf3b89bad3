//! What cargo made of a unit's crates, kept so that a change in the unit compiles the unit alone.
//!
//! In: the target folder of a compilation. Out: a folder in the cache, and later a target folder
//! that the next compilation of the same package begins with. A layer is kept by the digest of
//! toolchain, target, recipe, workspace manifest and `Cargo.lock`. It holds nothing of the
//! component's own packages, and of patched crates what was made with the patches that it names:
//! crates whose patches have changed, and all that depend on them, stay out of the next
//! compilation.
//!
//! cargo decides by its fingerprints ("Fingerprints and Unit hashes" in the documentation of its
//! `compiler::fingerprint`) what to compile: a crate of a registry is as fresh as its version, so
//! leaving out its fingerprint is what makes cargo compile it again. Every file is hashed on its
//! way back; a layer that has rotted is removed and not used.

mod files;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use mailkiln_fetch::Cache;
use mailkiln_pin::{Arch, Sha256};
use serde::{Deserialize, Serialize};

use crate::component::Component;
use crate::file_error::At;
use crate::graph::Graph;
use crate::key::Key;
use crate::patched::PatchedCrates;
use crate::{CompileError, FileError, LockedCrate};
pub(crate) use files::Produced;
use files::StoredFile;

/// The cache's kind for layers.
const KIND: &str = "crates";
/// Raised whenever a layer is stored or read differently.
const PURPOSE: &str = "crates 1";

/// The layers that a component's compilation may begin with.
#[derive(Debug)]
pub(crate) struct Layers<'a> {
    cache: &'a Cache,
    /// The component's own.
    key: Sha256,
    /// Those of the workspace's other packages, which have crates in common with it.
    siblings: Vec<Sha256>,
    graph: Graph,
    patched: PatchedCrates,
}

/// What a layer's folder says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    /// Whether the compilation came to its end.
    complete: bool,
    /// Crate → digest of its patches.
    patched: PatchedCrates,
    /// Folders, since an empty one can be what a build script leaves.
    folders: BTreeMap<String, BTreeSet<String>>,
    files: Vec<StoredFile>,
}

/// What a compilation began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nothing.
    Empty,
    /// A part of a layer, or the layer of a sibling: the result is worth keeping.
    Partly,
    /// All that its own layer can hold.
    Whole,
}

impl<'a> Layers<'a> {
    /// The layers of this component.
    pub(crate) fn of(
        cache: &'a Cache,
        toolchain: Sha256,
        target: Arch,
        component: &Component,
        crates: &[LockedCrate],
    ) -> Result<Self, CompileError> {
        let lock = component
            .files
            .get(&component.path("Cargo.lock"))
            .map(|lock| String::from_utf8_lossy(lock));
        let graph = Graph::read(&lock.unwrap_or_default())?;
        let key = |package: &str| {
            Key::new(PURPOSE)
                .digest("toolchain", toolchain)
                .crates(component, target, package)
                .finish()
        };
        let others = graph.own().iter().filter(|name| **name != component.package);
        Ok(Self {
            cache,
            key: key(&component.package),
            siblings: others.map(|name| key(name)).collect(),
            patched: PatchedCrates::of(&component.patches, crates)?,
            graph,
        })
    }

    /// Fills `target`, which does not exist yet, from the best layer that there is. A layer that
    /// can't be used leaves `target` empty; the compilation then takes longer, and that is all.
    pub(crate) fn restore(&self, target: &Path) -> Start {
        for (key, own) in
            [(self.key, true)].into_iter().chain(self.siblings.iter().map(|key| (*key, false)))
        {
            match self.restore_from(&key, target) {
                Ok(None) => {}
                Ok(Some(whole)) => {
                    return if own && whole { Start::Whole } else { Start::Partly };
                }
                Err(error) => {
                    tracing::warn!(%error, "kept crates are damaged and are compiled again");
                    self.discard(&key, target);
                }
            }
        }
        Start::Empty
    }

    /// Whether all that was in the layer was taken from it; `None` when there is no such layer.
    fn restore_from(&self, key: &Sha256, target: &Path) -> Result<Option<bool>, FileError> {
        let lock = self.lock_file(key)?;
        lock.lock_shared().at("lock", target)?;
        let Some(folder) = self.cache.derived(KIND, key) else { return Ok(None) };
        let contents = store::read(&folder)?;
        let changed = self.patched.changed(&contents.patched);
        let left_out = self.graph.affected(changed.iter().copied());
        store::copy_out(&folder, &contents, &left_out, target)?;
        tracing::info!(path = %folder.display(), ?changed, "crates that were compiled before");
        Ok(Some(contents.complete && changed.is_empty()))
    }

    /// Removes a layer, and what came of it.
    fn discard(&self, key: &Sha256, target: &Path) {
        let remove = || -> Result<(), CompileError> {
            let lock = self.lock_file(key)?;
            lock.lock().at("lock", target)?;
            self.cache.remove_derived(KIND, key)?;
            if target.exists() {
                fs::remove_dir_all(target).at("remove", target)?;
            }
            Ok(())
        };
        if let Err(error) = remove() {
            tracing::warn!(%error, "can't remove damaged crates");
        }
    }

    /// Keeps what is in `target` after a compilation that began with `start`; moves it, so that
    /// `target` is of no use afterwards.
    pub(crate) fn keep(&self, target: &Path, produced: &Produced, start: Start, complete: bool) {
        let enough = match start {
            Start::Whole => true,
            // What was compiled before the error is worth more than nothing, but not more than
            // what a compilation left that came to its end.
            Start::Partly => !complete,
            Start::Empty => false,
        };
        if enough {
            return;
        }
        if let Err(error) = self.store(target, produced, complete) {
            tracing::warn!(%error, "can't keep compiled crates; they are compiled again next time");
        }
    }

    fn store(
        &self,
        target: &Path,
        produced: &Produced,
        complete: bool,
    ) -> Result<(), CompileError> {
        let odd = produced.odd(target)?;
        let left_out = self.graph.affected(odd.iter().map(String::as_str));
        let (files, folders) = produced.files(target, &left_out)?;
        if files.is_empty() {
            return Ok(());
        }
        let contents = Contents { complete, patched: self.patched.clone(), folders, files };
        let lock = self.lock_file(&self.key)?;
        lock.lock().at("lock", target)?;
        self.cache.remove_derived(KIND, &self.key)?;
        self.cache.publish_derived_directory(KIND, &self.key, |folder| {
            Ok::<_, CompileError>(store::move_in(folder, contents, target)?)
        })?;
        Ok(())
    }

    fn lock_file(&self, key: &Sha256) -> Result<File, FileError> {
        let path = self.cache.root().join("tmp").join(format!("crates-{key}.lock"));
        File::create(&path).at("create", &path)
    }
}
