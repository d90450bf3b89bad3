//! Disks: small ones, judged as wholes.

use std::io::Cursor;

use mailkiln_bytes_at::{ReadAt as _, Window};
use mailkiln_squashfs::{PackWriter, Params, Squashfs};
use mailkiln_tree::{Content, Entry, Kind, Owner, Tree, TreePath};

use super::*;
use crate::fat::Fat;
use crate::gpt;
use crate::grub;
use crate::judge::judge;
use crate::uki::Uki;
use crate::verity;

const MIB: u64 = 1 << 20;

const SIZES: Sizes =
    Sizes { start: MIB, esp: 34 * MIB, root: 2 * MIB, verity: MIB, bios: MIB, multiple: MIB };

pub(crate) const BOOT: Boot<'_> = Boot {
    stub: &[],
    kernel: &[1; 70_000],
    initrd: &[2; 30_000],
    os_release: "ID=mailkiln\n",
    uname: "6.12.0",
    command_line: "console=ttyS0",
};

fn tree() -> Tree {
    let mut tree = Tree::default();
    let entry = |kind| Entry { kind, mode: 0o755, owner: Owner::default(), origin: "test".into() };
    let content: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(n) >> 11) as u8).collect();
    for (path, kind) in [
        ("etc", Kind::Directory),
        ("etc/large", Kind::File(Content::Inline(content.into()))),
        ("etc/os-release", Kind::File(Content::Inline((*b"ID=mailkiln\n").into()))),
    ] {
        tree.insert(TreePath::parse(path).unwrap(), entry(kind)).unwrap();
    }
    tree
}

pub(crate) fn assembled(arch: Arch, grub: Option<&Grub<'_>>) -> (Disk, Vec<u8>) {
    assembled_from(&tree(), BOOT, arch, grub)
}

/// A disk with this root; the stub of `boot` is left aside.
pub(crate) fn assembled_from(
    tree: &Tree,
    boot: Boot<'_>,
    arch: Arch,
    grub: Option<&Grub<'_>>,
) -> (Disk, Vec<u8>) {
    let plan = Plan::new(tree, &[], 0).unwrap();
    let stub = crate::uki::fixture_stub(5);
    let input = DiskInput {
        arch,
        sizes: SIZES,
        root: &plan,
        boot: Boot { stub: &stub, ..boot },
        bios: grub,
        firmware: Firmware {
            files: vec![FatFile { path: "config.txt".to_owned(), content: b"x".as_slice().into() }],
            ..Firmware::default()
        },
    };
    let mut out = Cursor::new(Vec::new());
    let disk = assemble(&input, &mut out).unwrap();
    (disk, out.into_inner())
}

#[test]
fn every_part_is_where_the_table_says() {
    let files = grub::fixture_files();
    let grub = Grub::new(&files).unwrap();
    let (disk, image) = assembled(Arch::X86_64, Some(&grub));
    assert_eq!(image.len() as u64, disk.size);
    assert_eq!(gpt::read(&image.as_slice()).unwrap(), disk.table);
    let part = |name: &str| {
        let partition =
            disk.table.partitions.iter().find(|partition| partition.name == name).unwrap();
        let start = partition.start.bytes().unwrap();
        Window::new(image.as_slice(), start, partition.sectors * 512).unwrap()
    };
    verity::check(&part("root-a"), &part("root-a-verity"), &disk.root_hash).unwrap();
    let root = Squashfs::open(part("root-a")).unwrap();
    assert_eq!(root.items().len(), 4);
    let esp = Fat::open(part("esp")).unwrap();
    let items = esp.items().unwrap();
    let read =
        |path: &str| esp.read(items.iter().find(|item| item.path == path).unwrap(), MIB).unwrap();
    let uki = read("EFI/BOOT/BOOTX64.EFI");
    let uki = Uki::parse(&uki).unwrap();
    assert_eq!(uki.command_line, disk.command_line);
    assert!(disk.command_line.contains(&format!("roothash={}", disk.root_hash)));
    assert_eq!((uki.kernel, uki.initrd), (BOOT.kernel, BOOT.initrd));
    assert_eq!((&*read("kiln/vmlinuz"), &*read("kiln/initrd")), (BOOT.kernel, BOOT.initrd));
    let config = String::from_utf8(read("kiln/grub.cfg")).unwrap();
    assert!(config.contains(&disk.command_line));
    let core = part("bios").read_vec_at(0x1f4, 8).unwrap();
    assert_eq!(core, 2049_u64.to_le_bytes());
}

