//! What one package puts into the image.
//!
//! In: a package that was unpacked, or the cached index of one. Out: a [`Layer`]: its control
//! data and its entries, contents by digest. An index is one line of header with the digest of
//! the rest, then JSON; it is checked when it is read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use mailkiln_pin::{PackageName, PackageVersion, Sha256};
use mailkiln_tree::depmod::Dependencies;
use mailkiln_tree::{Content, Entry, Kind, Owner, TreePath};
use serde::{Deserialize, Serialize};

/// Goes up whenever what a layer holds changes its meaning or its making.
pub(crate) const FORMAT: u32 = 2;

/// A package, unpacked and pruned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Which package.
    pub package: Package,
    /// What it puts where, sorted by path.
    pub entries: Vec<LayerEntry>,
    /// Which modules of a kernel need which, by the kernel's release; empty for other packages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, Dependencies>,
}

/// What a package says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its architecture in Debian's words: `amd64`, `arm64`, `all`.
    pub architecture: String,
    /// The source package, and its version where it differs: `glibc`, `gcc-14 (14.2.0-19)`.
    pub source: Option<String>,
    /// Digest of the `.deb`.
    pub sha256: Sha256,
    /// The control paragraph as it stands, ended by a newline.
    pub control: String,
    /// SPDX names, or `LicenseRef-…`; empty when the copyright file is prose.
    pub licences: Vec<String>,
}

/// One path of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerEntry {
    /// Where, in the merged `/usr`.
    #[serde(rename = "p")]
    pub path: TreePath,
    /// What.
    #[serde(flatten)]
    pub kind: LayerKind,
    /// Permission bits.
    #[serde(rename = "m")]
    pub mode: u16,
    /// Owner.
    #[serde(rename = "u", default, skip_serializing_if = "is_root")]
    pub uid: u32,
    /// Group.
    #[serde(rename = "g", default, skip_serializing_if = "is_root")]
    pub gid: u32,
}

/// What an entry of a layer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayerKind {
    /// A directory.
    #[serde(rename = "d")]
    Directory(()),
    /// A file, by digest and length in bytes.
    #[serde(rename = "f")]
    File(Sha256, u64),
    /// A symbolic link to this target.
    #[serde(rename = "l")]
    Symlink(String),
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_root(number: &u32) -> bool {
    *number == 0
}

/// A cached index can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BadLayer {
    /// It is of another format, cut short or altered.
    #[error("it is of another format, cut short or altered")]
    Frame,
    /// It does not say what a layer says.
    #[error("it does not hold a layer: {0}")]
    Content(#[from] serde_json::Error),
}

impl Layer {
    /// The entries as a tree takes them.
    pub fn tree_entries(&self) -> impl Iterator<Item = (TreePath, Entry)> {
        let origin: Arc<str> = self.package.name.as_str().into();
        self.entries.iter().map(move |entry| {
            let kind = match &entry.kind {
                LayerKind::Directory(()) => Kind::Directory,
                LayerKind::File(sha256, size) => {
                    Kind::File(Content::Packed { sha256: *sha256, size: *size })
                }
                LayerKind::Symlink(target) => Kind::Symlink(target.clone()),
            };
            let owner = Owner { uid: entry.uid, gid: entry.gid };
            (entry.path.clone(), Entry { kind, mode: entry.mode, owner, origin: origin.clone() })
        })
    }

    /// Bytes of its files, each content counted once per path.
    pub fn size(&self) -> u64 {
        let sizes = self.entries.iter().map(|entry| match entry.kind {
            LayerKind::File(_, size) => size,
            _ => 0,
        });
        sizes.sum()
    }

    /// The index as bytes.
    ///
    /// # Errors
    /// What the JSON writer reports.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let body = serde_json::to_vec(self)?;
        let mut bytes = header(&body).into_bytes();
        bytes.extend(body);
        Ok(bytes)
    }

    /// Reads an index back.
    ///
    /// # Errors
    /// [`BadLayer`] when anything in it differs from what was written.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadLayer> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(BadLayer::Frame)? + 1;
        let (head, body) = bytes.split_at(end);
        if header(body).as_bytes() != head {
            return Err(BadLayer::Frame);
        }
        Ok(serde_json::from_slice(body)?)
    }
}

pub(crate) fn header(body: &[u8]) -> String {
    format!("mailkiln-layer {FORMAT} {}\n", Sha256::of(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_back_and_a_flipped_bit_is_noticed() {
        let path = |text| TreePath::parse(text).unwrap();
        let entry =
            |text, kind, mode, gid| LayerEntry { path: path(text), kind, mode, uid: 0, gid };
        let layer = Layer {
            package: Package {
                name: "sed".parse().unwrap(),
                version: "4.9-2".parse().unwrap(),
                architecture: "amd64".into(),
                source: None,
                sha256: Sha256::of(b"deb"),
                control: "Package: sed\n".into(),
                licences: vec!["MIT".into()],
            },
            entries: vec![
                entry("usr", LayerKind::Directory(()), 0o755, 0),
                entry("usr/bin/sed", LayerKind::File(Sha256::of(b"x"), 1), 0o4755, 42),
                entry("usr/bin/s", LayerKind::Symlink("sed".into()), 0o777, 0),
            ],
            modules: BTreeMap::from([(
                "6.12".to_owned(),
                Dependencies::from_iter([("kernel/x.ko".to_owned(), Vec::new())]),
            )]),
        };
        let bytes = layer.encode().unwrap();
        assert_eq!(Layer::decode(&bytes).unwrap(), layer);
        assert_eq!(layer.size(), 1);
        for at in [0, 20, bytes.len() / 2, bytes.len() - 1] {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(Layer::decode(&altered).is_err(), "byte {at}");
        }
        assert!(Layer::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Layer::decode(b"").is_err());
    }
}
