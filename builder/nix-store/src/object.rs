//! A store path: what is in it, what it needs, and the address that follows from both.
//!
//! In: a name, a tree, references. Out: the path below `/nix/store`. See the Nix manual, "Complete Store Path Calculation".

use std::collections::BTreeSet;
use std::io;

use nix_derivation::{CAHash, NixHash, StoreDir, StorePath};
use sha2::{Digest as _, Sha256};

use crate::tree::Node;

/// A store path with its content. It is content-addressed and does not refer to itself.
#[derive(Debug, Clone)]
pub struct StoreObject {
    path: StorePath,
    tree: Node,
    references: BTreeSet<StorePath>,
    nar: NarDigest,
}

/// The digest and length of a NAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NarDigest {
    pub(crate) sha256: [u8; 32],
    pub(crate) size: u64,
}

/// A store path can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Its name is not possible.
    #[error(
        "`{name}` can't be the name of a store path ({source}): take letters, digits and +-._?="
    )]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: nix_derivation::store_path::Error,
    },
    /// Its content has no NAR.
    #[error("the content of the store path `{name}` can't be archived")]
    Archive {
        /// The name.
        name: String,
        /// Why.
        source: nix_archive::nar::Error,
    },
}

impl StoreObject {
    /// The store path that `tree` makes under this name (as `hello-1.0`), which refers to `references`.
    ///
    /// # Errors
    /// [`ObjectError`] when the name, or one in the tree, is not possible.
    pub fn new(
        name: &str,
        tree: Node,
        references: BTreeSet<StorePath>,
    ) -> Result<Self, ObjectError> {
        let mut hashing = Hashing::new(io::sink());
        tree.write_nar(&mut hashing)
            .map_err(|source| ObjectError::Archive { name: name.to_owned(), source })?;
        let nar = hashing.digest();
        let address = CAHash::Nar(NixHash::Sha256(nar.sha256));
        let path = StoreDir::default()
            .build_ca_path(name, &address, &references, false)
            .map_err(|source| ObjectError::Name { name: name.to_owned(), source })?;
        Ok(Self { path, tree, references, nar })
    }

    /// Where it belongs.
    pub fn path(&self) -> &StorePath {
        &self.path
    }

    /// What it holds.
    pub fn tree(&self) -> &Node {
        &self.tree
    }

    /// What it needs beside itself.
    pub fn references(&self) -> &BTreeSet<StorePath> {
        &self.references
    }

    /// The length of its NAR in bytes.
    pub fn nar_size(&self) -> u64 {
        self.nar.size
    }

    pub(crate) fn nar_hash(&self) -> NixHash {
        NixHash::Sha256(self.nar.sha256)
    }
}

/// Hashes and counts what passes through, in either direction.
#[derive(Debug)]
pub(crate) struct Hashing<T> {
    inner: T,
    sha256: Sha256,
    size: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, sha256: Sha256::new(), size: 0 }
    }

    pub(crate) fn digest(&self) -> NarDigest {
        NarDigest { sha256: self.sha256.clone().finalize().into(), size: self.size }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }
}

impl<W: io::Write> io::Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.note(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.note(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(references: BTreeSet<StorePath>) -> StoreObject {
        let mut tree = Node::directory();
        let contents = b"hi\n".to_vec();
        tree.insert("bin/hello", Node::File { executable: true, contents });
        StoreObject::new("hello-1.0", tree, references).unwrap()
    }

    /// Said by Nix 2.26: `nix-store --add hello-1.0` for a folder with the file bin/hello, mode 755.
    #[test]
    fn the_address_is_that_of_nix() {
        let path = hello(BTreeSet::new()).path().to_absolute_path();
        assert_eq!(path, "/nix/store/84kqg0y8fcg10pbnvkysg93lz9rcjgsm-hello-1.0");
    }

    #[test]
    fn references_are_part_of_the_address() {
        let alone = hello(BTreeSet::new());
        let referring = hello(BTreeSet::from([alone.path().clone()]));
        assert_ne!(alone.path(), referring.path());
        assert_eq!(alone.nar_size(), referring.nar_size());
    }

    #[test]
    fn impossible_names_are_named() {
        let error = StoreObject::new("a b", Node::directory(), BTreeSet::new()).unwrap_err();
        assert!(error.to_string().starts_with("`a b` can't be the name"), "{error}");
    }
}
