//! Inspection: finds what was assembled, notices what was altered.

use mailkiln_pin::Arch;

use super::*;
use crate::disk::tests::assembled;
use crate::fuzz;

fn altered(image: &[u8], table: &Gpt, name: &str, at: usize) -> Vec<u8> {
    let partition = table.partitions.iter().find(|partition| partition.name == name).unwrap();
    let mut altered = image.to_vec();
    altered[partition.start.bytes().unwrap() as usize + at] ^= 1;
    altered
}

#[test]
fn what_was_assembled_is_found() {
    let (disk, image) = assembled(Arch::Aarch64, None);
    let image = image.as_slice();
    let found = inspect(&image).unwrap();
    assert_eq!((found.size, &found.table), (disk.size, &disk.table));
    let names: Vec<_> = found.boot_files.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(names, ["EFI", "EFI/BOOT", "EFI/BOOT/BOOTAA64.EFI", "SEED.BIN", "config.txt"]);
    let [kernel] = found.kernels.as_slice() else { panic!("{:?}", found.kernels) };
    assert_eq!(kernel.command_line, disk.command_line);
    assert_eq!(kernel.root_hash, Some(disk.root_hash));
    let [root] = found.roots.as_slice() else { panic!("one root") };
    assert_eq!(root.verify(&image, &found).unwrap(), Some(disk.root_hash));
    assert_eq!(root.files.items().len(), 4);
    assert_eq!(root.packages.len(), 0);
}

#[test]
fn altered_contents_are_noticed() {
    let (disk, image) = assembled(Arch::X86_64, None);
    let verify = |image: &[u8]| {
        let found = inspect(&image).unwrap();
        found.roots[0].verify(&image, &found).map(|_| ())
    };
    verify(&image).unwrap();
    let root = verify(&altered(&image, &disk.table, "root-a", 5000)).unwrap_err();
    assert!(matches!(root, BadVerity::RootHash { .. }));
    let tree = verify(&altered(&image, &disk.table, "root-a-verity", 4100)).unwrap_err();
    assert!(matches!(tree, BadVerity::Tree { block: 1 }));
}

#[test]
fn a_root_that_no_kernel_names_is_not_called_verified() {
    let (_, one) = assembled(Arch::X86_64, None);
    let mut disk = one.clone();
    // Another GUID than the command line promises: as after swapping the root partition.
    let mut table = gpt::read(&disk.as_slice()).unwrap();
    table.partitions[1].guid = Guid::from_u128(1);
    let (front, _) = table.encode().unwrap();
    disk[..front.len()].copy_from_slice(&front);
    let disk = disk.as_slice();
    let found = inspect(&disk).unwrap();
    assert_eq!(found.roots[0].root_hash, None);
    assert_eq!(found.roots[0].verify(&disk, &found).unwrap(), None);
}

#[test]
fn foreign_disks_do_no_harm() {
    let (_, image) = assembled(Arch::X86_64, None);
    assert!(inspect(&[].as_slice()).is_err());
    assert!(inspect(&[0; 4096].as_slice()).is_err());
    for end in [0, 600, 17_408, 1 << 20, 30 << 20, 36 << 20] {
        let _ = inspect(&&image[..end]);
        fuzz::disk(&fuzz::records(&image[..end]));
    }
    fuzz::disk(&fuzz::records(&image));
    fuzz::fat(&fuzz::records(&image[1 << 20..]));
    fuzz::fat(&image[..5000]);
    fuzz::uki(&image[..5000]);
    fuzz::superblock(&image[..5000]);
    fuzz::dpkg_status(&image[..5000]);
    fuzz::grub(&image[..5000]);
}
