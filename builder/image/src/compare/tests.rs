//! Comparison: two small disks, of which it is known what differs.

use mailkiln_pin::Arch;
use mailkiln_tree::{Content, Entry, Kind, Owner, Tree, TreePath};

use super::*;
use crate::disk::Boot;
use crate::disk::tests::{BOOT, assembled, assembled_from};
use crate::grub::{self, Grub};

fn file(content: &str) -> Kind {
    Kind::File(Content::Inline(content.as_bytes().to_vec().into()))
}

fn tree(entries: Vec<(String, Kind)>) -> Tree {
    let mut tree = Tree::default();
    for (path, kind) in entries {
        let entry = Entry { kind, mode: 0o755, owner: Owner::default(), origin: "test".into() };
        tree.insert(TreePath::parse(&path).unwrap(), entry).unwrap();
    }
    tree
}

/// The tree of an architecture, with what every two images share and what only machines differ in.
fn root(arch: Arch, mut more: Vec<(&str, Kind)>) -> Tree {
    let libraries = format!("usr/lib/{}", arch.multiarch());
    let release = release(arch);
    let status = format!(
        "Package: linux-image-{release}\nStatus: install ok installed\nVersion: 1\n\
         Architecture: {}\n",
        arch.debian()
    );
    for folder in ["etc", "usr", "usr/lib", "usr/lib/modules", "var", "var/lib", "var/lib/dpkg"] {
        more.push((folder, Kind::Directory));
    }
    more.push(("etc/hostname", file("mail")));
    more.push(("var/lib/dpkg/status", file(&status)));
    let mut entries: Vec<_> =
        more.into_iter().map(|(path, kind)| (path.to_owned(), kind)).collect();
    entries.push((libraries.clone(), Kind::Directory));
    entries.push((format!("{libraries}/libc.so.6"), file(&format!("\x7fELF {arch}"))));
    entries.push((format!("{libraries}/libc.so"), Kind::Symlink("libc.so.6".into())));
    entries.push((format!("usr/lib/modules/{release}"), Kind::Directory));
    entries.push((format!("usr/lib/modules/{release}/ext4.ko"), file(arch.debian())));
    tree(entries)
}

fn release(arch: Arch) -> String {
    format!("6.12-{}", arch.debian())
}

fn disk(arch: Arch, more: Vec<(&str, Kind)>) -> Vec<u8> {
    let boot = Boot { uname: &release(arch), ..BOOT };
    assembled_from(&root(arch, more), boot, arch, None).1
}

/// What differs, a line for each.
fn compared(first: &[u8], second: &[u8]) -> Vec<String> {
    let (first, second) =
        (Image::open("a.img", &first).unwrap(), Image::open("b.img", &second).unwrap());
    let lines = compare(&first, &second).unwrap().into_iter().map(|difference| {
        let Difference { group, subject, change } = difference;
        let change = match change {
            Change::OnlyFirst => "only in the first".to_owned(),
            Change::OnlySecond => "only in the second".to_owned(),
            Change::Differs(aspects) => {
                let said = aspects.iter().map(|aspect| match &aspect.values {
                    // Digests change with every detail of the format, and say nothing here.
                    Some(_) if matches!(aspect.what, "GUID" | "command line") => {
                        aspect.what.to_owned()
                    }
                    Some((one, two)) => format!("{} {one} → {two}", aspect.what),
                    None => aspect.what.to_owned(),
                });
                said.collect::<Vec<_>>().join(", ")
            }
        };
        format!("{} | {subject} | {change}", group.id())
    });
    lines.collect()
}

#[test]
fn an_image_is_the_same_as_itself() {
    let disk = disk(Arch::X86_64, vec![]);
    assert_eq!(compared(&disk, &disk), [] as [&str; 0]);
}

#[test]
fn images_for_two_architectures_differ_in_what_machines_differ_in() {
    let first = disk(Arch::X86_64, vec![]);
    let second = disk(Arch::Aarch64, vec![]);
    assert_eq!(
        compared(&first, &second),
        [
            "partitions | disk | GUID",
            "partitions | esp | GUID",
            "partitions | root-a | type root (x86_64) → root (aarch64), GUID",
            "partitions | root-a-verity | type root verity (x86_64) → root verity (aarch64), GUID",
            "partitions | root-a-verity | content",
            "boot | EFI/BOOT/BOOTX64.EFI | command line",
            "kernel | EFI/BOOT/BOOTX64.EFI | release 6.12-amd64 → 6.12-arm64",
            "kernel | /usr/lib/modules/6.12-amd64 | name 6.12-amd64 → 6.12-arm64",
            "kernel | /usr/lib/modules/6.12-amd64/ext4.ko | content",
            "machine-code | /usr/lib/x86_64-linux-gnu | name x86_64-linux-gnu → aarch64-linux-gnu",
            "machine-code | /usr/lib/x86_64-linux-gnu/libc.so.6 | content 11 bytes → 12 bytes",
            "packages | /var/lib/dpkg/status | content",
        ]
    );
}

