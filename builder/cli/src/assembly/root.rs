//! The finished root file system.
//!
//! In: packages, programs, the services of the spec. Out: the tree, and what the boot chain takes out of it.

use std::time::Duration;

use mailkiln_services::{Appliance, HostFacts, SlotSizes, TargetFacts, appliance};
use mailkiln_sources::assemble;
use mailkiln_tree::{
    Content, Contents as _, Enablement, Entry, FixupInput, Identity, Kind, Owner, Tree, TreePath,
    User, finish,
};

use super::materials::Materials;
use super::{AssemblyError, Order};

/// The mail server's spam rules, in the order of their files.
pub(crate) const SPAM_RULES: &str = concat!(
    include_str!("../../../../units/mail-server/spam/10-scores.toml"),
    include_str!("../../../../units/mail-server/spam/20-rules.toml"),
    include_str!("../../../../units/mail-server/spam/30-lists.toml"),
);
/// The lock's set for machines that have a radio.
const WIFI: &str = "wifi";
/// What made an entry, for conflicts.
const ORIGIN: &str = "mailkiln";

/// A root file system with what boots it.
#[derive(Debug)]
pub(super) struct Root {
    /// Every file of it.
    pub(super) tree: Tree,
    /// The kernel, as its package ships it.
    pub(super) kernel: Vec<u8>,
    /// The kernel's release.
    pub(super) release: String,
    /// `/usr/lib/os-release`.
    pub(super) os_release: String,
}

/// What runs on the appliance.
pub(super) fn services(order: &Order<'_>) -> Appliance {
    let (disk, hardware) = (order.target.disk, order.target.hardware);
    let recorded = order.target.consoles.iter().filter(|console| console.is_recorded());
    let facts = TargetFacts {
        consoles: order.target.consoles.iter().map(|console| console.path()).collect(),
        recorded_consoles: recorded.map(|console| console.path()).collect(),
        password_page: true,
        slots: SlotSizes { root: disk.root.bytes(), verity: disk.verity.bytes() },
        watchdog: hardware.watchdog.map(|seconds| Duration::from_secs(seconds.into())),
        time_servers: order.target.provider.time_servers.clone(),
        worn_by_writes: hardware.worn_by_writes,
        host: HostFacts::default(),
        wireless: order.target.packages.sets.iter().any(|set| set == WIFI),
    };
    appliance(order.spec, &facts, SPAM_RULES)
}

impl Root {
    /// Merges packages, programs and services, and writes what maintainer scripts would have.
    pub(super) fn build(
        order: &Order<'_>,
        appliance: &Appliance,
        materials: &Materials,
    ) -> Result<Self, AssemblyError> {
        let mut tree = assemble(&materials.layers)?;
        for unit in materials.units.iter().filter(|unit| unit.name != "init") {
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
        for (path, entry) in appliance.tree_entries()? {
            // What the services write is meant to stand in place of what packages ship.
            match entry.kind {
                Kind::Directory => tree.insert(path, entry)?,
                _ => tree.replace(path, entry),
            }
        }
        let users: Vec<User> = appliance
            .users()
            .iter()
            .map(|user| User {
                name: user.name.to_owned(),
                number: user.id,
                comment: user.purpose.to_owned(),
                home: format!("/var/lib/{}", user.name),
                shell: None,
                groups: Vec::new(),
            })
            .collect();
        let mut enablement = Enablement::base();
        enablement.enable.extend(appliance.package_units().iter().map(|unit| (*unit).to_owned()));
        enablement.enable.extend(order.target.packages.enable.iter().cloned());
        let finished = finish(
            tree,
            &FixupInput {
                host: &appliance.host,
                time_zone: &appliance.timezone,
                users: &users,
                enablement: &enablement,
                identity: &Identity { version: version(order), variant: order.target.name.clone() },
                contents: materials,
            },
        )?;
        let kernel = content(&finished.boot.kernel, materials, "the kernel")?;
        let os_release = text(&finished.tree, materials, "usr/lib/os-release")?;
        Ok(Self { tree: finished.tree, kernel, release: finished.boot.release, os_release })
    }
}

/// The image's version: ours, and the day of the lock.
pub(super) fn version(order: &Order<'_>) -> String {
    let day: String = order.lock.snapshot.to_string().chars().take(10).collect();
    format!("{}-{}", env!("CARGO_PKG_VERSION"), day.replace('-', ""))
}

/// Bytes of a content of the tree.
pub(super) fn content(
    content: &Content,
    materials: &Materials,
    what: &str,
) -> Result<Vec<u8>, AssemblyError> {
    match content {
        Content::Inline(bytes) => Ok(bytes.to_vec()),
        Content::Packed { sha256, .. } => materials
            .read(sha256)
            .map_err(|source| AssemblyError::File { what: format!("can't read {what}"), source }),
    }
}

fn text(tree: &Tree, materials: &Materials, path: &str) -> Result<String, AssemblyError> {
    match tree.get(&TreePath::parse(path)?).map(|entry| &entry.kind) {
        Some(Kind::File(file)) => {
            Ok(String::from_utf8_lossy(&content(file, materials, path)?).into_owned())
        }
        _ => Err(AssemblyError::Lacking(format!("/{path}"))),
    }
}
