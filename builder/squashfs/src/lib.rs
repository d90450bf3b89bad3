//! squashfs 4.0: packs of compressed blocks, the writer that joins them, the reader.
//!
//! In: file contents (once, into a [`Pack`] that is cached) and a tree that names them by
//! digest. Out: a squashfs image, the same bytes for the same tree and packs, made by copying
//! blocks that are compressed already. The reader takes foreign images and trusts nothing.
//!
//! The format is the kernel's (`fs/squashfs/squashfs_fs.h`); compressor zstd, no extended
//! attributes, no export table.

mod block;
mod directory;
mod format;
mod inode;
mod layout;
mod metadata;
mod nodes;
mod pack;
mod reader;
mod writer;

pub use block::{BadBlock, DEFAULT_BLOCK_SIZE, DEFAULT_LEVEL};
pub use pack::{BadIndex, Pack, PackError, PackWriter, Params};
pub use reader::{BadSquashfs, FileKind, Item, Squashfs};
pub use writer::{Plan, PlanError, WriteError, write};

/// Entry points for fuzzing: each takes foreign bytes and must neither panic nor allocate
/// without bound, whatever they are.
pub mod fuzz {
    /// Parses `bytes` as a squashfs image, walks its tree and reads its small files.
    pub fn squashfs(bytes: &[u8]) {
        if let Ok(image) = crate::Squashfs::open(bytes) {
            for item in image.items() {
                let _ = image.read(item, 1 << 20);
            }
        }
    }

    /// Parses `bytes` as a pack and reads what its index lists.
    pub fn pack(bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        mend(&mut bytes);
        if let Ok(pack) = crate::Pack::from_bytes(bytes.into()) {
            for sha256 in pack.digests() {
                let _ = pack.read(sha256);
            }
        }
    }

    /// Corrects the digest of a pack's index, which a fuzzer would not find.
    fn mend(pack: &mut [u8]) -> Option<()> {
        let (body, trailer) = pack.split_last_chunk_mut::<48>()?;
        let (start, rest) = trailer.split_first_chunk_mut::<8>()?;
        let index = body.get(usize::try_from(u64::from_le_bytes(*start)).ok()?..)?;
        rest[..32].copy_from_slice(mailkiln_pin::Sha256::of(index).as_bytes());
        Some(())
    }
}
