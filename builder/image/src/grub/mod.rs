//! GRUB for machines with a BIOS: boot sector and core image, joined from the files of the
//! `grub-pc-bin` package.
//!
//! In: the package's images and modules, unpacked. Out: the bytes of the BIOS boot partition
//! and of the first sector. Nothing is executed: what `grub-mkimage` and `grub-bios-setup` do
//! to these files is done here to the same places (GRUB 2.12: `grub/offsets.h`,
//! `grub/i386/pc/boot.h`, `grub/kernel.h`).

mod core;
mod modules;

use std::collections::BTreeMap;

use crate::gpt::{Lba, SECTOR};

/// Where the package keeps the files, below the root.
pub const FOLDER: &str = "usr/lib/grub/i386-pc";

/// Modules that the core image holds, besides those they need. They read a GPT disk and a FAT
/// partition through the BIOS, run a configuration that may count boot attempts, boot Linux.
const MODULES: [&str; 9] =
    ["biosdisk", "fat", "linux", "loadenv", "normal", "part_gpt", "reboot", "sleep", "test"];

/// Offsets in the boot sector (`grub/i386/pc/boot.h`).
mod boot {
    /// A FAT's parameters would stand here; `grub-bios-setup` keeps what the disk has.
    pub(super) const PARAMETERS: std::ops::Range<usize> = 0x03..0x5a;
    pub(super) const CORE_SECTOR: usize = 0x5c;
    pub(super) const DRIVE: usize = 0x64;
    pub(super) const DRIVE_CHECK: usize = 0x66;
    /// Disk signature and partition table: the disk's own.
    pub(super) const TABLE: usize = 0x1b8;
    pub(super) const LEN: usize = 512;
}

/// Boot from the drive that the BIOS booted from.
const ANY_DRIVE: u8 = 0xff;

/// Two `nop`s, in place of a jump over the test for BIOSes that pass a wrong drive number.
const CHECK_DRIVE: [u8; 2] = [0x90, 0x90];

/// The files of GRUB that a disk needs.
#[derive(Debug, Clone)]
pub struct Grub<'a> {
    boot: &'a [u8],
    first: &'a [u8],
    decompressor: &'a [u8],
    kernel: &'a [u8],
    /// Contents, each after those it needs.
    modules: Vec<&'a [u8]>,
}

/// GRUB's files can't be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrubError {
    /// A file is not there.
    #[error("grub-pc-bin has no file `{0}`; check that the package is unpacked whole")]
    Missing(String),
    /// A file is not what its name says.
    #[error("grub-pc-bin's `{file}` can't be used: {why}")]
    File {
        /// Its name.
        file: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The core image would not fit the memory that GRUB is loaded to.
    #[error("GRUB's core image is too large ({size} bytes, {room} fit)")]
    TooLarge {
        /// Its length in bytes.
        size: usize,
        /// The most bytes possible.
        room: usize,
    },
    /// The compressor failed.
    #[error("GRUB's core image can't be compressed: {0}")]
    Compress(String),
}

impl<'a> Grub<'a> {
    /// Picks what is needed from `files`, the contents of [`FOLDER`] by file name.
    ///
    /// # Errors
    /// [`GrubError`] when a file is missing or not what it should be.
    pub fn new(files: &'a BTreeMap<String, Vec<u8>>) -> Result<Self, GrubError> {
        let get = |name: &str| {
            files.get(name).map(Vec::as_slice).ok_or_else(|| GrubError::Missing(name.to_owned()))
        };
        let dependencies = str::from_utf8(get("moddep.lst")?)
            .map_err(|_| GrubError::File { file: "moddep.lst", why: "it is not text" })?;
        let boot = get("boot.img")?;
        if boot.len() != boot::LEN || !boot.ends_with(&[0x55, 0xaa]) {
            return Err(GrubError::File { file: "boot.img", why: "it is not a boot sector" });
        }
        let modules = modules::in_order(dependencies, &MODULES)
            .into_iter()
            .map(|name| get(&format!("{name}.mod")))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            boot,
            first: get("diskboot.img")?,
            decompressor: get("lzma_decompress.img")?,
            kernel: get("kernel.img")?,
            modules,
        })
    }

    /// Names of the files in [`FOLDER`] that [`Grub::new`] will ask for, when `dependencies` is
    /// the text of `moddep.lst`.
    pub fn needed(dependencies: &str) -> Vec<String> {
        let modules = modules::in_order(dependencies, &MODULES);
        ["boot.img", "diskboot.img", "kernel.img", "lzma_decompress.img", "moddep.lst"]
            .into_iter()
            .map(str::to_owned)
            .chain(modules.into_iter().map(|name| format!("{name}.mod")))
            .collect()
    }

    /// The BIOS boot partition, which starts at `start`: the core image. It looks for
    /// `grub.cfg` in `folder` of GPT partition `partition` of the disk it was loaded from.
    ///
    /// # Errors
    /// [`GrubError`] when the package's files are not what they should be.
    pub fn core(&self, start: Lba, partition: usize, folder: &str) -> Result<Vec<u8>, GrubError> {
        let prefix = format!("(,gpt{partition})/{folder}");
        let loaded = self.loaded(&prefix)?;
        let sectors = loaded.len().div_ceil(SECTOR as usize);
        let mut first = self.first.to_vec();
        // The first sector loads the rest by the list at its end: where, how many, to which
        // segment (the last one is set in the file already).
        let Some(list) = first.last_chunk_mut::<12>().filter(|list| list[10..] == [0x20, 0x08])
        else {
            let why = "it does not end with a list of one block";
            return Err(GrubError::File { file: "diskboot.img", why });
        };
        let count = u16::try_from(sectors)
            .map_err(|_| GrubError::TooLarge { size: loaded.len(), room: 0xffff * 512 })?;
        list[..8].copy_from_slice(&(start.0 + 1).to_le_bytes());
        list[8..10].copy_from_slice(&count.to_le_bytes());
        if first.len() as u64 != SECTOR {
            return Err(GrubError::File { file: "diskboot.img", why: "it is not one sector" });
        }
        let mut core = first;
        core.extend(loaded);
        core.resize(core.len().next_multiple_of(SECTOR as usize), 0);
        Ok(core)
    }

    /// Puts the boot code into a disk's first sector, the start of `front`, leaving its
    /// partition table as it is. The core image starts at `core`.
    ///
    /// # Errors
    /// [`GrubError::File`] when `front` is shorter than a sector.
    pub fn boot_sector(&self, core: Lba, front: &mut [u8]) -> Result<(), GrubError> {
        let mut code = self.boot.to_vec();
        code[boot::PARAMETERS].fill(0);
        code[boot::CORE_SECTOR..boot::CORE_SECTOR + 8].copy_from_slice(&core.0.to_le_bytes());
        code[boot::DRIVE] = ANY_DRIVE;
        code[boot::DRIVE_CHECK..boot::DRIVE_CHECK + 2].copy_from_slice(&CHECK_DRIVE);
        let Some(sector) = front.first_chunk_mut::<{ boot::LEN }>() else {
            return Err(GrubError::File { file: "boot.img", why: "the disk has no first sector" });
        };
        sector[..boot::TABLE].copy_from_slice(&code[..boot::TABLE]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::files as fixture_files;
