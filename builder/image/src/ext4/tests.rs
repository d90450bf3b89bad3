use std::io::{Cursor, Write as _};

use mailkiln_pin::Sha256;
use mkext4::reader::Fs;

use super::*;
use crate::disk::Extent;
use crate::judge::judge;

fn options(size: u64, entries: u64) -> Ext4Options {
    let uuid = Guid::derived("root", &Sha256::of(b"x"));
    Ext4Options { size, uuid, label: "nixos".to_owned(), entries }
}

/// Hard cases: an empty file, long names and links, names that differ in case alone, many files in one folder.
fn sample(many: usize) -> (Vec<u8>, Written) {
    let mut needs = Needs::default();
    (0..many).for_each(|_| needs.file(4097));
    needs.folder(many as u64);
    let size = needs.volume(16 << 20);
    let mut draft = Draft::new(&options(size, needs.entries + 8)).unwrap();
    let root = draft.root();
    let read_only = Owned::root(0o444);
    let store = draft.folder(root, "store", Owned { mode: 0o1775, group: 30_000 }, "").unwrap();
    draft.file(store, "empty", read_only, 0, "").unwrap();
    let long = "n".repeat(255);
    let mut files = vec![
        (draft.file(store, &long, read_only, 3, "").unwrap(), b"abc".to_vec()),
        (draft.file(store, "a", Owned::root(0o555), 5000, "").unwrap(), vec![7; 5000]),
        (draft.file(store, "A", read_only, 1, "").unwrap(), b"A".to_vec()),
    ];
    draft.symlink(store, "short", "a", "").unwrap();
    draft.symlink(store, "long", &"../".repeat(300), "").unwrap();
    let folder = draft.folder(root, "many", Owned::root(0o555), "").unwrap();
    for number in 0..many {
        let file = draft.file(folder, &format!("file-{number}"), read_only, 4097, "").unwrap();
        files.push((file, vec![number as u8; 4097]));
    }
    let volume = draft.seal().unwrap();
    assert_eq!(volume.size(), size);
    let mut out = Cursor::new(vec![0; (1 << 20) + size as usize]);
    let written = volume
        .write(&mut out, 1 << 20, |fill| {
            for (file, bytes) in &files {
                fill.fill(*file, &mut bytes.as_slice(), "x")?;
            }
            Ok::<_, Ext4Error>(())
        })
        .unwrap();
    (out.into_inner().split_off(1 << 20), written)
}

#[test]
fn what_was_declared_is_read_back() {
    let (image, _) = sample(100);
    let fs = Fs::open(&image[..]).unwrap();
    let read = |path: &str| fs.read_file(fs.resolve(path).unwrap()).unwrap();
    assert_eq!(read("/store/empty"), b"");
    assert_eq!(read(&format!("/store/{}", "n".repeat(255))), b"abc");
    assert_eq!(read("/store/a"), [7; 5000]);
    assert_eq!(read("/store/A"), b"A");
    assert_eq!(read("/many/file-99"), [99; 4097]);
}

#[test]
fn the_same_declarations_give_the_same_bytes_and_e2fsck_takes_them() {
    let (image, written) = sample(3000);
    assert_eq!(sample(3000), (image.clone(), written));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&image).unwrap();
    judge("e2fsck", &["-fn".as_ref(), file.path().as_os_str()]);
}

#[test]
fn what_is_not_noted_is_free() {
    let (image, Written { extents }) = sample(10);
    let mut at = 1 << 20;
    let mut left_out = 0;
    for Extent { offset, length } in extents {
        let between = (at - (1 << 20)) as usize..(offset - (1 << 20)) as usize;
        left_out += between.len();
        assert!(image[between].iter().all(|byte| *byte == 0));
        at = offset + length;
    }
    assert!(at <= (1 << 20) + image.len() as u64);
    // Everything but the 16 MiB that were to be free, and what the reckoning has in reserve, is noted: the journal is.
    assert!(left_out < image.len() / 2 || image.len() - left_out > 16 << 20, "{left_out}");
}

#[test]
fn what_is_not_possible_is_named() {
    let mut draft = Draft::new(&options(64 << 20, 10)).unwrap();
    let root = draft.root();
    let said =
        draft.folder(root, &"n".repeat(256), Owned::root(0o555), "/nix/n").unwrap_err().to_string();
    assert!(said.contains("/nix/n"), "{said}");
    let file = draft.file(root, "f", Owned::root(0o444), 5, "/f").unwrap();
    let volume = draft.seal().unwrap();
    let mut out = Cursor::new(vec![0; 64 << 20]);
    let short = volume.write(&mut out, 0, |fill| fill.fill(file, &mut b"1234".as_slice(), "/f"));
    assert!(short.unwrap_err().to_string().contains("/f"));
    let mut draft = Draft::new(&options(64 << 20, 10)).unwrap();
    let root = draft.root();
    draft.file(root, "f", Owned::root(0o444), 1 << 30, "/f").unwrap();
    assert!(draft.seal().is_err());
}
