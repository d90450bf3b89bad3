//! Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
//!
//! In: bytes of the fuzzer. Out: nothing. A disk or a FAT volume has tens of megabytes of zeros, in which a fuzzer
//! would be lost; so these two are written as records of the sectors that are not zero.

use std::collections::BTreeMap;
use std::io;

use mailkiln_bytes_at::ReadAt;

use crate::fat::Fat;
use crate::gpt::Lba;
use crate::grub::Grub;
use crate::inspect::{inspect, packages};
use crate::uki::{Parts, Uki};
use crate::verity::Superblock;

/// Bytes of a sector.
const SECTOR: usize = 512;
/// Bytes of a record: a sector's number, little-endian, and the sector.
const RECORD: usize = 4 + SECTOR;
/// Sectors of the largest disk, 64 MiB: a FAT32 volume has at least 33.
const MOST_SECTORS: u32 = 1 << 17;

/// Inspects a disk, given as [`records`], and verifies its roots.
pub fn disk(bytes: &[u8]) {
    let mut disk = Sparse::read(bytes);
    disk.mend_table();
    if let Ok(inspection) = inspect(&disk) {
        for root in &inspection.roots {
            let _ = root.verify(&disk, &inspection);
        }
    }
}

/// Lists and reads a FAT volume, given as [`records`].
pub fn fat(bytes: &[u8]) {
    if let Ok(fat) = Fat::open(Sparse::read(bytes)) {
        for item in fat.items().unwrap_or_default() {
            let _ = fat.read(&item, 1 << 20);
            if item.size <= 1 << 20 {
                let _ = fat.runs(&item);
            }
        }
    }
}

/// Reads `bytes` as a UKI, and as a stub that sections are appended to.
pub fn uki(bytes: &[u8]) {
    let _ = Uki::parse(bytes);
    let parts =
        Parts { os_release: "a", uname: "b", command_line: "c", initrd: b"d", kernel: b"e" };
    let _ = parts.append_to(bytes);
}

/// Reads `bytes` as a verity superblock.
pub fn superblock(bytes: &[u8]) {
    let _ = Superblock::parse(bytes);
}

/// Reads `bytes` as a `dpkg` status file.
pub fn dpkg_status(bytes: &[u8]) {
    let _ = packages::parse(&String::from_utf8_lossy(bytes));
}

/// Takes `bytes` for each of GRUB's files, one at a time, and makes a core image.
pub fn grub(bytes: &[u8]) {
    let dependencies = String::from_utf8_lossy(bytes);
    let mut boot = vec![0; SECTOR];
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    for name in ["moddep.lst", "diskboot.img", "kernel.img", "lzma_decompress.img", "module"] {
        let text = if name == "moddep.lst" { &dependencies } else { "" };
        let mut files: BTreeMap<String, Vec<u8>> = Grub::needed(text)
            .into_iter()
            .map(|file| {
                let foreign = file == name || name == "module" && file.ends_with(".mod");
                (file, if foreign { bytes.to_vec() } else { vec![0; SECTOR] })
            })
            .collect();
        files.insert("boot.img".to_owned(), boot.clone());
        files.insert("moddep.lst".to_owned(), text.as_bytes().to_vec());
        if let Ok(grub) = Grub::new(&files) {
            let _ = grub.core(Lba(34), 1, "kiln");
            let _ = grub.boot_sector(Lba(34), &mut [0; SECTOR]);
        }
    }
}

/// The sectors of `disk` that are not zero, as [`disk`] and [`fat`] take them.
pub fn records(disk: &[u8]) -> Vec<u8> {
    (0_u32..)
        .zip(disk.chunks_exact(SECTOR))
        .filter(|(_, sector)| sector.iter().any(|byte| *byte != 0))
        .flat_map(|(number, sector)| [&number.to_le_bytes(), sector].concat())
        .collect()
}

/// A disk of which only some sectors are other than zero.
#[derive(Debug)]
pub struct Sparse {
    sectors: BTreeMap<u32, Vec<u8>>,
}

impl Sparse {
    /// The disk that [`records`] were made of; of a sector that is there twice, the last.
    pub fn read(records: &[u8]) -> Self {
        let record = |record: &[u8]| {
            let (number, sector) = record.split_at(4);
            let number = u32::from_le_bytes([number[0], number[1], number[2], number[3]]);
            (number % MOST_SECTORS, sector.to_vec())
        };
        Self { sectors: records.chunks_exact(RECORD).map(record).collect() }
    }

    /// Corrects the checksums of the partition table, which a fuzzer would not find.
    fn mend_table(&mut self) {
        let Some(mut header) = self.sectors.get(&1).cloned() else { return };
        let field = |header: &[u8], at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let length = u64::from(field(&header, 80)) * u64::from(field(&header, 84));
        if length <= 1 << 20
            && let Ok(entries) =
                self.read_vec_at(u64::from(field(&header, 72)) << 9, length as usize)
        {
            header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        }
        header[16..20].fill(0);
        if let Some(signed) = header.get(..field(&header, 12) as usize) {
            let checksum = crc32fast::hash(signed);
            header[16..20].copy_from_slice(&checksum.to_le_bytes());
        }
        self.sectors.insert(1, header);
    }
}

impl ReadAt for Sparse {
    fn size(&self) -> u64 {
        self.sectors.last_key_value().map_or(0, |(last, _)| (u64::from(*last) + 1) << 9)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.size());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.fill(0);
        let (first, last) = ((offset >> 9) as u32, end.div_ceil(SECTOR as u64) as u32);
        for (number, sector) in self.sectors.range(first..last) {
            let start = u64::from(*number) << 9;
            let (from, to) = (offset.max(start), end.min(start + SECTOR as u64));
            buffer[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&sector[(from - start) as usize..(to - start) as usize]);
        }
        Ok(())
    }
}
