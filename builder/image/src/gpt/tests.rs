//! GPT: written, read back, judged by sgdisk.

use mailkiln_pin::{Arch, Sha256};
use proptest::prelude::*;

use super::*;
use crate::judge::judge;

fn table() -> Gpt {
    let guid = |label: &str| Guid::derived(label, &Sha256::of(b"content"));
    let partition = |kind, name: &str, start, sectors, attributes| Partition {
        kind,
        guid: guid(name),
        start: Lba(start),
        sectors,
        attributes,
        name: name.to_owned(),
    };
    Gpt {
        disk: guid("disk"),
        sectors: 16_384,
        partitions: vec![
            partition(kind::BIOS_BOOT, "bios", 2048, 2048, 0),
            partition(kind::ESP, "esp", 4096, 2048, 0),
            partition(kind::root(Arch::X86_64), "root-a", 6144, 4096, READ_ONLY),
        ],
    }
}

fn disk(table: &Gpt) -> Vec<u8> {
    let (front, back) = table.encode().unwrap();
    let mut disk = vec![0; (table.sectors * SECTOR) as usize];
    disk[..front.len()].copy_from_slice(&front);
    let at = table.backup_at().bytes().unwrap() as usize;
    disk[at..].copy_from_slice(&back);
    disk
}

#[test]
fn tables_come_back_and_sgdisk_agrees() {
    let table = table();
    let disk = disk(&table);
    assert_eq!(read(&disk.as_slice()).unwrap(), table);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &disk).unwrap();
    if let Some(said) = judge("sgdisk", &["-v".as_ref(), "-p".as_ref(), file.path().as_ref()]) {
        assert!(said.contains("No problems found"), "{said}");
        assert!(said.contains("EF02  bios") && said.contains("root-a"), "{said}");
    }
}

#[test]
fn a_hybrid_mbr_names_the_esp_and_leaves_the_table_as_it_is() {
    let table = table();
    let mut disk = disk(&table);
    write_hybrid_mbr(&mut disk, &table.partitions[1]);
    assert_eq!(read(&disk.as_slice()).unwrap(), table);
    assert_eq!(disk[510..512], [0x55, 0xaa]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &disk).unwrap();
    if let Some(said) = judge("sgdisk", &["-v".as_ref(), file.path().as_ref()]) {
        assert!(said.contains("No problems found"), "{said}");
    }
    let mbr = ["--label-nested=dos".as_ref(), "--dump".as_ref(), file.path().as_ref()];
    if let Some(said) = judge("sfdisk", &mbr) {
        let parts: Vec<&str> = said.lines().filter(|line| line.contains("start=")).collect();
        let [esp, before] = parts[..] else { panic!("{said}") };
        assert!(esp.contains("4096, size=        2048, type=c"), "{said}");
        assert!(before.contains("1, size=        4095, type=ee"), "{said}");
    }
}

#[test]
fn no_partition_can_be_made_below_the_first_one() {
    let table = table();
    let (front, back) = table.encode().unwrap();
    let usable = |header: &[u8]| u64::from_le_bytes(header[40..48].try_into().unwrap());
    assert_eq!(usable(&front[512..]), 2048);
    assert_eq!(usable(&back[back.len() - 512..]), 2048);
    let empty = Gpt { partitions: Vec::new(), ..table };
    assert_eq!(usable(&empty.encode().unwrap().0[512..]), RESERVED);
}

#[test]
fn an_active_entry_is_for_the_bios_and_the_table_stays() {
    let table = table();
    let mut disk = disk(&table);
    mark_active(&mut disk);
    assert_eq!((disk[446], disk[450]), (0x80, 0xee));
    assert_eq!(read(&disk.as_slice()).unwrap(), table);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &disk).unwrap();
    if let Some(said) = judge("sgdisk", &["-v".as_ref(), file.path().as_ref()]) {
        assert!(said.contains("No problems found"), "{said}");
    }
}

#[test]
fn bytes_are_pinned() {
    assert_eq!(
        Sha256::of(&disk(&table())).to_string(),
        "ed1584427d9649a79ba06cfa3cae1ee16e657dbf3f51c6dcf962f5b7e60bfef5"
    );
}

#[test]
fn partitions_that_do_not_fit_are_refused() {
    let cases: [(&str, u64, u64); 6] = [
        ("in the table", 33, 10),
        ("overlaps from below", 1000, 2048),
        ("overlaps from above", 3000, 10),
        ("past the end", 16_384, 1),
        ("in the backup table", 16_350, 2),
        ("empty", 12_000, 0),
    ];
    for (case, start, sectors) in cases {
        let mut table = table();
        table.partitions[2].start = Lba(start);
        table.partitions[2].sectors = sectors;
        assert!(table.encode().is_err(), "{case}");
    }
    let tiny = Gpt { sectors: 3, partitions: Vec::new(), ..table() };
    assert!(tiny.encode().is_err());
}

#[test]
fn damaged_tables_are_noticed() {
    let good = disk(&table());
    let mut disk = good.clone();
    for at in (512..604).chain((1024..1024 + 16_384).step_by(13)) {
        disk[at] ^= 1;
        assert!(read(&disk.as_slice()).is_err(), "byte {at}");
        disk[at] ^= 1;
    }
    for end in [0, 512, 1000, 1024, 9000, 17_000, 2048 * 512, 10_239 * 512] {
        assert!(read(&&good[..end]).is_err(), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_do_no_harm(header in prop::collection::vec(any::<u8>(), 84), array in any::<u64>()) {
        // A header with a right checksum, so that what follows is reached.
        let mut disk = vec![0; 4096];
        disk[512..520].copy_from_slice(b"EFI PART");
        disk[520..604].copy_from_slice(&header);
        disk[524..528].copy_from_slice(&92_u32.to_le_bytes());
        disk[528..532].fill(0);
        disk[584..592].copy_from_slice(&(array % 9).to_le_bytes());
        disk[594..596].fill(0);
        disk[597..600].fill(0);
        let sum = crc32fast::hash(&disk[512..604]);
        disk[528..532].copy_from_slice(&sum.to_le_bytes());
        let _ = read(&disk.as_slice());
    }
}
