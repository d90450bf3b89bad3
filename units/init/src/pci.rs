//! PCI devices that a disk may hang on and that no driver has taken.
//!
//! In: sysfs, after every driver of the initrd had its chance; the kernel's release. Out: words for whoever
//! looks at a machine that found no disk.

use std::fmt;
use std::fs;
use std::path::Path;

/// Base class and subclass (PCI Code and ID Assignment Specification §1) of what a disk hangs on.
const CONTROLLERS: [(u32, &str); 10] = [
    (0x0100, "SCSI controller"),
    (0x0101, "IDE controller"),
    (0x0104, "RAID controller"),
    (0x0106, "SATA controller"),
    (0x0107, "SAS controller"),
    (0x0108, "NVMe disk"),
    (0x0180, "storage controller"),
    (0x0c03, "USB controller"),
    (0x0805, "card reader"),
    (0x0c04, "Fibre Channel adapter"),
];
/// More are not listed: the message has to fit a screen.
const MOST: usize = 8;

/// A device without a driver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Idle {
    vendor: u32,
    device: u32,
    kind: &'static str,
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:04x}:{:04x}", self.kind, self.vendor, self.device)
    }
}

/// The controllers below `devices` (`/sys/bus/pci/devices`) that no driver has taken, sorted.
pub fn without_driver(devices: &Path) -> Vec<Idle> {
    // A machine without PCI, as most boards, has no such directory.
    let Ok(entries) = fs::read_dir(devices) else { return Vec::new() };
    let mut idle: Vec<Idle> = entries.flatten().filter_map(|entry| idle(&entry.path())).collect();
    idle.sort();
    idle
}

fn idle(device: &Path) -> Option<Idle> {
    if device.join("driver").exists() {
        return None;
    }
    let subclass = number(device, "class")? >> 8;
    let (_, kind) = CONTROLLERS.iter().find(|(class, _)| *class == subclass)?;
    Some(Idle { vendor: number(device, "vendor")?, device: number(device, "device")?, kind })
}

/// A number as sysfs writes it: `0x010601`.
fn number(device: &Path, file: &str) -> Option<u32> {
    let text = fs::read_to_string(device.join(file)).ok()?;
    u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

/// Why there may be no disk, and what to do. `release` is the kernel's.
pub fn cause(idle: &[Idle], release: &str) -> String {
    let cloud = release.contains("-cloud-");
    if idle.is_empty() {
        let medium = "check the medium, or write the image to it again";
        // USB ports without a controller on PCI do not exist on a PC.
        return if cloud { format!("{medium}; {}", for_metal()) } else { medium.to_owned() };
    }
    let mut shown: Vec<String> = idle.iter().take(MOST).map(ToString::to_string).collect();
    if idle.len() > MOST {
        shown.push(format!("and {} more", idle.len() - MOST));
    }
    let cure = if cloud {
        for_metal()
    } else {
        "this image's kernel does not know them: another target may, see `mailkiln targets`"
    };
    format!("without a driver: {}; {cure}", shown.join(", "))
}

const fn for_metal() -> &'static str {
    "this image is for virtual machines and clouds: for a PC or server of metal build it with `--target pc-x86_64`"
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const CLOUD: &str = "6.12.1+deb13-cloud-amd64";
    const FULL: &str = "6.12.1+deb13-amd64";

    /// A folder that looks like `/sys/bus/pci/devices`; gone with the value.
    struct Machine(PathBuf);

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn machine(devices: &[(&str, &str, &str, bool)]) -> Machine {
        let folder = std::env::temp_dir().join(format!("mailkiln-init-pci-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let machine = Machine(folder);
        for (number, (class, vendor, device, driven)) in devices.iter().enumerate() {
            let path = machine.0.join(format!("0000:00:{number:02x}.0"));
            fs::create_dir(&path).unwrap();
            for (file, text) in [("class", class), ("vendor", vendor), ("device", device)] {
                fs::write(path.join(file), format!("{text}\n")).unwrap();
            }
            if *driven {
                fs::create_dir(path.join("driver")).unwrap();
            }
        }
        machine
    }

    #[test]
    fn controllers_without_a_driver_are_named_with_the_target_that_has_one() {
        let machine = machine(&[
            ("0x060000", "0x8086", "0x1237", false),
            ("0x0c0330", "0x1b36", "0x000d", false),
            ("0x010400", "0x1000", "0x0060", false),
            ("0x010601", "0x8086", "0x2922", true),
            ("nonsense", "0x8086", "0x2922", false),
        ]);
        let idle = without_driver(&machine.0);
        let names: Vec<String> = idle.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["RAID controller 1000:0060", "USB controller 1b36:000d"]);
        let said = cause(&idle, CLOUD);
        assert!(said.contains("RAID controller 1000:0060, USB controller 1b36:000d"), "{said}");
        assert!(said.contains("--target pc-x86_64"), "{said}");
        assert!(!cause(&idle, FULL).contains("pc-x86_64"));
    }

    #[test]
    fn a_machine_whose_devices_all_have_drivers_has_a_bad_medium() {
        assert_eq!(without_driver(Path::new("/nowhere")), []);
        assert_eq!(cause(&[], FULL), "check the medium, or write the image to it again");
        assert!(cause(&[], CLOUD).contains("pc-x86_64"));
        let many = vec![Idle { vendor: 1, device: 2, kind: "RAID controller" }; 20];
        assert!(cause(&many, FULL).contains("and 12 more"));
    }
}
