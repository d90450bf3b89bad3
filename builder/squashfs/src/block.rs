//! One data or fragment block: compressed with zstd, or stored raw when that does not help.
//!
//! In: up to one block size of bytes. Out: the stored bytes and the 32-bit size word that
//! squashfs keeps beside them (low 24 bits: stored length; bit 24: stored raw; 0: all zeros).

use std::io;

/// Block size of an image in bytes.
///
/// Measured on trixie's minimal package set (145 MiB without documentation): 128 KiB blocks give
/// 69.98 MB, 256 KiB 68.33 MB. Larger ones save less, and every page that is read costs the
/// appliance the expansion of a whole block.
pub const DEFAULT_BLOCK_SIZE: u32 = 256 * 1024;

/// zstd level for packs. High, since a pack is compressed once and cached; on the same files
/// level 19 saves 0.4 % more and takes 1.4 to 2.2 times as long.
pub const DEFAULT_LEVEL: i32 = 15;

/// Smallest and largest block size the kernel mounts (`SQUASHFS_FILE_MAX_SIZE`).
pub(crate) const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 4096..=1024 * 1024;

/// Bit of a size word that says "not compressed" (`SQUASHFS_COMPRESSED_BIT_BLOCK`).
const RAW: u32 = 1 << 24;

/// The size word of a block, as inodes and the fragment table hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeWord(pub(crate) u32);

impl SizeWord {
    /// How many bytes the block takes in the image.
    pub(crate) const fn stored(self) -> u32 {
        self.0 & (RAW - 1)
    }

    const fn is_raw(self) -> bool {
        self.0 & RAW != 0
    }
}

/// A stored block does not expand to what its place in the image promises.
#[derive(Debug, thiserror::Error)]
pub enum BadBlock {
    /// It is larger than a block may be, or has unknown bits.
    #[error("a data block's size word {0:#010x} is not valid; the image or pack is damaged")]
    SizeWord(u32),
    /// zstd refuses it, or it expands to more than its place allows.
    #[error("a data block does not decompress ({0}); the image or pack is damaged")]
    Zstd(io::Error),
    /// It expands to another length than the file's size asks for.
    #[error(
        "a data block holds {found} bytes where {expected} belong; the image or pack is damaged"
    )]
    Length {
        /// Bytes that the file's size asks for.
        expected: usize,
        /// Bytes that came out.
        found: usize,
    },
}

/// Compresses blocks; keeps zstd's working memory between calls.
pub(crate) struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        zstd::bulk::Compressor::new(level).map(Self)
    }

    /// Appends the stored form of `plain` to `out`. `plain` is not empty and at most 1 MiB.
    ///
    /// One frame of known content size is written, so its window is no larger than the block,
    /// which is all the memory the kernel sets aside (`fs/squashfs/zstd_wrapper.c`).
    pub(crate) fn store(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<SizeWord> {
        let packed = self.0.compress(plain)?;
        let (bytes, flag) =
            if packed.len() < plain.len() { (packed.as_slice(), 0) } else { (plain, RAW) };
        out.extend_from_slice(bytes);
        Ok(SizeWord(bytes.len() as u32 | flag))
    }
}

/// Expands a stored block to at most `limit` bytes.
pub(crate) fn expand(stored: &[u8], word: SizeWord, limit: usize) -> Result<Vec<u8>, BadBlock> {
    if word.0 > RAW | (RAW - 1) || stored.len() != word.stored() as usize {
        return Err(BadBlock::SizeWord(word.0));
    }
    if word.is_raw() {
        return (stored.len() <= limit).then(|| stored.to_vec()).ok_or(BadBlock::SizeWord(word.0));
    }
    zstd::bulk::decompress(stored, limit).map_err(BadBlock::Zstd)
}

/// Expands a stored block that must hold exactly `length` bytes. A size word of 0 is a hole.
pub(crate) fn expand_exactly(
    stored: &[u8],
    word: SizeWord,
    length: usize,
) -> Result<Vec<u8>, BadBlock> {
    if word.0 == 0 {
        return Ok(vec![0; length]);
    }
    let plain = expand(stored, word, length)?;
    if plain.len() != length {
        return Err(BadBlock::Length { expected: length, found: plain.len() });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_raw_and_compressed() {
        let noise: Vec<u8> = (0..4096_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761).wrapping_mul(n ^ 0x5bd1_e995) >> 24) as u8)
            .collect();
        for (plain, raw) in [(noise, true), (vec![7; 4096], false), (vec![1], true)] {
            let mut stored = Vec::new();
            let word = Compressor::new(3).unwrap().store(&plain, &mut stored).unwrap();
            assert_eq!(word.is_raw(), raw);
            assert_eq!(expand_exactly(&stored, word, plain.len()).unwrap(), plain);
            assert!(expand_exactly(&stored, word, plain.len() + 1).is_err());
            assert!(expand_exactly(&stored, word, plain.len() - 1).is_err());
            assert!(expand(&stored[1..], word, plain.len()).is_err());
        }
        assert_eq!(expand_exactly(&[], SizeWord(0), 3).unwrap(), [0; 3]);
    }
}
