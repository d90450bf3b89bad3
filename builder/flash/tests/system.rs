//! What the kernel and udev tell about devices: a tree of files in their place.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it stands")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::Path;

use mailkiln_flash::{Device, FlashError, Image, System, Use};

/// A machine: a disk with LUKS and LVM that it runs from, a stick, a card, an empty reader, a CD drive.
struct Machine(tempfile::TempDir);

const MOUNTS: &str = "\
22 27 0:21 / /proc rw - proc proc rw
27 1 253:1 / / rw,relatime - ext4 /dev/mapper/vg-root rw
28 27 8:1 / /boot/efi rw - vfat /dev/sda1 rw
29 27 0:44 /@home /srv rw - btrfs /dev/disk/by-id/nvme-x-part1 rw
30 27 8:17 / /media/THE\\040STICK rw - vfat /dev/sdb1 rw
";

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let disk = "pci0000:00/ata1/host0/target0/0:0:0:0/block/sda";
        machine.disk("sda", disk, "8:0", &[("size", "2000"), ("device/model", "Built In  ")]);
        machine.part("sda", disk, 1, "8:1");
        machine.part("sda", disk, 2, "8:2");
        machine.disk("dm-0", "virtual/block/dm-0", "253:0", &[("size", "1")]);
        machine.disk("dm-1", "virtual/block/dm-1", "253:1", &[("size", "1")]);
        machine.disk("dm-2", "virtual/block/dm-2", "253:2", &[("size", "1")]);
        machine.link("sys/class/block/sda2/holders/dm-0");
        machine.link("sys/class/block/dm-0/holders/dm-1");
        machine.link("sys/class/block/dm-0/holders/dm-2");

        let nvme = "pci0000:00/nvme/nvme0/nvme0n1";
        machine.disk("nvme0n1", nvme, "259:0", &[("size", "9"), ("device/model", "Fast")]);
        machine.part("nvme0n1", nvme, 1, "259:1");

        let stick = "pci0000:00/usb2/2-1/2-1:1.0/host6/target6/6:0:0:0/block/sdb";
        let model = [
            ("size", "62521344"),
            ("device/vendor", "ACME    "),
            ("device/model", "Stick \u{1b}[31m"),
        ];
        machine.disk("sdb", stick, "8:16", &model);
        machine.part("sdb", stick, 1, "8:17");
        machine
            .file("run/udev/data/b8:17", "S:disk/x\nE:ID_FS_TYPE=vfat\nE:ID_FS_LABEL=THE STICK\n");

        let card = "platform/mmc_host/mmc0/mmc0:0001/block/mmcblk0";
        machine.disk(
            "mmcblk0",
            card,
            "179:0",
            &[("size", "61071360"), ("device/type", "SD"), ("device/name", "SU32G")],
        );
        for number in [2, 10, 1] {
            machine.part("mmcblk0", card, number, &format!("179:{number}"));
        }
        let reader = "pci0000:00/usb2/2-2/2-2:1.0/host7/target7/7:0:0:0/block/sdc";
        machine.disk("sdc", reader, "8:32", &[("size", "0"), ("removable", "1")]);
        let drive = "pci0000:00/ata2/host1/target1/1:0:0:0/block/sr0";
        machine.disk("sr0", drive, "11:0", &[("size", "5"), ("removable", "1"), ("ro", "1")]);
        machine.disk("loop0", "virtual/block/loop0", "7:0", &[("size", "8"), ("removable", "1")]);
        fs::remove_dir_all(machine.path("sys/devices/virtual/block/loop0/device")).unwrap();

        machine.file("proc/self/mountinfo", MOUNTS);
        machine.file("proc/swaps", "Filename Type Size\n/dev/dm-2 partition 4 0 -2\n");
        machine.file("dev/dm-1", "");
        machine.file("dev/nvme0n1p1", "");
        for (link, to) in
            [("mapper/vg-root", "../dm-1"), ("disk/by-id/nvme-x-part1", "../../nvme0n1p1")]
        {
            let link = machine.path("dev").join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(to, link).unwrap();
        }
        machine
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn link(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    fn disk(&self, name: &str, at: &str, number: &str, attributes: &[(&str, &str)]) {
        let folder = format!("sys/devices/{at}");
        self.file(&format!("{folder}/dev"), number);
        self.file(&format!("{folder}/queue/logical_block_size"), "512\n");
        self.link(&format!("{folder}/device"));
        for (attribute, value) in attributes {
            self.file(&format!("{folder}/{attribute}"), &format!("{value}\n"));
        }
        self.class(name, at);
    }

    fn part(&self, disk: &str, at: &str, number: u32, device: &str) {
        let dash = if disk.ends_with(char::is_numeric) { "p" } else { "" };
        let name = format!("{disk}{dash}{number}");
        let folder = format!("sys/devices/{at}/{name}");
        self.file(&format!("{folder}/dev"), device);
        self.file(&format!("{folder}/partition"), &number.to_string());
        self.file(&format!("{folder}/size"), "2048");
        self.file(
            &format!("{folder}/uevent"),
            &format!("DEVTYPE=partition\nPARTNAME=part-{number}\n"),
        );
        self.class(&name, &format!("{at}/{name}"));
    }

    fn class(&self, name: &str, at: &str) {
        fs::create_dir_all(self.path("sys/class/block")).unwrap();
        let to = Path::new("../../devices").join(at);
        symlink(to, self.path("sys/class/block").join(name)).unwrap();
    }

    fn find(&self, name: &str) -> Device {
        System::at(self.0.path()).disk(name).unwrap()
    }
}

