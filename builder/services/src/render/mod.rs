//! The appliance as the files of an image.
//!
//! In: an [`Appliance`]. Out: entries of the root tree: units and the links that enable them,
//! configuration of the services, of the network, the firewall, the disk and the base system.

mod base;
mod disk;
mod firewall;
mod network;
mod sandbox;
mod service;
mod socket;
mod unit;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use unit::Directive;

use mailkiln_tree::{BadPath, Content, Entry, Kind, Owner, TreePath};

use crate::Appliance;

/// What made an entry, for conflicts and the SBOM.
const ORIGIN: &str = "mailkiln";

/// A value that can't be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A path of a service can't be part of an image.
    #[error("the appliance can't be laid out: {0}")]
    Path(#[from] BadPath),
    /// A value holds a line break or another control character.
    #[error(
        "`{key}` in {place} would hold a control character ({value}); remove it from mail.toml"
    )]
    Control {
        /// The setting.
        key: String,
        /// The file it is for.
        place: String,
        /// The value, escaped.
        value: String,
    },
    /// Two parts of the appliance want the same file.
    #[error("two services bring the file {path}, with different contents: this is a defect")]
    Twice {
        /// The contested path.
        path: TreePath,
    },
}

/// All entries, sorted by path; directories above them included.
pub(crate) fn tree_entries(appliance: &Appliance) -> Result<Vec<(TreePath, Entry)>, RenderError> {
    let mut files = Files::default();
    for service in appliance.all_services() {
        files.text(&service::path(service), service::unit(service)?)?;
        for (link, target) in service::links(service) {
            files.link(&link, &target)?;
        }
        for (unit, text) in service::triggers(service)? {
            files.text(&format!("/etc/systemd/system/{unit}"), text)?;
            let (link, target) = service::trigger_link(&unit);
            files.link(&link, &target)?;
        }
        for (unit, text) in socket::units(service)? {
            files.text(&format!("/etc/systemd/system/{unit}"), text)?;
            let (link, target) = socket::link(&unit);
            files.link(&link, &target)?;
        }
    }
    for file in appliance.config_files() {
        files.owned(&file.path, file.mode, file.owner, file.contents.clone())?;
    }
    files.text(crate::firewall::RULES, firewall::rules(&appliance.firewall))?;
    network::files(&mut files, appliance)?;
    disk::files(&mut files, &appliance.disk)?;
    base::files(&mut files, appliance)?;
    Ok(files.entries.into_iter().collect())
}

/// Entries so far.
#[derive(Default)]
struct Files {
    entries: BTreeMap<TreePath, Entry>,
}

impl Files {
    /// A file of root that everybody may read.
    fn text(&mut self, path: &str, contents: String) -> Result<(), RenderError> {
        self.owned(path, 0o644, 0, contents)
    }

    /// A file with a mode and an owner.
    fn owned(
        &mut self,
        path: &str,
        mode: u16,
        owner: u32,
        contents: String,
    ) -> Result<(), RenderError> {
        let content = Content::Inline(Arc::from(contents.into_bytes()));
        self.put(path, Kind::File(content), mode, Owner { uid: owner, gid: owner })
    }

    /// A symbolic link.
    fn link(&mut self, path: &str, target: &str) -> Result<(), RenderError> {
        self.put(path, Kind::Symlink(target.to_owned()), 0o777, Owner::default())
    }

    fn put(&mut self, path: &str, kind: Kind, mode: u16, owner: Owner) -> Result<(), RenderError> {
        let path = TreePath::parse(path)?;
        let origin: Arc<str> = Arc::from(ORIGIN);
        let mut above = path.parent();
        while let Some(directory) = above.filter(|directory| *directory != TreePath::ROOT) {
            above = directory.parent();
            self.entries.entry(directory).or_insert_with(|| Entry {
                kind: Kind::Directory,
                mode: 0o755,
                owner: Owner::default(),
                origin: origin.clone(),
            });
        }
        let entry = Entry { kind, mode, owner, origin };
        match self.entries.insert(path.clone(), entry.clone()) {
            Some(old) if old != entry => Err(RenderError::Twice { path }),
            _ => Ok(()),
        }
    }
}
