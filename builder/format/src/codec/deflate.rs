//! Deflate (RFC 1951), in clusters and as parts of one gzip member.

use std::io;
use std::sync::Arc;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Block;
use crate::sparse::is_zero;
use crate::stretch::Stretch;

/// Bytes of a cluster of qcow2, and of a grain of VMDK.
pub(crate) const CLUSTER: u64 = 64 << 10;

/// qcow2's clusters are made with a window of 2^12 bytes (QEMU's `docs/interop/qcow2.rst`,
/// "compressed clusters").
const CLUSTER_WINDOW: u8 = 12;

/// Almost everything on the disk is compressed already; higher levels find little more.
const LEVEL: u32 = 6;

/// Largest sum of Adler-32 that fits 32 bits after so many bytes (RFC 1950 §8.2, `NMAX` of zlib).
const ADLER_RUN: usize = 5552;

/// Clusters of a stretch, each deflated alone.
pub(super) fn clusters(stretch: &Stretch<'_>) -> io::Result<Vec<Block>> {
    let mut engine = Compress::new_with_window_bits(Compression::new(LEVEL), false, CLUSTER_WINDOW);
    let mut blocks = Vec::new();
    stretch.each_block(CLUSTER, |_, cluster| {
        let Some(bytes) = cluster.filter(|bytes| !is_zero(bytes)) else {
            blocks.push(Block { bytes: Arc::default(), length: CLUSTER, check: 0 });
            return Ok(());
        };
        // The last cluster of a disk is filled up: readers expect a whole one.
        let mut whole = bytes.to_vec();
        whole.resize(CLUSTER as usize, 0);
        engine.reset();
        let packed = deflate(&mut engine, &whole, FlushCompress::Finish)?;
        let check = u64::from(adler32(&whole));
        blocks.push(Block { bytes: Arc::new(packed), length: CLUSTER, check });
        Ok(())
    })?;
    Ok(blocks)
}

/// A part of a gzip member: deflated alone, and ended on a byte without ending the member.
pub(super) fn member(stretch: &Stretch<'_>, start: u64, end: u64) -> io::Result<Block> {
    let mut engine = Compress::new(Compression::new(LEVEL), false);
    let mut crc = crc32fast::Hasher::new();
    let mut bytes = Vec::new();
    for piece in stretch.pieces_in(start, end) {
        let (_, piece) = piece?;
        crc.update(&piece);
        bytes.extend(deflate(&mut engine, &piece, FlushCompress::Sync)?);
    }
    let check = u64::from(crc.finalize());
    Ok(Block { bytes: Arc::new(bytes), length: end - start, check })
}

/// Deflates all of `input`.
pub(crate) fn deflate(
    engine: &mut Compress,
    input: &[u8],
    flush: FlushCompress,
) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(input.len() + input.len() / 512 + 128);
    let before = engine.total_in();
    loop {
        let done = (engine.total_in() - before) as usize;
        let status = engine.compress_vec(&input[done..], &mut out, flush)?;
        let all = (engine.total_in() - before) as usize == input.len();
        if status == Status::StreamEnd || all && out.len() < out.capacity() {
            return Ok(out);
        }
        out.reserve(4096);
    }
}

/// Inflates raw deflate, or zlib where `header` is set, into exactly `out`.
pub(crate) fn inflate(packed: &[u8], header: bool, out: &mut [u8]) -> io::Result<()> {
    let mut engine = Decompress::new(header);
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "a compressed cluster is damaged");
    engine.decompress(packed, out, FlushDecompress::Finish).map_err(|_| bad())?;
    if engine.total_out() == out.len() as u64 { Ok(()) } else { Err(bad()) }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for run in bytes.chunks(ADLER_RUN) {
        for &byte in run {
            low += u32::from(byte);
            high += low;
        }
        low %= 65521;
        high %= 65521;
    }
    high << 16 | low
}
