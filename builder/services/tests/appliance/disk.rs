//! systemd-repart's verdict: on a disk with one slot it makes the other and `var`, and touches
//! nothing that was there.

use std::path::Path;

use crate::fixture::{FULL, MINIMAL, built, judge, lay_out, target};

const MIB: u64 = 1 << 20;

/// The partition table as sfdisk's script.
fn table(disk: &Path) -> Vec<String> {
    let (fine, said) = judge("sfdisk", &["--dump", disk.to_str().unwrap()]).unwrap();
    assert!(fine, "{said}");
    said.lines().filter(|line| line.contains("start=")).map(str::to_owned).collect()
}

/// Writes a disk as the image has it: `bios`, `esp`, `root-a`, `root-a-verity`.
fn disk(path: &Path, size: u64) {
    std::fs::File::create(path).unwrap().set_len(size).unwrap();
    let slots = target().slots;
    let script = format!(
        "label: gpt\n\
         start=2048, size=1MiB, name=bios, type=21686148-6449-6E6F-744E-656564454649\n\
         size=64MiB, name=esp, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n\
         size={}MiB, name=root-a, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n\
         size={}MiB, name=root-a-verity, type=2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5\n",
        slots.root / MIB,
        slots.verity / MIB,
    );
    let script_path = path.with_extension("sfdisk");
    std::fs::write(&script_path, script).unwrap();
    let script = std::fs::File::open(script_path).unwrap();
    let done = std::process::Command::new("sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel", path.to_str().unwrap()])
        .stdin(script)
        .status()
        .unwrap();
    assert!(done.success());
}

fn repart(root: &Path, disk: &Path) -> Option<(bool, String)> {
    let definitions = format!("--definitions={}", root.join("etc/repart.d").display());
    judge(
        "systemd-repart",
        &[
            &definitions,
            "--dry-run=no",
            "--seed=00000000-0000-4000-8000-000000000001",
            "--no-pager",
            disk.to_str().unwrap(),
        ],
    )
}

/// Whether all that judges is here. The definitions name the root of the machine's own kind, and
/// the disk that is written above is an x86-64 one.
fn can_judge() -> bool {
    cfg!(target_arch = "x86_64")
        && judge("sfdisk", &["--version"]).is_some()
        && judge("systemd-repart", &["--version"]).is_some()
}

#[test]
fn the_first_boot_adds_a_slot_and_var_and_later_ones_grow_it() {
    if !can_judge() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The formatting of `var` needs loop devices or mkfs; the layout is what is judged here.
    lay_out(&built(MINIMAL), folder.path());
    let var = folder.path().join("etc/repart.d/30-var.conf");
    let text = std::fs::read_to_string(&var).unwrap().replace("Format=ext4\n", "");
    std::fs::write(&var, text).unwrap();

    let path = folder.path().join("disk");
    disk(&path, 1024 * MIB);
    let before = table(&path);
    let (fine, said) = repart(folder.path(), &path).unwrap();
    assert!(fine, "{said}");
    let after = table(&path);
    // The path leads each line, so equal lines are equal partitions.
    assert_eq!(after[..4], before[..]);
    let size = |line: &str| -> u64 {
        let rest = line.split_once("size=").unwrap().1;
        rest.split(',').next().unwrap().trim().parse::<u64>().unwrap() * 512
    };
    let slots = target().slots;
    for (index, label, exact) in [(4, "root-b", slots.root), (5, "root-b-verity", slots.verity)] {
        assert!(after[index].contains(&format!("name=\"{label}\"")), "{}", after[index]);
        assert_eq!(size(&after[index]), exact);
    }
    assert!(after[6].contains("name=\"var\""), "{}", after[6]);
    assert!(size(&after[6]) > 512 * MIB, "{}", after[6]);
    assert_eq!(after.len(), 7);

    let (fine, said) = repart(folder.path(), &path).unwrap();
    assert!(fine, "{said}");
    assert_eq!(table(&path), after, "a second boot changes nothing");

    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2048 * MIB).unwrap();
    let (fine, said) = repart(folder.path(), &path).unwrap();
    assert!(fine, "{said}");
    let grown = table(&path);
    assert_eq!(grown[..6], after[..6], "only var grows");
    assert!(size(&grown[6]) > 1500 * MIB, "{}", grown[6]);
}

#[test]
fn a_disk_that_is_too_small_is_left_alone() {
    if !can_judge() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    lay_out(&built(FULL), folder.path());
    let path = folder.path().join("disk");
    disk(&path, 512 * MIB);
    let before = table(&path);
    let (fine, said) = repart(folder.path(), &path).unwrap();
    assert!(!fine, "{said}");
    assert_eq!(table(&path), before);
}
