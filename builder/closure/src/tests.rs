//! A small system in a store of its own: read, walked, and refused in each way that it can be wrong.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use mailkiln_pin::Arch;

use super::*;

const TOP: &str = "00000000000000000000000000000000-nixos-system-x-1";
const KERNEL: &str = "11111111111111111111111111111111-linux-6";
const INITRD: &str = "22222222222222222222222222222222-initrd";

/// A PE file for a machine, and nothing else.
fn kernel(machine: u16) -> Vec<u8> {
    let mut bytes = b"MZ".to_vec();
    bytes.resize(0x3c, 0);
    bytes.extend(0x40_u32.to_le_bytes());
    bytes.extend(b"PE\0\0");
    bytes.extend(machine.to_le_bytes());
    bytes
}

fn boot_json(more: &str) -> String {
    format!(
        r#"{{"org.nixos.bootspec.v1": {{"init": "/nix/store/{TOP}/init", "initrd": "/nix/store/{INITRD}",
        "kernel": "/nix/store/{TOP}/kernel", "kernelParams": ["console=ttyS0", "quiet"], "label": "X 1",
        "system": "x86_64-linux", "toplevel": "/nix/store/{TOP}"{more}}}}}"#
    )
}

/// A store with a system whose initrd is a store path that is a plain file.
fn store(root: &Path) {
    let store = root.join("nix/store");
    let top = store.join(TOP);
    fs::create_dir_all(&top).unwrap();
    fs::create_dir_all(store.join(KERNEL)).unwrap();
    fs::create_dir_all(store.join(".links")).unwrap();
    fs::write(store.join("33333333333333333333333333333333-nobody-needs-it"), "").unwrap();
    fs::write(store.join(KERNEL).join("bzImage"), kernel(0x8664)).unwrap();
    fs::write(store.join(INITRD), "cpio").unwrap();
    fs::write(top.join("init"), format!("#!/bin/sh\n# {TOP}\n")).unwrap();
    fs::set_permissions(top.join("init"), fs::Permissions::from_mode(0o555)).unwrap();
    fs::write(top.join("nixos-version"), "1").unwrap();
    symlink(format!("/nix/store/{KERNEL}/bzImage"), top.join("kernel")).unwrap();
    symlink("init", top.join("prepare-root")).unwrap();
    fs::write(top.join("boot.json"), boot_json("")).unwrap();
}

fn closure_at(root: &Path) -> Result<Closure, ClosureError> {
    let top = in_store(root, Path::new(&format!("/nix/store/{TOP}")))?;
    LocalStore::below(root).closure(&top)
}

fn system_at(root: &Path, arch: Arch) -> Result<System, SystemError> {
    System::of(&closure_at(root)?, "board", arch)
}

/// What is said of a system in which `change` was made.
fn said(change: impl FnOnce(&Path)) -> String {
    let root = tempfile::tempdir().unwrap();
    store(root.path());
    change(&root.path().join("nix/store").join(TOP));
    system_at(root.path(), Arch::X86_64).unwrap_err().to_string()
}

#[test]
fn what_is_referred_to_is_found_and_registered() {
    let root = tempfile::tempdir().unwrap();
    store(root.path());
    let closure = closure_at(root.path()).unwrap();
    let names: Vec<&String> = closure.objects().keys().collect();
    assert_eq!(names, [TOP, KERNEL, INITRD]);
    let text = closure.registration();
    let of_top: Vec<&str> = text.lines().take(8).collect();
    assert_eq!(of_top[0], format!("/nix/store/{TOP}"));
    assert_eq!(of_top[1].len(), 64);
    // Without a deriver; with itself, kernel and initrd, sorted.
    let references = [TOP, KERNEL, INITRD].map(|name| format!("/nix/store/{name}"));
    assert_eq!(of_top[3..], ["", "3", &references[0], &references[1], &references[2]]);
    assert_eq!(text.lines().count(), 8 + 5 + 5);
}

#[test]
fn links_are_followed_as_on_the_running_system() {
    let root = tempfile::tempdir().unwrap();
    store(root.path());
    let top = root.path().join("nix/store").join(TOP);
    symlink(format!("../{KERNEL}/./bzImage"), top.join("upwards")).unwrap();
    symlink("circle", top.join("circle")).unwrap();
    symlink("/etc/passwd", top.join("outside")).unwrap();
    let closure = closure_at(root.path()).unwrap();
    let resolve = |name: &str| closure.resolve(&format!("/nix/store/{TOP}/{name}"));
    for name in
        ["kernel", "upwards", "../../store/./x/../11111111111111111111111111111111-linux-6/bzImage"]
    {
        let found = resolve(name).map(|(object, place)| (object.path.to_basename(), place));
        match name.contains("/x/") {
            // What is no folder has no parent.
            true => assert!(found.is_err()),
            false => assert_eq!(found.unwrap(), (KERNEL.to_owned(), "bzImage".to_owned())),
        }
    }
    assert!(resolve("circle").unwrap_err().to_string().contains("in a circle"));
    assert!(resolve("outside").unwrap_err().to_string().contains("not in the closure"));
    assert!(resolve("nothing").is_err());
    let init = closure.read(&format!("/nix/store/{TOP}/prepare-root"), 100).unwrap();
    assert!(init.starts_with(b"#!"));
    assert!(closure.read(&format!("/nix/store/{TOP}/init"), 3).is_err());
}

