//! gzip members (RFC 1952) made of parts that were deflated alone.
//!
//! In: parts that end on a byte, each with its CRC-32. Out: one member. Neither a time nor a name is in
//! its header, and the operating system is "unknown".

use std::io::{self, Read as _, Write};

use flate2::{Compress, Compression, FlushCompress};
use mailkiln_bytes_at::ReadAt;

use crate::codec::Block;

/// The first bytes of a member (§2.3.1).
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate, no flags, time 0, no extra flags, operating system unknown.
const HEADER: [u8; 10] = [MAGIC[0], MAGIC[1], 8, 0, 0, 0, 0, 0, 0, 255];

/// A last block of no bytes, with fixed codes (RFC 1951 §3.2.6).
const LAST: [u8; 2] = [3, 0];

/// Bytes of a file in which the start of a member's content is looked for.
const HEAD: u64 = 4096;

/// Bytes of a member's content that are looked at.
const CONTENT: usize = 512;

/// A member being written.
#[derive(Default)]
pub(crate) struct Member {
    crc: crc32fast::Hasher,
    length: u64,
}

impl Member {
    /// Writes the header.
    pub(crate) fn start(out: &mut dyn Write) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self::default())
    }

    /// Writes a part that [`crate::codec::Codec::Gzip`] has made.
    pub(crate) fn add(&mut self, block: &Block, out: &mut dyn Write) -> io::Result<()> {
        let part = crc32fast::Hasher::new_with_initial_len(block.check as u32, block.length);
        self.crc.combine(&part);
        self.length += block.length;
        out.write_all(&block.bytes)
    }

    /// Compresses and writes what no codec has seen: headers of an archive.
    pub(crate) fn add_plain(&mut self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let mut engine = Compress::new(Compression::best(), false);
        let packed = crate::codec::deflate(&mut engine, bytes, FlushCompress::Sync)?;
        self.crc.update(bytes);
        self.length += bytes.len() as u64;
        out.write_all(&packed)
    }

    /// Writes checksum and length.
    pub(crate) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&LAST)?;
        out.write_all(&self.crc.clone().finalize().to_le_bytes())?;
        // The length modulo 2^32 (§2.3.1).
        out.write_all(&(self.length as u32).to_le_bytes())
    }
}

/// The first bytes of what a gzip file holds, as many as a tar header has; `None` for other files.
pub(crate) fn head(file: &dyn ReadAt) -> Option<[u8; CONTENT]> {
    let head = file.read_vec_at(0, file.size().min(HEAD) as usize).ok()?;
    let mut content = [0; CONTENT];
    let is_gzip = head.starts_with(&MAGIC);
    let mut decoder = flate2::read::GzDecoder::new(head.as_slice());
    (is_gzip && decoder.read_exact(&mut content).is_ok()).then_some(content)
}