#[test]
fn there_is_a_place_for_a_seed_and_it_is_flashed() {
    let (disk, mut image) = assembled(Arch::Aarch64, None);
    let place = seed_place(&image.as_slice()).unwrap();
    assert_eq!(place.iter().map(|extent| extent.length).sum::<u64>(), SEED_ROOM);
    for extent in &place {
        let (start, end) = (extent.offset, extent.offset + extent.length);
        assert!(image[start as usize..end as usize].iter().all(|&byte| byte == 0));
        // What a used card holds there would be taken for a seed.
        let covers = |of: &Extent| of.offset <= start && end <= of.offset + of.length;
        assert!(disk.extents.iter().any(covers), "{extent:?} is in no extent");
        image[start as usize..end as usize].fill(0x5a);
    }
    // What was written there is the file's content, and nothing else has changed.
    let table = gpt::read(&image.as_slice()).unwrap();
    let esp = &table.partitions[0];
    let esp = Window::new(image.as_slice(), esp.start.bytes().unwrap(), esp.sectors * 512).unwrap();
    let fat = Fat::open(esp).unwrap();
    let items = fat.items().unwrap();
    let read =
        |path: &str| fat.read(items.iter().find(|it| it.path == path).unwrap(), MIB).unwrap();
    assert_eq!(read("SEED.BIN"), [0x5a; SEED_ROOM as usize]);
    assert_eq!(read("config.txt"), b"x");
    Uki::parse(&read("EFI/BOOT/BOOTAA64.EFI")).unwrap();
}

#[test]
fn a_disk_without_a_place_is_told_from_one_that_is_none() {
    let (_, image) = assembled(Arch::Aarch64, None);
    let said = |image: &[u8]| seed_place(&image).unwrap_err().to_string();
    assert!(said(&image[..MIB as usize]).contains("outside the disk"));
    assert!(said(&[0; 4096]).contains("no GPT"));
    // An image from before seeds: the name in the directory is another one.
    let mut older = image.clone();
    let at = older.windows(11).position(|bytes| bytes == b"SEED    BIN").unwrap();
    older[at] = b'X';
    assert!(said(&older).contains("build the image again"));
    let mut no_esp = image;
    no_esp[1024..1040].fill(1);
    assert!(said(&no_esp).contains("checksum"));
}

#[test]
fn extents_cover_all_that_is_not_zero() {
    let (disk, image) = assembled(Arch::Aarch64, None);
    let mut at = 0;
    for extent in &disk.extents {
        assert!(extent.offset > at || at == 0, "ascending, not touching");
        assert!(image[at as usize..extent.offset as usize].iter().all(|&byte| byte == 0));
        at = extent.offset + extent.length;
    }
    assert_eq!(at, disk.size);
    assert!(disk.extents.iter().map(|extent| extent.length).sum::<u64>() < MIB + SEED_ROOM);
}

