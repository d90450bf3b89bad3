//! From a `.deb` to a layer and a pack.
//!
//! In: a package's bytes and what to prune. Out: its [`Layer`], and its contents added to a
//! pack. Files that are the same for every image come along: the package database's record of
//! the package, and depmod's indexes of a kernel.

use std::collections::BTreeMap;
use std::io::{self, Write};

use deb822_fast::Deb822;
use mailkiln_pin::{BadPackageField, Sha256};
use mailkiln_squashfs::PackWriter;
use mailkiln_tree::depmod::{Dependencies, DepmodError, NotAModule};
use mailkiln_tree::{BadPath, Kind, TreePath, place};

use crate::copyright;
use crate::deb::{Deb, DebError, Member, MemberKind};
use crate::dpkg;
use crate::kernel::Kernel;
use crate::layer::{Layer, LayerEntry, LayerKind, Package};
use crate::prune::{NoSuchModule, Policy, Verdict};

/// Why a package can't become a layer.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The file is damaged or hostile.
    #[error(transparent)]
    Deb(#[from] DebError),
    /// The control file is not one.
    #[error("its control file is not valid: {0}")]
    Control(String),
    /// A field of the control file breaks Debian's rules.
    #[error(transparent)]
    Field(#[from] BadPackageField),
    /// Two members want the same place, or one lies below a file or link.
    #[error("its member `{path}` can't be unpacked: {why}")]
    Place {
        /// The member.
        path: TreePath,
        /// What is wrong.
        why: String,
    },
    /// A path that no tree can hold.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// A kernel module can't be read.
    #[error("its kernel module {path} can't be read: {source}")]
    Module {
        /// The module.
        path: TreePath,
        /// What is wrong.
        source: NotAModule,
    },
    /// A kernel's modules do not fit together.
    #[error(transparent)]
    Depmod(#[from] DepmodError),
    /// A kernel lacks modules that were asked for.
    #[error(transparent)]
    NoSuchModule(#[from] NoSuchModule),
    /// The pack could not be written.
    #[error("its contents can't be stored: {0}")]
    Pack(#[from] io::Error),
}

/// Unpacks a package: entries into the returned layer, contents into `pack`. Nothing of it is
/// executed.
///
/// # Errors
/// [`UnpackError`] when the package is damaged or hostile, or `pack` can't be written.
pub fn unpack_deb<W: Write>(
    deb: &[u8],
    policy: &Policy,
    pack: &mut PackWriter<W>,
) -> Result<Layer, UnpackError> {
    let archive = Deb::parse(deb)?;
    let control_files = archive.control_files()?;
    let mut package = read_control(&control_files, Sha256::of(deb))?;
    let mut unpacking = Unpacking { entries: BTreeMap::new(), kernel: Kernel::default(), pack };
    let copyright = format!("usr/share/doc/{}/copyright", package.name);
    let mut members = archive.data()?;
    while let Some(member) = members.next()? {
        let Some(entry) = unpacking.entry(&member)? else { continue };
        let verdict = policy.verdict(&entry.path);
        if unpacking.kernel.wants(&entry.path) && member.kind == MemberKind::File {
            unpacking.kernel.add(entry, members.content()?, verdict);
            continue;
        }
        if verdict == Verdict::Drop {
            continue;
        }
        let kind = match &member.kind {
            MemberKind::Directory => LayerKind::Directory(()),
            MemberKind::Symlink(target) => LayerKind::Symlink(target.clone()),
            MemberKind::Hardlink(target) => match unpacking.linked(target)? {
                Some(kind) => kind,
                None => {
                    let content = linked_content(&archive, &entry.path, &member.path, target)?;
                    unpacking.store(&content)?
                }
            },
            MemberKind::File => {
                let content = members.content()?;
                if entry.path.as_str() == copyright {
                    package.licences = copyright::licences(&String::from_utf8_lossy(&content));
                }
                unpacking.store(&content)?
            }
        };
        unpacking.insert(LayerEntry { kind, ..entry })?;
    }
    let modules = unpacking.settle_kernel(policy)?;
    unpacking.check_parents()?;
    for (path, content) in dpkg::records(&package, &control_files, unpacking.entries.keys()) {
        let kind = unpacking.store(&content)?;
        let path = TreePath::parse(&path)?;
        unpacking.insert(LayerEntry { path, kind, mode: 0o644, uid: 0, gid: 0 })?;
    }
    Ok(Layer { package, entries: unpacking.entries.into_values().collect(), modules })
}

/// A layer in the making.
struct Unpacking<'a, W> {
    entries: BTreeMap<TreePath, LayerEntry>,
    kernel: Kernel,
    pack: &'a mut PackWriter<W>,
}

impl<W: Write> Unpacking<'_, W> {
    /// Where a member lands, its kind not settled yet; `None` for the root itself.
    fn entry(&self, member: &Member) -> Result<Option<LayerEntry>, UnpackError> {
        if member.path == TreePath::ROOT {
            return Ok(None);
        }
        let kind = match &member.kind {
            MemberKind::Directory => Kind::Directory,
            _ => Kind::Symlink(String::new()),
        };
        let path = place(&member.path, &kind)?;
        if self.entries.contains_key(&path) || self.kernel.has(&path) {
            let why = "another member has the same path".to_owned();
            return Err(UnpackError::Place { path, why });
        }
        let Member { mode, uid, gid, .. } = *member;
        Ok(Some(LayerEntry { path, kind: LayerKind::Directory(()), mode, uid, gid }))
    }

    /// A hard link is a second file of the same content; the pack holds it once. `None` where its target was pruned.
    fn linked(&self, target: &TreePath) -> Result<Option<LayerKind>, UnpackError> {
        let target = place(target, &Kind::Symlink(String::new()))?;
        Ok(match self.entries.get(&target).map(|entry| &entry.kind) {
            Some(LayerKind::File(sha256, size)) => Some(LayerKind::File(*sha256, *size)),
            _ => None,
        })
    }

    fn store(&mut self, content: &[u8]) -> Result<LayerKind, UnpackError> {
        Ok(LayerKind::File(self.pack.add(content)?, content.len() as u64))
    }

    fn insert(&mut self, entry: LayerEntry) -> Result<(), UnpackError> {
        match self.entries.insert(entry.path.clone(), entry) {
            None => Ok(()),
            Some(LayerEntry { path, .. }) => {
                Err(UnpackError::Place { path, why: "it is there twice".to_owned() })
            }
        }
    }

    /// Adds the kernel's modules that stay, and their indexes; returns which need which, by release.
    fn settle_kernel(
        &mut self,
        policy: &Policy,
    ) -> Result<BTreeMap<String, Dependencies>, UnpackError> {
        let settled = std::mem::take(&mut self.kernel).settle(policy.modules())?;
        for (entry, content) in settled.entries {
            let kind = self.store(&content)?;
            self.insert(LayerEntry { kind, ..entry })?;
        }
        Ok(settled.modules)
    }

    /// Nothing may lie below a file or a link of the same package: it would land elsewhere.
    fn check_parents(&self) -> Result<(), UnpackError> {
        for path in self.entries.keys() {
            let mut parent = path.parent();
            while let Some(folder) = parent {
                match self.entries.get(&folder).map(|entry| &entry.kind) {
                    None | Some(LayerKind::Directory(())) => parent = folder.parent(),
                    Some(_) => {
                        let why = format!("it lies below {folder}, which is not a directory");
                        return Err(UnpackError::Place { path: path.clone(), why });
                    }
                }
            }
        }
        Ok(())
    }
}

/// The content of the file that the member `link` is a hard link to: pruning took the file, so it is looked for in the
/// archive once more. `path` is where the link lands.
fn linked_content(
    archive: &Deb<'_>,
    path: &TreePath,
    link: &TreePath,
    target: &TreePath,
) -> Result<Vec<u8>, UnpackError> {
    let mut members = archive.data()?;
    while let Some(member) = members.next()? {
        if member.path == *link {
            break;
        }
        if member.path == *target && member.kind == MemberKind::File {
            return Ok(members.content()?);
        }
    }
    Err(UnpackError::Place {
        path: path.clone(),
        why: format!("it is a hard link to {target}, which is not a file before it"),
    })
}

/// deb-control(5): one paragraph.
fn read_control(files: &BTreeMap<String, Vec<u8>>, sha256: Sha256) -> Result<Package, UnpackError> {
    let wrong = |why: &str| UnpackError::Control(why.to_owned());
    let bytes = files.get("control").ok_or_else(|| wrong("there is none"))?;
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?.trim_end();
    // It goes into the package database as it stands, where a blank line would end its record.
    if text.lines().any(|line| line.trim().is_empty()) {
        return Err(wrong("it has more than one paragraph"));
    }
    let document: Deb822 = text.parse().map_err(|_| wrong("it is not deb822 text"))?;
    let paragraph = document.iter().next().ok_or_else(|| wrong("it is empty"))?;
    let field = |name: &str| {
        let value = paragraph.get(name).map(str::trim).filter(|value| !value.is_empty());
        value.ok_or_else(|| UnpackError::Control(format!("it has no {name}")))
    };
    Ok(Package {
        name: field("Package")?.parse()?,
        version: field("Version")?.parse()?,
        architecture: field("Architecture")?.to_owned(),
        source: field("Source").ok().map(str::to_owned),
        sha256,
        control: format!("{text}\n"),
        licences: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
