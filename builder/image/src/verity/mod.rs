//! dm-verity: the hash tree that makes a read-only partition tamper-evident.
//!
//! In: the data as a stream, and a salt. Out: superblock and hash tree as veritysetup writes
//! them (kernel, `admin-guide/device-mapper/verity.rst`; cryptsetup's on-disk format), version
//! 1, SHA-256, blocks of 4096 bytes on both sides; and the root hash.

mod check;
mod hasher;

pub use check::{BadVerity, Superblock, check};
pub use hasher::Hasher;

use mailkiln_pin::Sha256;
use sha2::Digest as _;

use crate::guid::Guid;

/// Bytes of a data or hash block.
pub const BLOCK: usize = 4096;

/// Digests that a hash block holds.
const FANOUT: usize = BLOCK / 32;

const MAGIC: &[u8; 8] = b"verity\0\0";

/// A finished hash tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verity {
    /// What the kernel is told to expect.
    pub root_hash: Sha256,
    /// Data blocks that the tree covers.
    pub data_blocks: u64,
    /// The hash partition: superblock, then the levels, topmost first.
    pub image: Vec<u8>,
}

/// Bytes of the hash partition for this many data blocks: superblock and all levels.
pub fn image_size(data_blocks: u64) -> u64 {
    let (mut blocks, mut level) = (1, data_blocks);
    while level > 1 {
        level = level.div_ceil(FANOUT as u64);
        blocks += level;
    }
    blocks * BLOCK as u64
}

/// A block's digest in format version 1: the salt comes first.
fn digest(salt: &Sha256, block: &[u8]) -> [u8; 32] {
    sha2::Sha256::new().chain_update(salt.as_bytes()).chain_update(block).finalize().into()
}

/// The level above `digests`: they are put into blocks, zero-padded, and those are hashed.
fn level_above(salt: &Sha256, digests: &[[u8; 32]]) -> (Vec<u8>, Vec<[u8; 32]>) {
    let mut level = digests.concat();
    level.resize(level.len().next_multiple_of(BLOCK), 0);
    let above = level.chunks(BLOCK).map(|block| digest(salt, block)).collect();
    (level, above)
}

/// Builds the levels over the digests of all data blocks.
fn grow(salt: &Sha256, leaves: Vec<[u8; 32]>) -> Verity {
    let data_blocks = leaves.len() as u64;
    let mut levels = Vec::new();
    let mut digests = leaves;
    while digests.len() > 1 {
        let (level, above) = level_above(salt, &digests);
        levels.push(level);
        digests = above;
    }
    let root_hash = Sha256::from_bytes(digests.first().copied().unwrap_or_default());
    let superblock = Superblock {
        uuid: Guid::derived("verity", &root_hash),
        data_blocks,
        salt: salt.as_bytes().to_vec(),
    };
    let mut image = superblock.encode();
    image.extend(levels.into_iter().rev().flatten());
    Verity { root_hash, data_blocks, image }
}

#[cfg(test)]
mod tests;
