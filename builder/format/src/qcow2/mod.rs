//! qcow2, QEMU's disk format, version 3: written without compression, and read.
//!
//! In: a disk with holes. Out: header, reference counts, tables, and the clusters that are not
//! holes, in disk order. Format: QEMU's `docs/interop/qcow2.rst`.

mod reader;
mod writer;

pub use reader::{BadQcow2, Qcow2};
pub(crate) use writer::write;

/// "QFI\xfb".
pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";

const VERSION: u32 = 3;

/// Clusters of 64 KiB, QEMU's own choice.
const CLUSTER_BITS: u32 = 16;

/// Length of a version 3 header without the extensions.
const HEADER_LEN: usize = 104;

/// Says in a table entry that the cluster is referred to exactly once.
const COPIED: u64 = 1 << 63;

/// Bits of a table entry that hold an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