#[test]
fn real_tools_accept_the_disk() {
    let (disk, image) = assembled(Arch::Aarch64, None);
    let folder = tempfile::tempdir().unwrap();
    let cut = |name: &str| {
        let partition =
            disk.table.partitions.iter().find(|partition| partition.name == name).unwrap();
        let start = partition.start.bytes().unwrap() as usize;
        let path = folder.path().join(name);
        std::fs::write(&path, &image[start..start + partition.sectors as usize * 512]).unwrap();
        path
    };
    let whole = folder.path().join("disk");
    std::fs::write(&whole, &image).unwrap();
    if let Some(said) = judge("sgdisk", &["-v".as_ref(), whole.as_ref()]) {
        assert!(said.contains("No problems found"), "{said}");
    }
    judge("fsck.fat", &["-n".as_ref(), cut("esp").as_ref()]);
    let hash = disk.root_hash.to_string();
    let (root, hashes) = (cut("root-a"), cut("root-a-verity"));
    judge("veritysetup", &["verify".as_ref(), root.as_ref(), hashes.as_ref(), hash.as_ref()]);
    if let Some(said) = judge("unsquashfs", &["-l".as_ref(), root.as_ref()]) {
        assert!(said.contains("squashfs-root/etc/os-release"), "{said}");
    }
}

#[test]
fn bytes_are_pinned() {
    // A change here means that images built from the same lock differ from those of before.
    let files = grub::fixture_files();
    let grub = Grub::new(&files).unwrap();
    let digests = [assembled(Arch::X86_64, Some(&grub)), assembled(Arch::Aarch64, None)]
        .map(|(_, image)| Sha256::of(&image).to_string());
    assert_eq!(
        digests,
        [
            "fc920c66e18ea664ba47d48ddaff1921d9dd6afb83de1e367ab03640322a574f",
            "fedaee8118eaada82b84aea6a0fa0d958fd2e43baa23ef9dcb6bd04c4f7e25bc",
        ]
    );
}

#[test]
fn another_root_changes_every_identity() {
    let (one, _) = assembled(Arch::Aarch64, None);
    let mut tree = tree();
    tree.remove(&TreePath::parse("etc/os-release").unwrap());
    let plan = Plan::new(&tree, &[], 0).unwrap();
    let stub = crate::uki::fixture_stub(5);
    let boot = Boot { stub: &stub, ..BOOT };
    let input = DiskInput {
        arch: Arch::Aarch64,
        sizes: SIZES,
        root: &plan,
        boot,
        bios: None,
        firmware: Firmware::default(),
    };
    let other = assemble(&input, Cursor::new(Vec::new())).unwrap();
    assert_ne!(one.table.disk, other.table.disk);
    for (left, right) in one.table.partitions.iter().zip(&other.table.partitions) {
        assert_ne!(left.guid, right.guid, "{}", left.name);
        assert_eq!(left.kind, right.kind);
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let large: Vec<u8> = {
        let mut state = 1_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        };
        (0..2 * MIB).map(|_| next()).collect()
    };
    let mut writer = PackWriter::new(Vec::new(), Params::default()).unwrap();
    let sha256 = writer.add(&large).unwrap();
    let pack = mailkiln_squashfs::Pack::from_bytes(writer.finish().unwrap().into()).unwrap();
    let mut tree = Tree::default();
    let kind = Kind::File(Content::Packed { sha256, size: large.len() as u64 });
    let entry = Entry { kind, mode: 0o644, owner: Owner::default(), origin: "test".into() };
    tree.insert(TreePath::parse("large").unwrap(), entry).unwrap();
    let packs = [pack];
    let plan = Plan::new(&tree, &packs, 0).unwrap();
    let stub = crate::uki::fixture_stub(5);
    let refused = |sizes, command_line| {
        let boot = Boot { stub: &stub, command_line, ..BOOT };
        let (arch, bios, firmware) = (Arch::X86_64, None, Firmware::default());
        let input = DiskInput { arch, sizes, root: &plan, boot, bios, firmware };
        assemble(&input, Cursor::new(Vec::new())).unwrap_err().to_string()
    };
    assert!(refused(SIZES, "").contains("the root partition needs"));
    assert!(refused(Sizes { esp: 100, ..SIZES }, "").contains("is not a multiple of 1 MiB"));
    assert!(refused(Sizes { multiple: 0, ..SIZES }, "").contains("is not a multiple of 1 MiB"));
    let roomy = Sizes { root: 4 * MIB, ..SIZES };
    assert!(refused(roomy, "a\nb").contains("control character"));
    assert!(refused(Sizes { esp: MIB, ..roomy }, "").contains("FAT32 partition"));
}

