//! qcow2, QEMU's disk format, version 3: written as it is or with compressed clusters, and read.
//!
//! In: a disk with holes. Out: header, reference counts, tables, and the clusters that are not
//! holes. Format: QEMU's `docs/interop/qcow2.rst`.

mod packed;
mod reader;
mod writer;

use crate::codec::Codec;
use crate::open::{BadFormat, Foreign, LARGEST_DISK, Opened};
use crate::registry::{Description, Magic};

pub(crate) use reader::Qcow2;
pub(crate) use writer::{Clusters, Layout};

/// "QFI\xfb".
pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";

const VERSION: u32 = 3;

/// Clusters of 64 KiB, QEMU's own choice.
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;

/// Length of a version 3 header without the extensions.
const HEADER_LEN: usize = 104;

/// Says in a table entry that the cluster is referred to exactly once.
const COPIED: u64 = 1 << 63;

/// In a second-level entry: the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;

/// Bits of a table entry that hold an offset.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// An incompatible feature: the header says how clusters are compressed.
const COMPRESSION_TYPE: u64 = 1 << 3;

/// As it is.
pub(crate) static QCOW2: Description = Description {
    name: "qcow2",
    suffix: "qcow2",
    title: "QEMU, libvirt, Proxmox, OpenStack; not compressed",
    magic: Magic::Start(&MAGIC),
    step: 512,
    most: LARGEST_DISK,
    qemu: Some("qcow2"),
    stream: None,
    codec: Codec::Plain,
    start: writer::start,
    open,
};

/// Clusters compressed with zlib, which every QEMU reads.
pub(crate) static QCOW2_ZLIB: Description = Description {
    name: "qcow2-zlib",
    suffix: "zlib.qcow2",
    title: "the same with clusters compressed by zlib",
    codec: Codec::Deflate,
    start: |plan, _| packed::start(plan, packed::Compression::Zlib),
    ..QCOW2
};

/// Clusters compressed with zstd, which QEMU reads since 5.1.
pub(crate) static QCOW2_ZSTD: Description = Description {
    name: "qcow2-zstd",
    suffix: "zstd.qcow2",
    title: "the same with clusters compressed by zstd, for QEMU 5.1 and later",
    codec: Codec::ZstdClusters,
    start: |plan, _| packed::start(plan, packed::Compression::Zstd),
    ..QCOW2
};

fn open(file: Foreign) -> Result<Opened, BadFormat> {
    Ok(Box::new(Qcow2::open(file.source)?))
}
