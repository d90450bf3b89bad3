//! The finished root file system.
//!
//! In: packages, programs, what the services want. Out: the tree, and what the boot chain takes out of it.

use mailkiln_sources::assemble;
use mailkiln_tree::{
    Content, Enablement, Entry, FixupInput, Identity, Kind, Owner, Tree, TreePath, finish,
};
use mailkiln_unit::Place;

use crate::parts::Parts;
use crate::{AssembleError, Inputs, Wanted};

/// The origin of our own entries, for conflicts.
pub(crate) const ORIGIN: &str = "mailkiln";

/// A root file system with what boots it.
#[derive(Debug)]
pub(crate) struct Root {
    /// Every file of it.
    pub(crate) tree: Tree,
    /// The kernel, as its package ships it.
    pub(crate) kernel: Vec<u8>,
    /// The kernel's release.
    pub(crate) release: String,
    /// `/usr/lib/os-release`.
    pub(crate) os_release: String,
}

impl Root {
    /// Merges packages, programs and services, and writes what maintainer scripts would have.
    pub(crate) fn build(
        inputs: &Inputs<'_>,
        wanted: Wanted,
        parts: &Parts,
    ) -> Result<Self, AssembleError> {
        let target = inputs.target;
        let mut tree = assemble(&parts.layers)?;
        for unit in parts.units.iter().filter(|unit| is_installed(&unit.name)) {
            for program in &unit.programs {
                let content = Content::Packed { sha256: program.sha256, size: program.size };
                let entry = Entry {
                    kind: Kind::File(content),
                    mode: 0o755,
                    owner: Owner::default(),
                    origin: ORIGIN.into(),
                };
                tree.insert(TreePath::parse(&format!("usr/bin/{}", program.name))?, entry)?;
            }
        }
        for (path, entry) in wanted.entries {
            // A service's file replaces the one that a package ships.
            match entry.kind {
                Kind::Directory => tree.set_directory(path, entry)?,
                _ => tree.replace(path, entry),
            }
        }
        let mut enablement = Enablement::base();
        enablement.enable.extend(wanted.enable);
        enablement.enable.extend(target.packages.enable.iter().cloned());
        let identity = Identity { version: inputs.version(), variant: target.name.clone() };
        let finished = finish(
            tree,
            &FixupInput {
                host: &wanted.host,
                time_zone: &wanted.time_zone,
                users: &wanted.users,
                enablement: &enablement,
                identity: &identity,
                contents: parts,
            },
        )?;
        let kernel = parts.content(&finished.boot.kernel, "the kernel")?;
        let os_release = TreePath::parse("usr/lib/os-release")?;
        let os_release = parts.text(&finished.tree, &os_release)?;
        Ok(Self { tree: finished.tree, kernel, release: finished.boot.release, os_release })
    }
}

/// Whether a unit's programs are in the root; the initrd has its own.
fn is_installed(unit: &str) -> bool {
    mailkiln_unit::unit(unit).is_none_or(|unit| unit.build.place == Place::Bin)
}