#[test]
fn the_copy_of_the_table_is_at_the_end_of_a_disk_of_whole_multiples() {
    let plan = Plan::new(&tree(), &[], 0).unwrap();
    let stub = crate::uki::fixture_stub(5);
    let boot = Boot { stub: &stub, ..BOOT };
    for (multiple, size) in [(MIB, 39 * MIB), (64 * MIB, 64 * MIB), (39 * MIB, 39 * MIB)] {
        let sizes = Sizes { multiple, ..SIZES };
        let (arch, bios, firmware) = (Arch::X86_64, None, Firmware::default());
        let input = DiskInput { arch, sizes, root: &plan, boot, bios, firmware };
        let mut out = Cursor::new(Vec::new());
        let disk = assemble(&input, &mut out).unwrap();
        let bytes = out.into_inner();
        assert_eq!((disk.size, bytes.len() as u64), (size, size), "{multiple}");
        assert_eq!(&bytes[bytes.len() - 512..][..8], b"EFI PART", "{multiple}");
    }
}

/// A disk of a board: two blobs, an MBR that names the ESP.
fn board(blobs: Vec<Blob<'_>>) -> Result<(Disk, Vec<u8>), DiskError> {
    let plan = Plan::new(&tree(), &[], 0).unwrap();
    let stub = crate::uki::fixture_stub(5);
    let input = DiskInput {
        arch: Arch::Aarch64,
        sizes: Sizes { start: 2 * MIB, ..SIZES },
        root: &plan,
        boot: Boot { stub: &stub, ..BOOT },
        bios: None,
        firmware: Firmware { files: vec![], blobs, hybrid_mbr: true },
    };
    let mut out = Cursor::new(Vec::new());
    Ok((assemble(&input, &mut out)?, out.into_inner()))
}

fn blob(name: &str, start: u64, content: &'static [u8]) -> Blob<'static> {
    Blob { name: name.to_owned(), start: gpt::Lba(start), content: content.into() }
}

#[test]
fn blobs_are_at_their_sectors_and_are_flashed_to_the_end_of_the_last() {
    let (disk, image) =
        board(vec![blob("one", 64, &[1; 700]), blob("two", 256, &[2; 512])]).unwrap();
    assert_eq!(gpt::read(&image.as_slice()).unwrap(), disk.table);
    assert_eq!(disk.table.partitions[0].start, gpt::Lba(4096));
    assert_eq!(image[64 * 512..64 * 512 + 701], [[1; 700].as_slice(), &[0]].concat());
    assert_eq!(image[256 * 512..257 * 512], [2; 512]);
    for (offset, length) in [(64 * 512, 1024), (256 * 512, 512)] {
        assert!(disk.extents.contains(&Extent { offset, length }), "{:?}", disk.extents);
    }
    // Boot ROMs want the FAT first.
    assert_eq!((image[446 + 4], image[446 + 16 + 4]), (0x0c, 0xee));
}

#[test]
fn blobs_that_are_in_the_way_are_refused_by_name() {
    for (blobs, other) in [
        (vec![blob("one", 33, b"x")], "the partition table"),
        (vec![blob("one", 4096, b"x")], "the first partition"),
        (vec![blob("one", 4095, &[0; 513])], "the first partition"),
        (vec![blob("zero", 64, &[0; 513]), blob("one", 65, b"x")], "zero"),
        (vec![blob("one", u64::MAX, b"x")], "the first partition"),
    ] {
        let said = board(blobs).unwrap_err().to_string();
        assert!(said.starts_with("one takes the sectors "), "{said}");
        assert!(said.contains(&format!("where {other} is")), "{said}");
    }
}
