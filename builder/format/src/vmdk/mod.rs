//! VMDK as VMware and everybody else exchanges it: one file, compressed, "streamOptimized".
//!
//! In: grains of 64 KiB, deflated. Out: header and descriptor, the grains with their tables, and at the
//! end the table of tables and a second header. Format: VMware's *Virtual Disk Format 5.0*, "Stream-Optimized
//! Compressed Sparse Extents". Identifiers are derived from the disk.

mod reader;
mod writer;

use crate::codec::{CLUSTER, Codec};
use crate::open::LARGEST_DISK;
use crate::registry::{Description, Magic};

pub(crate) use reader::open;
pub(crate) use writer::Grains;

/// What a header begins with.
const MAGIC: &[u8; 4] = b"KDMV";

/// Version 3: with markers.
const VERSION: u32 = 3;

/// Bytes of a sector, in which everything is counted.
const SECTOR: u64 = 512;

/// Sectors of a grain.
const GRAIN: u64 = CLUSTER / SECTOR;

/// Grains of a table.
const GRAINS: u64 = 512;

/// The line endings in the header are checked, grains are compressed, metadata have markers.
const FLAGS: u32 = 1 | COMPRESSED | MARKERS;
const COMPRESSED: u32 = 1 << 16;
const MARKERS: u32 = 1 << 17;

/// The table of tables is at the end of the file; the header there knows where.
const AT_END: u64 = u64::MAX;

/// Deflate, with the header and checksum of zlib (RFC 1950).
const DEFLATE: u16 = 1;

/// What a header has line endings for: to notice a transfer that changed them.
const ENDINGS: &[u8; 4] = b"\n \r\n";

/// For VMware.
pub(crate) static VMDK: Description = Description {
    name: "vmdk",
    suffix: "vmdk",
    title: "VMware, VirtualBox: streamOptimized",
    magic: Magic::Start(MAGIC),
    step: 1 << 20,
    most: LARGEST_DISK,
    qemu: Some("vmdk"),
    stream: None,
    codec: Codec::Deflate,
    start: |plan, out| Ok(Box::new(Grains::start(plan, out)?)),
    open,
};
