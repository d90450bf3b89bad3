//! Reads a hash partition back and checks data against it.
//!
//! In: foreign data and hash partitions, and the root hash from the kernel command line. Out:
//! the superblock, or the first block that does not match.

use std::io;

use mailkiln_bytes_at::ReadAt;
use mailkiln_pin::Sha256;

use super::{BLOCK, Hasher, MAGIC, image_size};
use crate::guid::Guid;

/// Most data blocks that are checked: 16 TiB.
const MOST_BLOCKS: u64 = 1 << 32;

/// The superblock of a hash partition, for the one set of parameters that Mailkiln uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// UUID of the hash device.
    pub uuid: Guid,
    /// Data blocks that the tree covers.
    pub data_blocks: u64,
    /// What every block is prefixed with, at most 256 bytes.
    pub salt: Vec<u8>,
}

/// Why a partition fails verification.
#[derive(Debug, thiserror::Error)]
pub enum BadVerity {
    /// The medium failed, or a partition is too short.
    #[error("the verity partition can't be read: {0}")]
    Io(#[from] io::Error),
    /// No superblock.
    #[error("the verity partition has no superblock")]
    Magic,
    /// A superblock with other parameters.
    #[error("the verity superblock has parameters that Mailkiln never writes ({0})")]
    Parameters(&'static str),
    /// The tree is not the one that the command line names.
    #[error(
        "the root partition does not match its root hash: {expected} was promised, {found} is \
         what its contents give; the image was altered or damaged, download it again"
    )]
    RootHash {
        /// From the kernel command line.
        expected: Sha256,
        /// From the data.
        found: Sha256,
    },
    /// The data is right, but the stored tree is not.
    #[error("the hash tree is damaged in its block {block}; get the image again")]
    Tree {
        /// Block of the hash partition, from 0.
        block: u64,
    },
}

impl Superblock {
    /// The superblock in a whole block.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for word in [1_u32, 1] {
            out.extend(word.to_le_bytes());
        }
        out.extend(self.uuid.as_bytes());
        let mut algorithm = [0; 32];
        algorithm[..6].copy_from_slice(b"sha256");
        out.extend(algorithm);
        for word in [BLOCK as u32, BLOCK as u32] {
            out.extend(word.to_le_bytes());
        }
        out.extend(self.data_blocks.to_le_bytes());
        out.extend((self.salt.len() as u16).to_le_bytes());
        out.extend([0; 6]);
        out.extend(&self.salt);
        out.resize(BLOCK, 0);
        out
    }

    /// Reads the superblock at the start of a hash partition.
    ///
    /// # Errors
    /// [`BadVerity`] when there is none, or it has other parameters.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadVerity> {
        let Some(fields) = bytes.first_chunk::<512>() else { return Err(BadVerity::Magic) };
        let word = |at: usize| {
            u32::from_le_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]])
        };
        if !fields.starts_with(MAGIC) {
            return Err(BadVerity::Magic);
        }
        if (word(8), word(12)) != (1, 1) {
            return Err(BadVerity::Parameters("version"));
        }
        if &fields[32..39] != b"sha256\0" {
            return Err(BadVerity::Parameters("algorithm"));
        }
        if (word(64), word(68)) != (BLOCK as u32, BLOCK as u32) {
            return Err(BadVerity::Parameters("block size"));
        }
        let data_blocks = u64::from(word(72)) | u64::from(word(76)) << 32;
        if data_blocks == 0 || data_blocks > MOST_BLOCKS {
            return Err(BadVerity::Parameters("number of blocks"));
        }
        let salt_length = usize::from(u16::from_le_bytes([fields[80], fields[81]]));
        if salt_length != 32 {
            return Err(BadVerity::Parameters("length of the salt"));
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&fields[16..32]);
        let salt = fields[88..88 + salt_length].to_vec();
        Ok(Self { uuid: Guid::from_bytes(uuid), data_blocks, salt })
    }
}

/// Checks the data partition and the stored tree against the root hash, block by block.
///
/// # Errors
/// [`BadVerity`] says what does not match.
pub fn check(
    data: &dyn ReadAt,
    hashes: &dyn ReadAt,
    expected: &Sha256,
) -> Result<Superblock, BadVerity> {
    let superblock = Superblock::parse(&hashes.read_vec_at(0, BLOCK)?)?;
    let length = superblock.data_blocks * BLOCK as u64;
    if length > data.size() || image_size(superblock.data_blocks) > hashes.size() {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let mut salt = [0; 32];
    salt.copy_from_slice(&superblock.salt);
    let mut hasher = Hasher::new(Sha256::from_bytes(salt));
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < length {
        let part = &mut buffer[..(length - at).min(1 << 20) as usize];
        data.read_exact_at(part, at)?;
        io::Write::write_all(&mut hasher, part)?;
        at += part.len() as u64;
    }
    let right = hasher.finish()?;
    if right.root_hash != *expected {
        return Err(BadVerity::RootHash { expected: *expected, found: right.root_hash });
    }
    let stored = hashes.read_vec_at(0, right.image.len())?;
    let differs = |(one, other): (&[u8], &[u8])| one != other;
    // Block 0 holds the superblock, whose UUID is free.
    match right.image.chunks(BLOCK).zip(stored.chunks(BLOCK)).skip(1).position(differs) {
        Some(block) => Err(BadVerity::Tree { block: block as u64 + 1 }),
        None => Ok(superblock),
    }
}