#[test]
fn every_way_in_which_files_differ_is_told() {
    let first = vec![
        ("etc/plain", file("a")),
        ("etc/passwd", file("root:x")),
        ("etc/kind", file("a")),
        ("etc/link", Kind::Symlink("a".into())),
        ("usr/tool", file("\x7fELF")),
        ("usr/only", file("\x7fELF")),
        ("var/lib/dpkg/extra", file("x")),
    ];
    let second = vec![
        ("etc/plain", file("b")),
        ("etc/passwd", file("root:y")),
        ("etc/kind", Kind::Directory),
        ("etc/link", Kind::Symlink("b".into())),
        ("usr/tool", file("#!/bin/sh")),
        ("etc/systemd", Kind::Directory),
        ("etc/systemd/system", Kind::Directory),
        ("etc/systemd/system/a.service", file("[Service]")),
    ];
    let lines = compared(&disk(Arch::X86_64, first), &disk(Arch::X86_64, second));
    let files: Vec<_> = lines.iter().filter(|line| line.contains("| /")).collect();
    assert_eq!(
        files,
        [
            "machine-code | /usr/only | only in the first",
            "packages | /var/lib/dpkg/extra | only in the first",
            "users | /etc/passwd | content",
            "units | /etc/systemd/system | only in the second",
            "units | /etc/systemd/system/a.service | only in the second",
            "configuration | /etc/kind | type file → directory",
            "configuration | /etc/link | target a → b",
            "configuration | /etc/plain | content",
            "configuration | /etc/systemd | only in the second",
            "other | /usr/tool | content 4 bytes → 9 bytes",
        ]
    );
}

#[test]
fn modes_owners_and_packages_are_compared() {
    let entry = |mode, number| Entry {
        kind: file("a"),
        mode,
        owner: Owner { uid: number, gid: 0 },
        origin: "test".into(),
    };
    let image = |entry: Entry| {
        let mut tree = root(Arch::X86_64, vec![]);
        tree.insert(TreePath::parse("etc/secret").unwrap(), entry).unwrap();
        assembled_from(&tree, BOOT, Arch::X86_64, None).1
    };
    let lines = compared(&image(entry(0o640, 0)), &image(entry(0o644, 7)));
    let expected = "configuration | /etc/secret | mode 0640 → 0644, owner 0:0 → 7:0";
    assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
    let status = |version: &str| {
        format!(
            "Package: acl\nStatus: install ok installed\nVersion: {version}\nArchitecture: all\n"
        )
    };
    let image = |text: String| {
        let folders = ["var", "var/lib", "var/lib/dpkg"];
        let folders = folders.map(|folder| (folder.to_owned(), Kind::Directory));
        let status = ("var/lib/dpkg/status".to_owned(), file(&text));
        assembled_from(&tree([folders.to_vec(), vec![status]].concat()), BOOT, Arch::X86_64, None).1
    };
    let lines = compared(&image(status("1")), &image(status("2")));
    assert!(lines.contains(&"packages | acl | version 1 → 2".to_owned()), "{lines:#?}");
    let lines = compared(&image(status("1")), &image(String::new()));
    assert!(lines.contains(&"packages | acl | only in the first".to_owned()), "{lines:#?}");
}

#[test]
fn boot_loader_and_kernel_parts_are_told_apart() {
    let files = grub::fixture_files();
    let grub = Grub::new(&files).unwrap();
    let (_, plain) = assembled(Arch::X86_64, None);
    let (_, with_bios) = assembled(Arch::X86_64, Some(&grub));
    let lines = compared(&plain, &with_bios);
    for line in [
        "partitions | bios | only in the second",
        "boot | boot sector | content",
        "boot | kiln/grub.cfg | only in the second",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
    }
    let boot = Boot { kernel: &[1; 60_000], initrd: &[3; 30_000], os_release: "ID=x\n", ..BOOT };
    let (_, other) = assembled_from(&root(Arch::X86_64, vec![]), boot, Arch::X86_64, None);
    let (_, one) = assembled_from(&root(Arch::X86_64, vec![]), BOOT, Arch::X86_64, None);
    let lines = compared(&one, &other);
    for line in [
        "boot | EFI/BOOT/BOOTX64.EFI | initrd",
        "kernel | EFI/BOOT/BOOTX64.EFI | kernel 70000 bytes → 60000 bytes",
        "configuration | EFI/BOOT/BOOTX64.EFI | os-release 12 bytes → 5 bytes",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
    }
    let (_, same) = assembled(Arch::X86_64, Some(&grub));
    assert_eq!(compared(&with_bios, &same), [] as [&str; 0]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let whole = disk(Arch::X86_64, vec![]);
    let damaged = &whole[..whole.len() / 2];
    assert!(Image::open("a.img", &whole.as_slice()).is_ok());
    let said = Image::open("b.img", &damaged).unwrap_err().to_string();
    assert!(said.starts_with("b.img: "), "{said}");
}
