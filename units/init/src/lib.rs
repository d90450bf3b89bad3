//! The `/init` of a Mailkiln initrd, as a library so that its parsers can be tested and fuzzed.
//!
//! In: the kernel command line, sysfs, module indexes and the disks. Out: a verified, read-only
//! root file system with systemd running on it. `cmdline`, `modules`, `gpt`, `verity` and the
//! encoder of `dm` are pure; `devices`, `identity`, `dm` and `switch` touch the
//! machine; `main` is the story.

pub mod cmdline;
pub mod console;
pub mod devices;
pub mod dm;
pub mod gpt;
pub mod identity;
pub mod modules;
pub mod pci;
pub mod state;
pub mod switch;
pub mod verity;

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use crate::cmdline::Boot;
    use crate::gpt::Header;
    use crate::modules::ModuleIndex;
    use crate::verity::Superblock;

    /// Reads `bytes` as a kernel command line.
    pub fn cmdline(bytes: &[u8]) {
        let _ = Boot::parse(&String::from_utf8_lossy(bytes));
    }

    /// Reads `bytes` as the header block of a GPT and its entries.
    pub fn gpt(bytes: &[u8]) {
        let (block, entries) = bytes.split_at(bytes.len().min(512));
        let mut block = block.to_vec();
        // A fuzzer would not find the checksums.
        if block.len() == 512 {
            block[88..92].copy_from_slice(&crc32fast::hash(entries).to_le_bytes());
            block[16..20].fill(0);
            let length = u16::from_le_bytes([block[12], block[13]]);
            let checksum = crc32fast::hash(block.get(..length.into()).unwrap_or_default());
            block[16..20].copy_from_slice(&checksum.to_le_bytes());
        }
        if let Ok(header) = Header::parse(&block) {
            let _ = header.partitions(&entries[..entries.len().min(header.entries_len())]);
        }
    }

    /// Reads `bytes` as the module indexes, with a NUL between two, and plans for some of them.
    pub fn modules(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut parts = text.split('\0');
        let mut part = || parts.next().unwrap_or_default();
        let index = ModuleIndex::parse(part(), part(), part());
        for name in part().split_whitespace().take(10).chain(["dm_mod", "pci:v00001AF4d00001001"]) {
            let _ = index.plan(name);
        }
    }

    /// Reads `bytes` as a verity superblock and makes its table.
    pub fn superblock(bytes: &[u8]) {
        if let Ok(superblock) = Superblock::parse(bytes) {
            let hash = "0".repeat(64);
            let blocks = superblock.data_blocks;
            let line = format!("roothash={hash} mailkiln.verity_data_blocks={blocks}");
            if let Ok(boot) = Boot::parse(&line) {
                let _ = superblock.table(&boot, "/dev/a", "/dev/b");
            }
            let _ = superblock.dm_uuid("root");
        }
    }
}
