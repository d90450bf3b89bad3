//! GPT, the partition table: as a value, as bytes, and read back.
//!
//! In: partitions with their places. Out: protective MBR, primary and backup table (UEFI 2.10
//! §5). Sectors have 512 bytes. Every GUID comes from the caller; nothing is random.

mod hybrid;
mod reader;
mod writer;

pub use hybrid::{mark_active, write_hybrid_mbr};
pub use reader::{BadGpt, read};
pub use writer::TooSmall;

use crate::guid::Guid;

/// Bytes of a sector, the unit of every [`Lba`].
pub const SECTOR: u64 = 512;

/// Entries a table has room for: what UEFI asks for at least, and everybody writes.
const ENTRIES: usize = 128;

/// Bytes of one entry.
const ENTRY_LEN: usize = 128;

/// Sectors of the array of entries.
const ARRAY_SECTORS: u64 = (ENTRIES * ENTRY_LEN) as u64 / SECTOR;

/// Sectors at each end of a disk that belong to the table: MBR and header count on the primary.
pub const RESERVED: u64 = ARRAY_SECTORS + 2;

/// Types of partitions, by their names in the Discoverable Partitions Specification (UAPI.2).
pub mod kind {
    use crate::guid::Guid;
    use mailkiln_pin::Arch;

    /// GRUB's core image on a BIOS machine.
    pub const BIOS_BOOT: Guid = Guid::from_u128(0x2168_6148_6449_6e6f_744e_6565_6445_4649);
    /// The EFI system partition.
    pub const ESP: Guid = Guid::from_u128(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
    /// `/var`.
    pub const VAR: Guid = Guid::from_u128(0x4d21_b016_b534_45c2_a9fb_5c16_e091_fd2d);

    /// The root file system of an architecture.
    pub const fn root(arch: Arch) -> Guid {
        match arch {
            Arch::X86_64 => Guid::from_u128(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709),
            Arch::Aarch64 => Guid::from_u128(0xb921_b045_1df0_41c3_af44_4c6f_280d_3fae),
        }
    }

    /// The hash tree of an architecture's root file system.
    pub const fn root_verity(arch: Arch) -> Guid {
        match arch {
            Arch::X86_64 => Guid::from_u128(0x2c73_57ed_ebd2_46d9_aec1_23d4_37ec_2bf5),
            Arch::Aarch64 => Guid::from_u128(0xdf33_00ce_d69f_4c92_978c_9bfb_0f38_d820),
        }
    }

    /// What a type is called in print; `None` for those that Mailkiln does not use.
    pub fn name(kind: Guid) -> Option<&'static str> {
        let known = [
            (BIOS_BOOT, "BIOS boot"),
            (ESP, "EFI system"),
            (VAR, "/var"),
            (root(Arch::X86_64), "root (x86_64)"),
            (root(Arch::Aarch64), "root (aarch64)"),
            (root_verity(Arch::X86_64), "root verity (x86_64)"),
            (root_verity(Arch::Aarch64), "root verity (aarch64)"),
        ];
        known.into_iter().find(|(guid, _)| *guid == kind).map(|(_, name)| name)
    }
}

/// Attribute bit that asks for a read-only mount (UAPI.2, "Partition Flags").
pub const READ_ONLY: u64 = 1 << 60;

/// Number of a sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lba(pub u64);

impl Lba {
    /// Where the sector starts on the disk, in bytes; `None` past the end of all numbers.
    pub const fn bytes(self) -> Option<u64> {
        self.0.checked_mul(SECTOR)
    }
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What it is for: see [`kind`].
    pub kind: Guid,
    /// Which one it is; `PARTUUID` on Linux.
    pub guid: Guid,
    /// First sector.
    pub start: Lba,
    /// How many sectors; at least one.
    pub sectors: u64,
    /// Attribute bits.
    pub attributes: u64,
    /// Label, at most 36 UTF-16 units; `PARTLABEL` on Linux.
    pub name: String,
}

/// A whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpt {
    /// Which disk it is.
    pub disk: Guid,
    /// Sectors of the whole disk.
    pub sectors: u64,
    /// Partitions in the order of their numbers, from 1. Unused slots are not kept.
    pub partitions: Vec<Partition>,
}

#[cfg(test)]
mod tests;
