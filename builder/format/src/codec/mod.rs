//! What the blocks of formats are compressed with.
//!
//! In: a stretch of a disk. Out: its blocks, each compressed from its own bytes alone, so that neither
//! the number of threads nor their order shows. Formats with the same codec share its work.

mod deflate;
mod xz;
mod zst;

use std::io;
use std::sync::{Arc, OnceLock};

use crate::sparse::PIECE;
use crate::stretch::Stretch;

pub(crate) use deflate::{CLUSTER, deflate, inflate};
pub(crate) use xz::CHECK as XZ_CHECK;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Not at all.
    Plain,
    /// Clusters of 64 KiB, deflated with a window of 4 KiB: qcow2 and VMDK.
    Deflate,
    /// Clusters of 64 KiB as zstd frames: qcow2.
    ZstdClusters,
    /// 1 MiB each, deflated with a window of 32 KiB and ended on a byte: gzip.
    Gzip,
    /// Blocks of an xz stream.
    Xz,
    /// Frames of 32 MiB: zstd files.
    ZstdFrames,
}

/// A compressed block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The bytes; for clusters that are zero, none.
    pub(crate) bytes: Arc<Vec<u8>>,
    /// How many bytes of the disk it is.
    pub(crate) length: u64,
    /// For deflated clusters their Adler-32, for gzip the CRC-32, for xz the unpadded size.
    pub(crate) check: u64,
}

/// Blocks of nothing but zeros, made once each.
#[derive(Debug, Default)]
pub(crate) struct Zeros {
    gzip: OnceLock<Block>,
    xz: OnceLock<Block>,
    zstd: OnceLock<Block>,
}

impl Codec {
    /// Bytes of disk that it takes at least: a multiple of a piece's length.
    pub(crate) const fn unit(self) -> u64 {
        match self {
            Self::Plain | Self::Deflate | Self::ZstdClusters | Self::Gzip => PIECE,
            Self::Xz => xz::BLOCK,
            Self::ZstdFrames => zst::FRAME,
        }
    }

    /// About how many bytes of memory a thread needs for it, beside the stretch.
    pub(crate) const fn memory(self) -> u64 {
        match self {
            Self::Plain => 0,
            Self::Deflate | Self::ZstdClusters | Self::Gzip => 2 << 20,
            Self::Xz => xz::MEMORY,
            Self::ZstdFrames => zst::MEMORY,
        }
    }

    /// Compresses a stretch.
    pub(crate) fn encode(self, stretch: &Stretch<'_>, zeros: &Zeros) -> io::Result<Vec<Block>> {
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Deflate => deflate::clusters(stretch),
            Self::ZstdClusters => zst::clusters(stretch),
            Self::Gzip => units(stretch, PIECE, &zeros.gzip, deflate::member),
            Self::Xz => units(stretch, xz::BLOCK, &zeros.xz, xz::block),
            Self::ZstdFrames => units(stretch, zst::FRAME, &zeros.zstd, zst::frame),
        }
    }
}

/// Cuts a stretch into units. Whole units of holes are compressed once for the whole disk.
fn units(
    stretch: &Stretch<'_>,
    length: u64,
    zeros: &OnceLock<Block>,
    encode: fn(&Stretch<'_>, u64, u64) -> io::Result<Block>,
) -> io::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for start in (stretch.start()..stretch.end()).step_by(length as usize) {
        let end = (start + length).min(stretch.end());
        let is_hole = end - start == length && stretch.is_hole(start, end);
        blocks.push(match zeros.get() {
            Some(block) if is_hole => block.clone(),
            _ => {
                let block = encode(stretch, start, end)?;
                if is_hole {
                    let _ = zeros.set(block.clone());
                }
                block
            }
        });
    }
    Ok(blocks)
}
