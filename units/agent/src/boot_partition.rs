//! The boot partition of the disk that this system runs from.
//!
//! In: the root file system, and what the kernel tells about its devices in `/sys`. Out: the path
//! of the partition. Its label alone would not do: a card in a reader has the same.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

use crate::layout::Layout;

/// The label of the boot partition (docs/internals/contracts.md).
const LABEL: &str = "PARTNAME=esp";

/// Looks for the partition.
///
/// # Errors
/// When the disk has none, or `/sys` does not say.
pub fn path(layout: &Layout) -> io::Result<PathBuf> {
    let device = fs::metadata(layout.root())?.dev();
    let name = beside(&layout.sys(), &format!("{}:{}", major(device), minor(device)))?;
    Ok(layout.devices().join(name))
}

/// The name of the boot partition beside the device with this number, or beside what that is made
/// of: the root is opened through dm-verity.
fn beside(sys: &Path, number: &str) -> io::Result<String> {
    let root = sys.join("dev/block").join(number).canonicalize()?;
    let below = names(&root.join("slaves")).unwrap_or_default();
    let partition = match below.first() {
        Some(name) => root.join("slaves").join(name).canonicalize()?,
        None => root,
    };
    let disk = partition.parent().ok_or(io::ErrorKind::NotFound)?;
    let has_label = |name: &String| {
        let text = fs::read_to_string(disk.join(name).join("uevent")).unwrap_or_default();
        text.lines().any(|line| line == LABEL)
    };
    let found = names(disk)?.into_iter().find(has_label);
    found.ok_or_else(|| {
        let why = "the disk of the root file system has no partition `esp`";
        io::Error::new(io::ErrorKind::NotFound, why)
    })
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn it_is_that_of_the_disk_with_the_root_and_of_no_other() {
        let sys = tempfile::tempdir().unwrap();
        let at = |path: &str| sys.path().join(path);
        for (partition, uevent) in [
            ("pci0/sda/sda2", "DEVNAME=sda2\nPARTNAME=esp\n"),
            ("pci0/sda/sda3", "PARTNAME=root-a\n"),
            ("pci1/vda/vda2", "PARTN=2\nPARTNAME=esp\n"),
            ("pci1/vda/vda3", "PARTNAME=root-a\n"),
            ("pci1/vda/vda6", "PARTNAME=not esp\n"),
        ] {
            let folder = at("devices").join(partition);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("uevent"), uevent).unwrap();
        }
        fs::create_dir_all(at("devices/virtual/dm-0/slaves")).unwrap();
        fs::create_dir_all(at("dev/block")).unwrap();
        for part in ["vda3", "vda4"] {
            let link = at("devices/virtual/dm-0/slaves").join(part);
            symlink(at("devices/pci1/vda/vda3"), link).unwrap();
        }
        symlink(at("devices/virtual/dm-0"), at("dev/block/254:0")).unwrap();
        symlink(at("devices/pci0/sda/sda3"), at("dev/block/8:3")).unwrap();
        assert_eq!(beside(sys.path(), "254:0").unwrap(), "vda2");
        assert_eq!(beside(sys.path(), "8:3").unwrap(), "sda2");
        fs::remove_dir_all(at("devices/pci1/vda/vda2")).unwrap();
        let error = beside(sys.path(), "254:0").unwrap_err().to_string();
        assert!(error.contains("no partition `esp`"), "{error}");
        assert!(beside(sys.path(), "9:9").is_err());
    }
}
