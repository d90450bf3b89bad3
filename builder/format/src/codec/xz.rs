//! Blocks of an xz stream (The .xz File Format 1.2.1 §3).

use std::io::{self, Write as _};
use std::sync::Arc;

use liblzma::stream::{Check, Filters, LzmaOptions, Stream};

use super::Block;
use crate::stretch::Stretch;

/// Bytes of disk in a block.
pub(crate) const BLOCK: u64 = 4 << 20;

/// The check that blocks end with, as the stream's flags name it: CRC64.
pub(crate) const CHECK: u8 = 4;

/// Almost everything on the disk is compressed already; higher presets cost minutes for a percent.
const PRESET: u32 = 1;

/// Memory of an encoder, in bytes: its match finder is about ten times as large as its dictionary.
pub(super) const MEMORY: u64 = 48 << 20;

/// Bytes of a stream's header, and of its footer (§2.1).
const FRAME: usize = 12;

/// Compresses a block: as a stream of its own, of which the block is taken.
pub(super) fn block(stretch: &Stretch<'_>, start: u64, end: u64) -> io::Result<Block> {
    let mut options = LzmaOptions::new_preset(PRESET)?;
    options.dict_size(BLOCK as u32);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let stream = Stream::new_stream_encoder(&filters, Check::Crc64)?;
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    for piece in stretch.pieces_in(start, end) {
        let (_, piece) = piece?;
        encoder.write_all(&piece)?;
    }
    let mut bytes = encoder.finish()?;
    let odd = || io::Error::other("the xz library wrote a stream that can't be taken apart");
    // The footer says how long the index is, whose only record says how long the block is.
    let footer = bytes.len().checked_sub(FRAME).ok_or_else(odd)?;
    let backward = bytes.get(footer + 4..footer + 8).ok_or_else(odd)?;
    let backward = u32::from_le_bytes([backward[0], backward[1], backward[2], backward[3]]);
    let index = footer.checked_sub((backward as usize + 1) * 4).ok_or_else(odd)?;
    let unpadded = bytes.get(index + 2..).and_then(number).ok_or_else(odd)?;
    bytes.truncate(index);
    bytes.drain(..FRAME);
    if bytes.len() as u64 != unpadded.next_multiple_of(4) {
        return Err(odd());
    }
    Ok(Block { bytes: Arc::new(bytes), length: end - start, check: unpadded })
}

/// A multibyte integer (§1.2).
fn number(bytes: &[u8]) -> Option<u64> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
