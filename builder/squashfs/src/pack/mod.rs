//! A pack: file contents as ready squashfs blocks, addressed by digest.
//!
//! In: a pack file (validated as foreign bytes when opened). Out: contents by digest, and for
//! the image writer the stored blocks themselves, to be copied without compressing anything.
//!
//! Layout: magic · stored blocks · index · trailer (where the index starts, its SHA-256).

mod index;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailkiln_pin::Sha256;

pub use index::BadIndex;
pub(crate) use index::{Entry, Extent, Index};
pub use writer::{PackWriter, Params};

use crate::block::{self, BadBlock};
use crate::writer::WriteError;
use mailkiln_bytes_at::{FileSource, ReadAt};

/// An open pack. Its index is in memory; its blocks stay in the file.
pub struct Pack {
    path: PathBuf,
    source: Box<dyn ReadAt + Send + Sync>,
    index: Index,
}

/// A pack can't be opened or read. The cure is always to make it again from its package.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The file can't be read.
    #[error("can't read the pack {path}: {error}")]
    Io {
        /// The pack.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The bytes are not a pack's.
    #[error("{path} is not a whole pack: {error}; delete it, the next build makes it again")]
    Index {
        /// The pack.
        path: PathBuf,
        /// What is wrong.
        error: BadIndex,
    },
    /// A block was altered after the pack was written.
    #[error("{path} is damaged at byte {offset}; delete it, the next build makes it again")]
    Damaged {
        /// The pack.
        path: PathBuf,
        /// Where the damaged blocks start.
        offset: u64,
    },
    /// A block does not expand.
    #[error("{path}: {error}; delete it, the next build makes it again")]
    Block {
        /// The pack.
        path: PathBuf,
        /// What is wrong.
        error: BadBlock,
    },
    /// The pack does not hold this content.
    #[error("{path} holds no content with digest {sha256}; make the pack again from its package")]
    Missing {
        /// The pack.
        path: PathBuf,
        /// What was asked for.
        sha256: Sha256,
    },
}

impl Pack {
    /// Opens the pack file at `path` and reads its index.
    ///
    /// # Errors
    /// [`PackError`] when it can't be read or is not a whole pack.
    pub fn open(path: &Path) -> Result<Self, PackError> {
        let failed = |error| PackError::Io { path: path.to_owned(), error };
        let source = File::open(path).and_then(FileSource::new).map_err(failed)?;
        Self::from_source(path.to_owned(), Box::new(source))
    }

    /// A pack held in memory.
    ///
    /// # Errors
    /// [`PackError`] when the bytes are not a whole pack.
    pub fn from_bytes(bytes: Arc<[u8]>) -> Result<Self, PackError> {
        Self::from_source(PathBuf::from("(pack in memory)"), Box::new(bytes))
    }

    fn from_source(
        path: PathBuf,
        source: Box<dyn ReadAt + Send + Sync>,
    ) -> Result<Self, PackError> {
        let index = match index::read(&*source) {
            Ok(bytes) => bytes.and_then(|(bytes, blocks_end)| Index::parse(&bytes, blocks_end)),
            Err(error) => return Err(PackError::Io { path, error }),
        };
        match index {
            Ok(index) => Ok(Self { path, source, index }),
            Err(error) => Err(PackError::Index { path, error }),
        }
    }

    /// Whether the pack holds the content with this digest.
    pub fn contains(&self, sha256: &Sha256) -> bool {
        self.index.find(sha256).is_some()
    }

    /// Length in bytes of the content with this digest.
    pub fn size(&self, sha256: &Sha256) -> Option<u64> {
        self.index.find(sha256).map(|entry| entry.size)
    }

    /// Digests of all contents, in ascending order.
    pub fn digests(&self) -> impl Iterator<Item = &Sha256> {
        self.index.entries.iter().map(|entry| &entry.sha256)
    }

    /// Bytes of a squashfs block that this pack was made for.
    pub fn block_size(&self) -> u32 {
        self.index.block_size
    }

    /// The content with this digest, whole, and verified against it.
    ///
    /// # Errors
    /// [`PackError::Missing`] when the pack does not hold it; others when the pack is damaged.
    pub fn read(&self, sha256: &Sha256) -> Result<Vec<u8>, PackError> {
        let entry = self
            .index
            .find(sha256)
            .ok_or_else(|| PackError::Missing { path: self.path.clone(), sha256: *sha256 })?;
        let stored = self.stored(&entry.blocks)?;
        let mut content = Vec::new();
        let mut rest = stored.as_slice();
        for word in self.index.words(entry) {
            let (block, after) =
                rest.split_at_checked(word.stored() as usize).unwrap_or((rest, &[]));
            rest = after;
            let length = (entry.size - content.len() as u64).min(self.block_size().into());
            let plain = block::expand_exactly(block, *word, length as usize);
            content.extend(plain.map_err(|error| self.bad_block(error))?);
        }
        if let Some(slot) = entry.fragment {
            let fragment = &self.index.fragments[slot.number as usize];
            let stored = self.stored(&fragment.extent)?;
            let plain = block::expand(&stored, fragment.word, self.block_size() as usize)
                .map_err(|error| self.bad_block(error))?;
            let start = slot.offset as usize;
            let tail = (entry.size - content.len() as u64) as usize;
            content.extend_from_slice(
                plain.get(start..start + tail).ok_or_else(|| self.damaged(&fragment.extent))?,
            );
        }
        if Sha256::of(&content) != *sha256 {
            return Err(self.damaged(&entry.blocks));
        }
        Ok(content)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The stored bytes of an extent, checked against its checksum.
    pub(crate) fn stored(&self, extent: &Extent) -> Result<Vec<u8>, PackError> {
        let bytes = self
            .source
            .read_vec_at(extent.start, extent.length as usize)
            .map_err(|error| PackError::Io { path: self.path.clone(), error })?;
        if crc32fast::hash(&bytes) != extent.crc32 {
            return Err(self.damaged(extent));
        }
        Ok(bytes)
    }

    /// Copies the stored bytes of an extent to `out`, a buffer at a time, checking them.
    pub(crate) fn copy(
        &self,
        extent: &Extent,
        buffer: &mut [u8],
        out: &mut impl io::Write,
    ) -> Result<(), WriteError> {
        let mut crc32 = crc32fast::Hasher::new();
        let (mut at, end) = (extent.start, extent.start + extent.length);
        while at < end {
            let length = buffer.len().min((end - at) as usize);
            let part = &mut buffer[..length];
            self.source
                .read_exact_at(part, at)
                .map_err(|error| PackError::Io { path: self.path.clone(), error })?;
            crc32.update(part);
            out.write_all(part)?;
            at += length as u64;
        }
        if crc32.finalize() != extent.crc32 {
            return Err(self.damaged(extent).into());
        }
        Ok(())
    }

    fn damaged(&self, extent: &Extent) -> PackError {
        PackError::Damaged { path: self.path.clone(), offset: extent.start }
    }

    fn bad_block(&self, error: BadBlock) -> PackError {
        PackError::Block { path: self.path.clone(), error }
    }
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack")
            .field("path", &self.path)
            .field("contents", &self.index.entries.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
