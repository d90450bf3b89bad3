//! Who uses a device: what is mounted, what the kernel swaps to, what is built on it.
//!
//! In: the texts of `/proc/self/mountinfo` and `/proc/swaps` (proc(5)). Out: which device is used for
//! what. Pure.

use std::fmt;

/// What a device is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// A file system on it is mounted.
    Mounted {
        /// Name of the partition, or of what lies on it.
        device: String,
        /// Where.
        place: String,
    },
    /// The kernel swaps to it.
    Swap {
        /// Name of the partition, or of what lies on it.
        device: String,
    },
    /// Another device is made of it: LVM, LUKS, RAID.
    Held {
        /// Name of the partition, or of what lies on it.
        device: String,
        /// The device that is made of it.
        by: String,
    },
    /// A loop device shows the file as a disk.
    Loop {
        /// The loop device.
        device: String,
    },
}

/// Places that this machine needs to run, and everything below some of them.
const OF_THE_SYSTEM: [&str; 8] =
    ["/", "/usr", "/var", "/home", "/nix", "/nix/store", "/efi", "/boot"];

impl Use {
    /// The place, if this machine runs from there.
    pub fn system_place(&self) -> Option<&str> {
        match self {
            Self::Mounted { place, .. } => {
                let system = OF_THE_SYSTEM.contains(&place.as_str()) || place.starts_with("/boot/");
                system.then_some(place)
            }
            _ => None,
        }
    }

    /// What ends this use.
    pub fn cure(&self) -> String {
        match self {
            Self::Mounted { place, .. } if place.contains(|c: char| c.is_whitespace()) => {
                format!("umount '{}'", place.escape_debug())
            }
            Self::Mounted { place, .. } => format!("umount {}", place.escape_debug()),
            Self::Swap { device } => format!("swapoff /dev/{device}"),
            Self::Held { by, .. } if by.starts_with("md") => format!("mdadm --stop /dev/{by}"),
            Self::Held { by, .. } => format!("dmsetup remove /dev/{by}"),
            Self::Loop { device } => format!("losetup -d /dev/{device}"),
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { device, place } => {
                write!(f, "{device} is mounted on {}", place.escape_debug())
            }
            Self::Swap { device } => write!(f, "{device} is swapped to"),
            Self::Held { device, by } => write!(f, "{device} is a part of {by}"),
            Self::Loop { device } => write!(f, "{device} shows it as a disk"),
        }
    }
}

/// A line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `MAJOR:MINOR` of the file system; of no device for btrfs and others.
    pub(crate) number: String,
    pub(crate) place: String,
    /// What was mounted: mostly a path below `/dev`.
    pub(crate) source: String,
}

/// Reads `/proc/self/mountinfo`. Lines that are not as documented are left out.
pub(crate) fn mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(2);
    let (number, place) = (front.next()?.to_owned(), unescaped(front.nth(1)?));
    let source = unescaped(back.split(' ').nth(1)?);
    Some(Mount { number, place, source })
}

/// Reads `/proc/swaps`: paths of files and devices.
pub(crate) fn swaps(text: &str) -> Vec<String> {
    text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescaped).collect()
}

/// Undoes the kernel's `\040`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let code = match (first, more) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &more[3..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_tables_are_read() {
        let found = mounts(
            "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
             28 27 0:25 /@home /home rw shared:1 master:2 - btrfs /dev/mapper/a\\040b rw\n\
             nonsense\n\
             29 27 8:17 / /media/USB\\040STICK rw - vfat /dev/sdb1 rw\n",
        );
        let all: Vec<_> = found
            .iter()
            .map(|it| (it.number.as_str(), it.place.as_str(), it.source.as_str()))
            .collect();
        assert_eq!(
            all,
            [
                ("254:0", "/", "/dev/vda"),
                ("0:25", "/home", "/dev/mapper/a b"),
                ("8:17", "/media/USB STICK", "/dev/sdb1"),
            ]
        );
        let text = "Filename\tType\tSize\n/dev/dm-1 partition 8 0 -2\n/swap\\040file file 8 0 -3\n";
        assert_eq!(swaps(text), ["/dev/dm-1", "/swap file"]);
        assert_eq!(unescaped("\\0\\400\\134"), "\\0\\400\\");
    }
}
