//! The index of a pack: which content lies where, as bytes and as a value.
//!
//! In: the index bytes of a foreign pack file. Out: an [`Index`] whose every range has been
//! checked to lie inside the pack. The encoder is here too, so both sides read the same page.

use std::io;

use mailkiln_pin::Sha256;

use crate::block::{BLOCK_SIZES, SizeWord};
use mailkiln_bytes_at::ReadAt;

/// First eight bytes of a pack; the digits are the layout's version.
pub(super) const MAGIC: &[u8; 8] = b"mkpack01";

/// Trailer: where the index starts (u64), its SHA-256, the magic again.
const TRAILER: usize = 8 + 32 + 8;

/// Marks an entry without a fragment slot.
const NO_FRAGMENT: u32 = u32::MAX;

/// A run of stored bytes in the pack and their checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Offset in the pack file, in bytes.
    pub(crate) start: u64,
    /// Length in bytes.
    pub(crate) length: u64,
    /// CRC-32 (IEEE) of the stored bytes: catches a damaged cache, not an attacker.
    pub(crate) crc32: u32,
}

/// A fragment block: many small contents compressed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) extent: Extent,
    pub(crate) word: SizeWord,
}

/// Where in the fragment blocks a content's tail lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Which fragment block of the pack.
    pub(crate) number: u32,
    /// Offset in the expanded block, in bytes.
    pub(crate) offset: u32,
}

/// One content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) sha256: Sha256,
    /// Length in bytes.
    pub(crate) size: u64,
    /// The data blocks, one after the other.
    pub(crate) blocks: Extent,
    /// Index of the first data block's word in [`Index::words`].
    pub(crate) first_word: usize,
    pub(crate) fragment: Option<Slot>,
}

impl Entry {
    /// How many data blocks the content has; a tail in a fragment is not one.
    fn block_count(size: u64, fragment: Option<Slot>, block_size: u32) -> u64 {
        match fragment {
            Some(_) => size / u64::from(block_size),
            None => size.div_ceil(block_size.into()),
        }
    }
}

/// The whole index. Entries are in ascending order of digest, each digest once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) block_size: u32,
    pub(crate) fragments: Vec<Fragment>,
    pub(crate) entries: Vec<Entry>,
    /// Size words of all data blocks, entry after entry.
    pub(crate) all_words: Vec<SizeWord>,
}

/// What is wrong with the bytes of a pack's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadIndex {
    /// Magic or trailer are not there: the file is something else, or was cut short.
    #[error("its first or last bytes are not a pack's (another file, or cut short)")]
    Frame,
    /// The index does not have the digest that the trailer names.
    #[error("its index was altered")]
    Digest,
    /// The index ends in the middle of a record, or has bytes left over.
    #[error("its index ends in the wrong place")]
    Length,
    /// The block size is not a power of two that the kernel mounts.
    #[error("its block size is not one that squashfs knows")]
    BlockSize,
    /// Contents are not in ascending order.
    #[error("its contents are out of order")]
    Order,
    /// A range leaves the pack, or a slot its fragment block.
    #[error("content {0} in its index points outside the pack")]
    Range(usize),
}

/// Finds the index bytes of a pack and checks their digest. Returns them with the offset where
/// the blocks end. The outer result is the medium's, the inner one the pack's.
pub(super) fn read(source: &dyn ReadAt) -> io::Result<Result<(Vec<u8>, u64), BadIndex>> {
    let Some(trailer_at) = source.size().checked_sub(TRAILER as u64) else {
        return Ok(Err(BadIndex::Frame));
    };
    let trailer = source.read_vec_at(trailer_at, TRAILER)?;
    if trailer_at < MAGIC.len() as u64
        || source.read_vec_at(0, MAGIC.len())? != MAGIC
        || trailer[40..] != *MAGIC
    {
        return Ok(Err(BadIndex::Frame));
    }
    let mut fields = Fields(&trailer);
    let (Ok(start), Ok(digest)) = (fields.u64(), fields.sha256()) else {
        return Ok(Err(BadIndex::Frame));
    };
    let Some(length) = trailer_at.checked_sub(start).and_then(|n| usize::try_from(n).ok()) else {
        return Ok(Err(BadIndex::Frame));
    };
    let bytes = source.read_vec_at(start, length)?;
    if Sha256::of(&bytes) != digest {
        return Ok(Err(BadIndex::Digest));
    }
    Ok(Ok((bytes, start)))
}

/// The trailer for an index that starts at `start`.
pub(super) fn trailer(start: u64, index: &[u8]) -> Vec<u8> {
    let mut bytes = start.to_le_bytes().to_vec();
    bytes.extend(Sha256::of(index).as_bytes());
    bytes.extend(MAGIC);
    bytes
}

