//! The disk: partitions, boot chain and root file system joined into one image.
//!
//! In: the laid-out root file system, the parts that boot it, sizes from the target's file.
//! Out: the image's bytes at their places in a seekable output, what lies where, and the root
//! hash. What is not written is zero, so the image is sparse.

mod assemble;
mod blobs;
mod command_line;
mod place;
mod seed_place;
mod system;

pub use assemble::assemble;
pub use command_line::BadCommandLine;
pub use place::Extent;
pub use seed_place::{NoSeedPlace, SEED_ROOM, seed_place};
pub(crate) use system::SYSTEM_LABEL;
pub use system::{Loader, SystemDisk, SystemInput, assemble_system};

use std::borrow::Cow;
use std::io;

use mailkiln_pin::{Arch, Sha256};
use mailkiln_squashfs::{Plan, WriteError};

use crate::ext4::Ext4Error;
use crate::fat::{FatError, FatFile};
use crate::gpt::{Gpt, Lba, TooSmall};
use crate::grub::{Grub, GrubError};
use crate::uki::BadStub;

/// Partitions start and end on this many bytes, which suits every medium's erase blocks.
pub const ALIGNMENT: u64 = 1 << 20;

/// Where the partitions start and how large they are, in bytes, each a multiple of [`ALIGNMENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Where the first partition starts; the table and a board's blobs lie before it.
    pub start: u64,
    /// The EFI system partition.
    pub esp: u64,
    /// One root slot.
    pub root: u64,
    /// The hash tree of one root slot.
    pub verity: u64,
    /// The BIOS boot partition, where the disk starts from a BIOS too.
    pub bios: u64,
    /// The disk is a multiple of this long, so that nobody has to lengthen it after its partition table is written.
    pub multiple: u64,
}

/// What the firmware and the kernel need before there is a root file system.
#[derive(Debug, Clone, Copy)]
pub struct Boot<'a> {
    /// systemd's EFI stub of the image's architecture.
    pub stub: &'a [u8],
    /// The kernel, as its package ships it.
    pub kernel: &'a [u8],
    /// The initrd, ready to be loaded.
    pub initrd: &'a [u8],
    /// `/usr/lib/os-release` of the image.
    pub os_release: &'a str,
    /// The kernel's release.
    pub uname: &'a str,
    /// The kernel command line, without the root hash: that is added here.
    pub command_line: &'a str,
}

/// Everything that makes a disk.
#[derive(Debug, Clone)]
pub struct DiskInput<'a> {
    /// Whose machine code is in it.
    pub arch: Arch,
    /// Sizes of the partitions.
    pub sizes: Sizes,
    /// The root file system, laid out.
    pub root: &'a Plan<'a>,
    /// What boots it.
    pub boot: Boot<'a>,
    /// GRUB, when machines with a BIOS shall boot it too.
    pub bios: Option<&'a Grub<'a>>,
    /// What the machine's own firmware wants to find.
    pub firmware: Firmware<'a>,
}

/// What a board's firmware wants to find on the disk beside the UKI.
#[derive(Debug, Clone, Default)]
pub struct Firmware<'a> {
    /// Further files for the boot partition.
    pub files: Vec<FatFile<'a>>,
    /// Programs at fixed places before the first partition.
    pub blobs: Vec<Blob<'a>>,
    /// Whether the MBR names the boot partition too.
    pub hybrid_mbr: bool,
}

/// A program at a fixed place.
#[derive(Debug, Clone)]
pub struct Blob<'a> {
    /// What it is, for whoever has to correct it.
    pub name: String,
    /// Its first sector.
    pub start: Lba,
    /// Its bytes.
    pub content: Cow<'a, [u8]>,
}

/// A disk that has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Length of the image in bytes.
    pub size: u64,
    /// What of it may be other than zero, ascending: all that needs flashing.
    pub extents: Vec<Extent>,
    /// The partition table.
    pub table: Gpt,
    /// Root hash of the root partition.
    pub root_hash: Sha256,
    /// Blocks of 4096 bytes that the root hash covers.
    pub data_blocks: u64,
    /// The whole kernel command line.
    pub command_line: String,
}

/// A disk can't be assembled.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A size in the target's file is not possible.
    #[error(
        "the size of the {partition} partition, {size}, is not a multiple of 1 MiB; correct the target's file"
    )]
    Size {
        /// Which partition.
        partition: &'static str,
        /// Its size in bytes.
        size: u64,
    },
    /// Contents are larger than their partition.
    #[error(
        "the {partition} partition needs {needed} bytes, but the target's file gives it {room}; \
         give it more, or leave packages out"
    )]
    Full {
        /// Which partition.
        partition: &'static str,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that there are.
        room: u64,
    },
    /// A blob is where something else is.
    #[error(
        "{name} takes the sectors {first} to {last} of the disk, where {other} is; correct its \
         `lba`, or `disk.start`, in the target's file"
    )]
    Blob {
        /// The blob.
        name: String,
        /// Its first sector.
        first: u64,
        /// Its last one.
        last: u64,
        /// What else is there.
        other: String,
    },
    /// The kernel command line can't be written down.
    #[error(transparent)]
    CommandLine(#[from] BadCommandLine),
    /// The boot partition can't be made.
    #[error(transparent)]
    Fat(#[from] FatError),
    /// The EFI stub can't be used.
    #[error(transparent)]
    Stub(#[from] BadStub),
    /// GRUB can't be used.
    #[error(transparent)]
    Grub(#[from] GrubError),
    /// Partitions do not fit.
    #[error(transparent)]
    Table(#[from] TooSmall),
    /// The root file system can't be written.
    #[error(transparent)]
    Root(#[from] WriteError),
    /// The root file system that is written to can't be made.
    #[error(transparent)]
    Ext4(#[from] Ext4Error),
    /// The image can't be written.
    #[error("the image can't be written: {0}; is the disk full?")]
    Output(#[from] io::Error),
}

#[cfg(test)]
pub(crate) mod tests;