#[test]
fn a_system_is_what_its_boot_json_says() {
    let root = tempfile::tempdir().unwrap();
    store(root.path());
    let system = system_at(root.path(), Arch::X86_64).unwrap();
    assert_eq!(system.command_line, format!("init=/nix/store/{TOP}/init console=ttyS0 quiet"));
    let entry = BootEntry::of(&system);
    assert_eq!(entry.kernel, format!("/EFI/nixos/{KERNEL}-bzImage.efi"));
    assert_eq!(entry.initrd.as_deref(), Some(format!("/EFI/nixos/{INITRD}.efi").as_str()));
    let files = entry.files(&system, Loader::new(Arch::X86_64, b"loader"));
    let text = |path: &str| {
        let found = files.iter().find(|(at, _)| at == path);
        String::from_utf8(found.unwrap().1.clone()).unwrap()
    };
    assert_eq!(text("EFI/BOOT/BOOTX64.EFI"), "loader");
    assert_eq!(
        text("loader/entries/nixos-generation-1.conf"),
        format!(
            "title NixOS\nversion Generation 1 X 1\nlinux {}\ninitrd /EFI/nixos/{INITRD}.efi\noptions {}\nsort-key nixos\n",
            entry.kernel, system.command_line
        )
    );
    fs::remove_file(root.path().join("nix/store").join(TOP).join("boot.json")).unwrap();
    let top = root.path().join("nix/store").join(TOP);
    symlink(format!("/nix/store/{INITRD}"), top.join("initrd")).unwrap();
    fs::write(top.join("kernel-params"), "console=ttyS0 quiet").unwrap();
    fs::write(top.join("system"), "x86_64-linux").unwrap();
    let other = system_at(root.path(), Arch::X86_64).unwrap();
    assert_eq!(System { label: system.label.clone(), ..other }, system);
}

#[test]
fn what_is_wrong_is_named_with_its_cure() {
    let root = tempfile::tempdir().unwrap();
    store(root.path());
    let other = system_at(root.path(), Arch::Aarch64).unwrap_err().to_string();
    assert!(
        other.contains("for x86_64, and the target board is a machine with aarch64"),
        "{other}"
    );
    let foreign = said(|top| {
        let kernels = top.parent().unwrap().join(KERNEL);
        fs::write(kernels.join("bzImage"), kernel(0xaa64)).unwrap();
    });
    assert!(foreign.contains("bzImage is a system for aarch64"), "{foreign}");
    let no_efi =
        said(|top| fs::write(top.parent().unwrap().join(KERNEL).join("bzImage"), "x").unwrap());
    assert!(no_efi.contains("not a kernel that UEFI starts"), "{no_efi}");
    let no_init = said(|top| fs::remove_file(top.join("init")).unwrap());
    assert!(no_init.contains("is not a NixOS system: it has no `init`"), "{no_init}");
    let missing = said(|top| fs::remove_dir_all(top.parent().unwrap().join(KERNEL)).unwrap());
    assert!(missing.contains(&format!("{KERNEL} is not in")) && missing.contains(TOP), "{missing}");
    for (more, words) in [
        (r#", "initrdSecrets": "/nix/store/x""#, "no secret enters an image"),
        (r#", "toplevel": "/nix/store/other""#, "duplicate field"),
    ] {
        let text = said(|top| fs::write(top.join("boot.json"), boot_json(more)).unwrap());
        assert!(text.contains(words), "{text}");
    }
    let moved =
        boot_json("").replace(&format!("\"toplevel\": \"/nix/store/{TOP}"), "\"toplevel\": \"/x");
    let moved = said(|top| fs::write(top.join("boot.json"), &moved).unwrap());
    assert!(moved.contains("describes /x"), "{moved}");
    let lines = boot_json("").replace("quiet", "a\\nlinux /evil");
    let lines = said(|top| fs::write(top.join("boot.json"), &lines).unwrap());
    assert!(lines.contains("control character"), "{lines}");
}

#[test]
fn paths_are_found_through_links_below_the_root() {
    let root = tempfile::tempdir().unwrap();
    store(root.path());
    let profiles = root.path().join("nix/var/nix/profiles");
    fs::create_dir_all(&profiles).unwrap();
    symlink("system-1-link", profiles.join("system")).unwrap();
    symlink(format!("/nix/store/{TOP}"), profiles.join("system-1-link")).unwrap();
    let found = in_store(root.path(), Path::new("/nix/var/nix/profiles/system")).unwrap();
    assert_eq!(found.to_basename(), TOP);
    for wrong in ["/etc/passwd", "/nix/store", "x", "/nix/store/short-name"] {
        let said = in_store(root.path(), Path::new(wrong)).unwrap_err().to_string();
        assert!(said.contains(wrong) && said.contains("./result"), "{said}");
    }
}
