//! FAT32: written, read back, judged by fsck.fat.

use std::os::unix::fs::FileExt as _;

use mailkiln_bytes_at::{FileSource, ReadAt};
use mailkiln_pin::Sha256;
use proptest::prelude::*;

use super::*;
use crate::judge::judge;

const MIB: u64 = 1 << 20;

fn volume(size: u64) -> FatVolume<'static> {
    FatVolume { size, first_sector: 2048, id: 0x1234_abcd, label: "MAILKILN" }
}

fn file(path: &str, content: &[u8]) -> FatFile<'static> {
    FatFile { path: path.to_owned(), content: content.to_vec().into() }
}

fn fixture() -> Vec<FatFile<'static>> {
    let mut files = vec![
        file("EFI/BOOT/BOOTX64.EFI", &[7; 100_000]),
        file("kiln/vmlinuz", &[8; 4096]),
        file("kiln/initrd", &[9; 4097]),
        file("kiln/grub.cfg", b"boot"),
        file("EFI/Linux/mailkiln_0.1.0+3-1.efi", b"x"),
        file("empty", b""),
    ];
    // Enough names for a directory of several clusters.
    files.extend((0..300).map(|n| file(&format!("many/a long name with number {n}"), &[n as u8])));
    files
}

fn image(volume: &FatVolume<'_>, files: &[FatFile<'_>]) -> Vec<u8> {
    let mut image = vec![0; volume.size as usize];
    for piece in volume.write(files).unwrap() {
        image[piece.offset as usize..][..piece.bytes.len()].copy_from_slice(&piece.bytes);
    }
    image
}

fn assert_same(image: impl ReadAt, files: &[FatFile<'_>]) {
    let fat = Fat::open(image).unwrap();
    let items = fat.items().unwrap();
    for file in files {
        let item = items.iter().find(|item| item.path == file.path).unwrap();
        assert_eq!(fat.read(item, MIB).unwrap(), file.content.to_vec(), "{}", file.path);
        let runs = fat.runs(item).unwrap();
        assert!(runs.len() <= 1, "{} is in one piece", file.path);
        assert_eq!(runs.iter().map(|(_, length)| *length).sum::<u64>(), u64::from(item.size));
    }
    assert_eq!(items.iter().filter(|item| !item.directory).count(), files.len());
}

#[test]
fn volumes_come_back_and_fsck_is_content() {
    let files = fixture();
    // With clusters of every size that the writer chooses, and a part of one at the end.
    for size in [34 * MIB, 80 * MIB + 512, 150 * MIB, 512 * MIB] {
        let on_disk = tempfile::NamedTempFile::new().unwrap();
        on_disk.as_file().set_len(size).unwrap();
        let mut end = 0;
        for piece in volume(size).write(&files).unwrap() {
            assert!(piece.offset >= end, "pieces are in order and do not overlap");
            end = piece.offset + piece.bytes.len() as u64;
            on_disk.as_file().write_all_at(&piece.bytes, piece.offset).unwrap();
        }
        judge("fsck.fat", &["-n".as_ref(), "-v".as_ref(), on_disk.path().as_ref()]);
        assert_same(FileSource::new(on_disk.reopen().unwrap()).unwrap(), &files);
    }
}

/// A used card: the pieces are all that is written to it.
#[test]
fn what_lies_between_the_pieces_does_not_matter() {
    let files = fixture();
    let size = 80 * MIB;
    let mut image: Vec<u8> =
        (0..size).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
    for piece in volume(size).write(&files).unwrap() {
        image[piece.offset as usize..][..piece.bytes.len()].copy_from_slice(&piece.bytes);
    }
    let on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.as_file().write_all_at(&image, 0).unwrap();
    judge("fsck.fat", &["-n".as_ref(), "-v".as_ref(), on_disk.path().as_ref()]);
    assert_same(image.as_slice(), &files);
}

#[test]
fn bytes_are_pinned() {
    assert_eq!(
        Sha256::of(&image(&volume(34 * MIB), &fixture())).to_string(),
        "2aef91e011949dbe658dd1e50902904bb980125bad35dd8311e08d56629f2fa2"
    );
}

#[test]
fn what_fat_cannot_store_is_refused() {
    let refused = |files: &[FatFile<'_>]| volume(64 * MIB).write(files).unwrap_err();
    for path in ["", "/a", "a//b", "a/", "a:b", "a\nb", "dot.", "a/../b ", &"x".repeat(256)] {
        assert!(matches!(refused(&[file(path, b"")]), FatError::Path { .. }), "{path}");
    }
    let twice = [("a", "A"), ("a", "a/b"), ("a/b", "a"), ("a/b", "A/c"), ("a/b", "a/b")];
    for (one, other) in twice {
        let files = [file(one, b""), file(other, b"")];
        assert!(matches!(refused(&files), FatError::Path { .. }), "{one} {other}");
    }
    let full = volume(34 * MIB).write(&[file("a", &vec![0; 35 << 20])]).unwrap_err();
    assert!(matches!(full, FatError::Full { .. }));
    for size in [0, MIB, 32 * MIB, 3 << 40] {
        assert!(matches!(volume(size).write(&[]), Err(FatError::Size { .. })), "{size}");
    }
}

#[test]
fn damaged_volumes_do_no_harm() {
    let good = image(&volume(34 * MIB), &fixture());
    let mut bad = good.clone();
    for at in (0..90).chain((16_384..16_500).step_by(3)).chain((560_000..560_600).step_by(7)) {
        for value in [good[at] ^ 1, !good[at]] {
            bad[at] = value;
            if let Ok(fat) = Fat::open(bad.as_slice()) {
                for item in fat.items().unwrap_or_default() {
                    let _ = fat.read(&item, MIB);
                }
            }
        }
        bad[at] = good[at];
    }
    let circle = {
        let mut bad = good.clone();
        let at = 32 * 512 + 2 * 4;
        bad[at..at + 4].copy_from_slice(&2_u32.to_le_bytes());
        bad
    };
    assert!(Fat::open(circle.as_slice()).unwrap().items().is_ok_and(|items| !items.is_empty()));
    assert!(matches!(Fat::open(&good[..34 << 19]), Err(BadFat::NotFat32)));
}

#[test]
fn a_directory_inside_itself_is_refused() {
    let mut image = image(&volume(34 * MIB), &[file("DIR/FILE", b"x")]);
    let name = b"DIR        ";
    // Directories come first behind the allocation tables.
    let from = 500_000;
    let at = from + image[from..].windows(11).position(|bytes| bytes == name).unwrap();
    image[at + 26..at + 28].copy_from_slice(&2_u16.to_le_bytes());
    assert!(matches!(Fat::open(image.as_slice()).unwrap().items(), Err(BadFat::Loop)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn trees_come_back(names in prop::collection::btree_map(
        "[A-Z]{1,9}(/[a-zä ]{0,20}[0-9]){0,3}", 0_usize..5000, 0..20,
    )) {
        let files: Vec<_> = names
            .iter()
            .map(|(path, &size)| file(path, &vec![size as u8; size]))
            .collect();
        let volume = volume(34 * MIB);
        if volume.write(&files).is_ok() {
            assert_same(image(&volume, &files).as_slice(), &files);
        }
    }
}
