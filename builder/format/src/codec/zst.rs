//! Zstandard (RFC 8878): large frames for files, small ones for the clusters of qcow2.

use std::io::{self, Write as _};
use std::sync::Arc;

use zstd::zstd_safe::CParameter;

use super::{Block, CLUSTER};
use crate::sparse::is_zero;
use crate::stretch::Stretch;

/// Bytes of disk that one frame holds, and the window in which repetitions are found. The boot
/// partition comes first and holds kernel and initrd twice (for UEFI and for a BIOS), which
/// together fit one frame, so the second copy costs nothing. `zstd -d` takes windows of up to
/// 128 MiB without being asked.
const FRAME_LOG: u32 = 25;
pub(super) const FRAME: u64 = 1 << FRAME_LOG;

/// Almost everything on the disk is compressed already; higher levels find nothing more.
const LEVEL: i32 = 3;

/// Memory of an encoder in bytes: input window, tables, and the frame it waits to hand over.
pub(super) const MEMORY: u64 = 80 << 20;

/// Compresses a frame.
pub(super) fn frame(stretch: &Stretch<'_>, start: u64, end: u64) -> io::Result<Block> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.set_parameter(CParameter::WindowLog(FRAME_LOG))?;
    encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(end - start))?;
    for piece in stretch.pieces_in(start, end) {
        let (_, piece) = piece?;
        encoder.write_all(&piece)?;
    }
    Ok(Block { bytes: Arc::new(encoder.finish()?), length: end - start, check: 0 })
}

/// Clusters of a stretch, each a frame.
pub(super) fn clusters(stretch: &Stretch<'_>) -> io::Result<Vec<Block>> {
    let mut engine = zstd::bulk::Compressor::new(LEVEL)?;
    let mut blocks = Vec::new();
    stretch.each_block(CLUSTER, |_, cluster| {
        let packed = match cluster.filter(|bytes| !is_zero(bytes)) {
            None => Vec::new(),
            Some(bytes) => {
                let mut whole = bytes.to_vec();
                whole.resize(CLUSTER as usize, 0);
                engine.compress(&whole)?
            }
        };
        blocks.push(Block { bytes: Arc::new(packed), length: CLUSTER, check: 0 });
        Ok(())
    })?;
    Ok(blocks)
}
