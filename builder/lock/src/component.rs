//! Component pins: which source or file stands behind each program of the appliance.
//!
//! In: `[[component]]` entries of a lock. Out: one [`Component`] each. The choice is data: another
//! crate, a folder of our own, or a prebuilt file can take a program's place without a line of
//! Rust being changed. Pure.

use mailkiln_pin::{Arch, Sha256};
use serde::{Deserialize, Serialize};

use crate::LockError;

/// One program of the appliance and where its bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What the rest of the builder calls it: `init`, `agent`, `mail-server`.
    pub name: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub source: ComponentSource,
}

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[serde(deny_unknown_fields)]
pub enum ComponentSource {
    /// A Cargo workspace of this repository, compiled by the locked toolchain.
    Workspace {
        /// Its folder, relative to the repository's root: `units/init`.
        directory: String,
        /// Digest of its `Cargo.lock`, which pins every crate it is built from.
        cargo_lock: Sha256,
    },
    /// A published crate with patches of ours, built by a workspace that depends on it.
    Crate {
        /// The folder of the workspace that builds it: `units/mail-server`.
        directory: String,
        /// Digest of the folder's `Cargo.lock`.
        cargo_lock: Sha256,
        /// The published crate.
        upstream: CratePin,
        /// What is applied to it, in order.
        #[serde(default)]
        patches: Vec<PatchPin>,
    },
    /// Prebuilt programs, one for each architecture that has one.
    File {
        /// The files.
        files: Vec<FilePin>,
    },
}

/// A crate of the registry that the user's own cargo is set up for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CratePin {
    /// The crate's name.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// Digest of the `.crate` file, as registries publish it.
    pub sha256: Sha256,
}

/// A patch file of this repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchPin {
    /// Path relative to the component's `directory`: `patches/0001-resolve-for-real.patch`.
    pub path: String,
    /// Digest of the patch file.
    pub sha256: Sha256,
}

/// A file to download as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePin {
    /// The architecture it runs on.
    pub arch: Arch,
    /// Where to get it.
    pub url: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

impl Component {
    /// Digests of the files that have to be downloaded for it, crates of its `Cargo.lock` apart.
    pub fn digests(&self) -> Vec<Sha256> {
        match &self.source {
            ComponentSource::Workspace { .. } => Vec::new(),
            ComponentSource::Crate { upstream, .. } => vec![upstream.sha256],
            ComponentSource::File { files } => files.iter().map(|file| file.sha256).collect(),
        }
    }

    /// Checks what types can't: names that are printable, paths that stay inside the repository.
    pub(crate) fn check(&self) -> Result<(), LockError> {
        let wrong = |what: &str| {
            Err(LockError::Component { name: self.name.clone(), what: what.to_owned() })
        };
        if !is_plain(&self.name) || self.name.contains('/') {
            return wrong("its name may hold only lower-case letters, digits and `-`");
        }
        match &self.source {
            ComponentSource::Workspace { directory, .. } if !is_plain(directory) => {
                wrong("`directory` must be a plain relative path such as `units/agent`")
            }
            ComponentSource::Crate { directory, patches, .. }
                if !is_plain(directory) || !patches.iter().all(|patch| is_plain(&patch.path)) =>
            {
                wrong("`directory` and each patch's `path` must be plain relative paths")
            }
            ComponentSource::File { files }
                if files.is_empty() || files.iter().any(|file| !file.url.contains("://")) =>
            {
                wrong("`files` must name at least one file by its full URL")
            }
            _ => Ok(()),
        }
    }
}

/// A relative path of ordinary file names: nothing that climbs, starts at the root or needs quoting.
fn is_plain(path: &str) -> bool {
    path.len() <= 200
        && path.split('/').all(|part| {
            !part.starts_with('.')
                && !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
        })
}
