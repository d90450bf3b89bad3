//! Makes packs: compresses contents into squashfs blocks, once.
//!
//! In: contents, in the order of the caller's choice (neighbours share fragment blocks). Out:
//! a pack file, the same bytes whatever the number of threads.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::thread;

use mailkiln_pin::Sha256;

use super::index::{self, Entry, Extent, Fragment, Index, Slot};
use crate::block::{BLOCK_SIZES, Compressor, DEFAULT_BLOCK_SIZE, DEFAULT_LEVEL, SizeWord};

/// How blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Block size in bytes: a power of two, 4 KiB to 1 MiB. All packs of an image have the same.
    pub block_size: u32,
    /// zstd level, 1 to 22.
    pub level: i32,
}

impl Default for Params {
    fn default() -> Self {
        Self { block_size: DEFAULT_BLOCK_SIZE, level: DEFAULT_LEVEL }
    }
}

/// Writes a pack. Nothing is readable until [`PackWriter::finish`] has succeeded.
pub struct PackWriter<W> {
    out: W,
    /// Bytes written so far.
    written: u64,
    params: Params,
    compressor: Compressor,
    /// Small contents that wait for their fragment block to fill.
    pending: Vec<u8>,
    fragments: Vec<Fragment>,
    contents: BTreeMap<Sha256, (Entry, Vec<SizeWord>)>,
}

impl<W: Write> PackWriter<W> {
    /// Starts a pack on `out`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a block size or level that does not exist; what
    /// `out` reports.
    pub fn new(mut out: W, params: Params) -> io::Result<Self> {
        if !BLOCK_SIZES.contains(&params.block_size)
            || !params.block_size.is_power_of_two()
            || !(1..=22).contains(&params.level)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{params:?}: the block size must be a power of two from 4096 to 1048576, \
                     the level one of 1 to 22"
                ),
            ));
        }
        out.write_all(index::MAGIC)?;
        Ok(Self {
            out,
            written: index::MAGIC.len() as u64,
            params,
            compressor: Compressor::new(params.level)?,
            pending: Vec::new(),
            fragments: Vec::new(),
            contents: BTreeMap::new(),
        })
    }

    /// Adds a content and returns its digest. The same content twice is stored once.
    ///
    /// Contents shorter than a block share fragment blocks; longer ones get blocks of their own,
    /// which are compressed by as many threads as the machine has.
    ///
    /// # Errors
    /// What zstd or the output reports.
    pub fn add(&mut self, content: &[u8]) -> io::Result<Sha256> {
        let sha256 = Sha256::of(content);
        if self.contains(&sha256) {
            return Ok(sha256);
        }
        let size = content.len() as u64;
        let mut entry = Entry {
            sha256,
            size,
            blocks: Extent { start: self.written, length: 0, crc32: 0 },
            first_word: 0,
            fragment: None,
        };
        let mut words = Vec::new();
        if size > 0 && size < u64::from(self.params.block_size) {
            entry.fragment = Some(self.reserve_slot(content)?);
        } else {
            let (stored, sizes) = self.compress(content)?;
            words = sizes;
            entry.blocks.length = stored.len() as u64;
            entry.blocks.crc32 = crc32fast::hash(&stored);
            self.emit(&stored)?;
        }
        self.contents.insert(sha256, (entry, words));
        Ok(sha256)
    }

    /// Whether a content with this digest has been added.
    pub fn contains(&self, sha256: &Sha256) -> bool {
        self.contents.contains_key(sha256)
    }

    /// Writes the last fragment block and the index, flushes, and returns the output.
    ///
    /// # Errors
    /// What zstd or the output reports.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush_fragment()?;
        let mut index = Index {
            block_size: self.params.block_size,
            fragments: std::mem::take(&mut self.fragments),
            entries: Vec::new(),
            all_words: Vec::new(),
        };
        for (mut entry, words) in std::mem::take(&mut self.contents).into_values() {
            entry.first_word = index.all_words.len();
            index.all_words.extend(words);
            index.entries.push(entry);
        }
        let start = self.written;
        let bytes = index.encode();
        self.emit(&bytes)?;
        self.emit(&index::trailer(start, &bytes))?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn emit(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn reserve_slot(&mut self, content: &[u8]) -> io::Result<Slot> {
        if self.pending.len() + content.len() > self.params.block_size as usize {
            self.flush_fragment()?;
        }
        let slot = Slot { number: self.fragments.len() as u32, offset: self.pending.len() as u32 };
        self.pending.extend_from_slice(content);
        Ok(slot)
    }

    fn flush_fragment(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut stored = Vec::new();
        let word = self.compressor.store(&self.pending, &mut stored)?;
        let extent = Extent {
            start: self.written,
            length: stored.len() as u64,
            crc32: crc32fast::hash(&stored),
        };
        self.fragments.push(Fragment { extent, word });
        self.pending.clear();
        self.emit(&stored)
    }

    /// The stored blocks of a long content and their size words, in order.
    fn compress(&mut self, content: &[u8]) -> io::Result<(Vec<u8>, Vec<SizeWord>)> {
        let block_size = self.params.block_size as usize;
        let blocks = content.len().div_ceil(block_size);
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(blocks);
        if threads <= 1 {
            return store_blocks(&mut self.compressor, content, block_size);
        }
        // Each thread takes one contiguous run of whole blocks, so joining in order is enough.
        let run = blocks.div_ceil(threads) * block_size;
        let level = self.params.level;
        let runs = thread::scope(|scope| {
            let workers: Vec<_> = content
                .chunks(run)
                .map(|part| {
                    scope
                        .spawn(move || store_blocks(&mut Compressor::new(level)?, part, block_size))
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| {
                    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect::<io::Result<Vec<_>>>()
        })?;
        let (mut stored, mut words) = (Vec::new(), Vec::new());
        for (bytes, sizes) in runs {
            stored.extend(bytes);
            words.extend(sizes);
        }
        Ok((stored, words))
    }
}

fn store_blocks(
    compressor: &mut Compressor,
    content: &[u8],
    block_size: usize,
) -> io::Result<(Vec<u8>, Vec<SizeWord>)> {
    let mut stored = Vec::new();
    let words = content
        .chunks(block_size)
        .map(|block| compressor.store(block, &mut stored))
        .collect::<io::Result<_>>()?;
    Ok((stored, words))
}

impl<W> std::fmt::Debug for PackWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackWriter")
            .field("params", &self.params)
            .field("contents", &self.contents.len())
            .finish_non_exhaustive()
    }
}