impl Index {
    /// The entry with this digest.
    pub(crate) fn find(&self, sha256: &Sha256) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.sha256.cmp(sha256)).ok()?;
        self.entries.get(at)
    }

    /// The size words of an entry's data blocks.
    pub(crate) fn words(&self, entry: &Entry) -> &[SizeWord] {
        let count = Entry::block_count(entry.size, entry.fragment, self.block_size) as usize;
        &self.all_words[entry.first_word..entry.first_word + count]
    }

    /// The index as bytes, little-endian: block size, counts, fragments, entries with words.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.block_size.to_le_bytes());
        out.extend((self.fragments.len() as u32).to_le_bytes());
        out.extend((self.entries.len() as u32).to_le_bytes());
        for fragment in &self.fragments {
            out.extend(fragment.extent.start.to_le_bytes());
            out.extend(fragment.word.0.to_le_bytes());
            out.extend(fragment.extent.crc32.to_le_bytes());
        }
        for entry in &self.entries {
            out.extend(entry.sha256.as_bytes());
            out.extend(entry.size.to_le_bytes());
            out.extend(entry.blocks.start.to_le_bytes());
            out.extend(entry.blocks.crc32.to_le_bytes());
            let slot = entry.fragment.unwrap_or(Slot { number: NO_FRAGMENT, offset: 0 });
            out.extend(slot.number.to_le_bytes());
            out.extend(slot.offset.to_le_bytes());
            for word in self.words(entry) {
                out.extend(word.0.to_le_bytes());
            }
        }
        out
    }

    /// Reads an index; blocks lie between the magic and `blocks_end`.
    pub(super) fn parse(bytes: &[u8], blocks_end: u64) -> Result<Self, BadIndex> {
        let mut fields = Fields(bytes);
        let block_size = fields.u32()?;
        if !BLOCK_SIZES.contains(&block_size) || !block_size.is_power_of_two() {
            return Err(BadIndex::BlockSize);
        }
        let (fragment_count, entry_count) = (fields.u32()?, fields.u32()?);
        // Nothing is reserved from the foreign counts: vectors grow with bytes really there.
        let mut index =
            Self { block_size, fragments: Vec::new(), entries: Vec::new(), all_words: Vec::new() };
        for _ in 0..fragment_count {
            let (start, word, crc32) = (fields.u64()?, SizeWord(fields.u32()?), fields.u32()?);
            index.fragments.push(Fragment {
                extent: Extent { start, length: word.stored().into(), crc32 },
                word,
            });
        }
        for _ in 0..entry_count {
            index.parse_entry(&mut fields)?;
        }
        if !fields.0.is_empty() {
            return Err(BadIndex::Length);
        }
        index.check(blocks_end)?;
        Ok(index)
    }

    fn parse_entry(&mut self, fields: &mut Fields<'_>) -> Result<(), BadIndex> {
        let (sha256, size, start) = (fields.sha256()?, fields.u64()?, fields.u64()?);
        let (crc32, number, offset) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let fragment = (number != NO_FRAGMENT).then_some(Slot { number, offset });
        let first_word = self.all_words.len();
        let mut length = 0_u64;
        for _ in 0..Entry::block_count(size, fragment, self.block_size) {
            let word = SizeWord(fields.u32()?);
            length += u64::from(word.stored());
            self.all_words.push(word);
        }
        let blocks = Extent { start, length, crc32 };
        self.entries.push(Entry { sha256, size, blocks, first_word, fragment });
        Ok(())
    }

    fn check(&self, blocks_end: u64) -> Result<(), BadIndex> {
        let inside = |extent: &Extent| {
            extent.start >= MAGIC.len() as u64
                && extent.start.checked_add(extent.length).is_some_and(|end| end <= blocks_end)
        };
        if !self.fragments.iter().all(|fragment| {
            inside(&fragment.extent) && (1..=self.block_size).contains(&fragment.word.stored())
        }) {
            return Err(BadIndex::Range(0));
        }
        if self.entries.is_sorted_by(|one, next| one.sha256 < next.sha256) {
            for (number, entry) in self.entries.iter().enumerate() {
                let tail = entry.size % u64::from(self.block_size);
                let slot_fits = entry.fragment.is_none_or(|slot| {
                    (slot.number as usize) < self.fragments.len()
                        && tail > 0
                        && u64::from(slot.offset) + tail <= self.block_size.into()
                });
                let words_fit = self
                    .words(entry)
                    .iter()
                    .all(|word| (1..=self.block_size).contains(&word.stored()));
                if !inside(&entry.blocks) || !slot_fits || !words_fit {
                    return Err(BadIndex::Range(number));
                }
            }
            Ok(())
        } else {
            Err(BadIndex::Order)
        }
    }
}

/// Little-endian fields taken off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadIndex> {
        let (first, rest) = self.0.split_first_chunk().ok_or(BadIndex::Length)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, BadIndex> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, BadIndex> {
        self.take().map(u64::from_le_bytes)
    }

    fn sha256(&mut self) -> Result<Sha256, BadIndex> {
        self.take().map(Sha256::from_bytes)
    }
}