#[test]
fn removable_devices_are_listed_with_what_is_on_them() {
    let machine = Machine::new();
    let devices = System::at(machine.0.path()).removable().unwrap();
    let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["mmcblk0", "sdb"]);
    let [card, stick] = &devices[..] else { panic!("{devices:?}") };
    assert_eq!((card.model.as_str(), card.size), ("SU32G", 61_071_360 * 512));
    let parts: Vec<_> = card.partitions.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(parts, ["mmcblk0p1", "mmcblk0p2", "mmcblk0p10"]);
    assert_eq!(card.partitions[0].contents, "\"part-1\"");
    assert_eq!(stick.model, "ACME Stick \u{1b}[31m");
    assert_eq!(stick.partitions[0].contents, "vfat \"THE STICK\"");
    assert!(card.check().is_ok());
}

#[test]
fn a_mounted_device_is_refused_with_the_cure() {
    let stick = Machine::new().find("sdb");
    let error = stick.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "/dev/sdb is in use: sdb1 is mounted on /media/THE STICK. End that first: umount '/media/THE STICK'"
    );
    assert!(error.is_refusal());
}

#[test]
fn the_system_s_disk_is_known_through_luks_and_lvm() {
    let machine = Machine::new();
    let disk = machine.find("sda");
    let error = disk.check().unwrap_err();
    assert!(matches!(&error, FlashError::SystemDisk { .. }) && error.is_refusal(), "{error}");
    let held = |device: &str, by: &str| Use::Held { device: device.to_owned(), by: by.to_owned() };
    for expected in [
        held("sda2", "dm-0"),
        held("dm-0", "dm-1"),
        Use::Mounted { device: "dm-1".to_owned(), place: "/".to_owned() },
        Use::Mounted { device: "sda1".to_owned(), place: "/boot/efi".to_owned() },
        Use::Swap { device: "dm-2".to_owned() },
    ] {
        assert!(disk.uses.contains(&expected), "{expected:?} of {:?}", disk.uses);
    }
    // Not mounted, but a part of something: in use all the same.
    machine.file("proc/self/mountinfo", "");
    machine.file("proc/swaps", "");
    let error = machine.find("sda").check().unwrap_err();
    assert!(error.to_string().contains("sda2 is a part of dm-0"), "{error}");
}

#[test]
fn swap_and_file_systems_without_a_number_are_found_by_path() {
    let machine = Machine::new();
    let place = "/srv".to_owned();
    let disk = machine.find("nvme0n1");
    assert_eq!(disk.uses, [Use::Mounted { device: "nvme0n1p1".to_owned(), place }]);
    machine.file("proc/self/mountinfo", "");
    machine.file("proc/swaps", "Filename\n/dev/nvme0n1p1 partition 1 0 -2\n");
    let error = machine.find("nvme0n1").check().unwrap_err();
    assert!(error.to_string().contains("swapoff /dev/nvme0n1p1"), "{error}");
}

#[test]
fn a_write_protected_card_is_refused() {
    let machine = Machine::new();
    fs::write(machine.path("sys/class/block/mmcblk0/ro"), "1\n").unwrap();
    let error = machine.find("mmcblk0").check().unwrap_err();
    assert!(matches!(error, FlashError::WriteProtected { .. }));
}

#[test]
fn a_machine_that_tells_nothing_is_an_error() {
    let machine = Machine::new();
    // Without its mounts, nobody knows whether a device is in use.
    fs::remove_file(machine.path("proc/self/mountinfo")).unwrap();
    let error = System::at(machine.0.path()).disk("sdb").unwrap_err();
    assert!(matches!(error, FlashError::System { .. }), "{error}");
}

/// A block device of this machine that the test's machine tells something else about. It is only looked
/// at: what is opened is refused before.
#[test]
fn a_partition_is_refused_and_its_disk_is_named() {
    let Ok(entries) = fs::read_dir("/dev") else { return };
    let block = entries.flatten().map(|entry| entry.path()).find(|path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_block_device())
    });
    let Some(path) = block else {
        let _ = writeln!(
            std::io::stderr(),
            "\n*** SKIPPED, a test of flash: no block device in /dev ***"
        );
        return;
    };
    let number = fs::metadata(&path).unwrap().rdev();
    let number = format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
    let machine = Machine::new();
    let image = machine.path("disk.img");
    let mut bytes = vec![0; 4096];
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(&image, bytes).unwrap();
    let image = Image::open(&image).unwrap();
    fs::create_dir_all(machine.path("sys/dev/block")).unwrap();
    let link = machine.path("sys/dev/block").join(number);
    let refused = |name: &str, needed: u64| {
        let _ = fs::remove_file(&link);
        symlink(machine.path("sys/class/block").join(name).canonicalize().unwrap(), &link).unwrap();
        System::at(machine.0.path()).open(&path, &image, needed).map(drop).unwrap_err()
    };
    let error = refused("mmcblk0p1", 4096);
    assert!(error.to_string().ends_with("name the disk, /dev/mmcblk0"), "{error}");
    assert!(matches!(refused("sda", 4096), FlashError::SystemDisk { .. }));
    assert!(matches!(refused("sdb", 4096), FlashError::InUse { .. }));
    assert!(matches!(refused("mmcblk0", 1 << 40), FlashError::TooSmall { .. }));
}
