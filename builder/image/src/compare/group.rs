//! What a difference is about.
//!
//! In: the path of a file, and what it was found to be. Out: its group.

use std::fmt;

use mailkiln_tree::TreePath;

/// What a difference is about, in the order of booting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The disk and its partitions.
    Partitions,
    /// What starts the kernel, and what other chips are loaded with.
    Boot,
    /// The kernel and its modules.
    Kernel,
    /// Programs and libraries (ELF), and the folders they are in.
    MachineCode,
    /// Which packages there are.
    Packages,
    /// Users and groups.
    Users,
    /// systemd's units, and what is enabled of them.
    Units,
    /// Everything else in `/etc`, and the appliance's own settings.
    Configuration,
    /// All other files.
    Other,
}

/// Paths, and what is at or below them; the first that fits counts.
const PLACES: [(&str, Group); 17] = [
    ("usr/lib/firmware", Group::Boot),
    ("boot", Group::Kernel),
    ("usr/lib/modules", Group::Kernel),
    ("var/lib/dpkg", Group::Packages),
    ("usr/lib/sysimage/dpkg", Group::Packages),
    ("etc/passwd", Group::Users),
    ("etc/group", Group::Users),
    ("etc/shadow", Group::Users),
    ("etc/gshadow", Group::Users),
    ("etc/subuid", Group::Users),
    ("etc/subgid", Group::Users),
    ("usr/lib/sysusers.d", Group::Users),
    ("etc/systemd/system", Group::Units),
    ("etc/systemd/user", Group::Units),
    ("usr/lib/systemd/system", Group::Units),
    ("usr/lib/systemd/user", Group::Units),
    ("etc", Group::Configuration),
];

impl Group {
    /// Every group, in order.
    pub const ALL: [Self; 9] = [
        Self::Partitions,
        Self::Boot,
        Self::Kernel,
        Self::MachineCode,
        Self::Packages,
        Self::Users,
        Self::Units,
        Self::Configuration,
        Self::Other,
    ];

    /// The group of what stands at `path`, and was found to be of the group `found`. That tells more
    /// than the place, but for kernel and firmware, which are machine code too.
    pub(super) fn of(path: &TreePath, found: Option<Self>) -> Self {
        let place = PLACES.iter().find(|(place, _)| is_within(path.as_str(), place));
        match place {
            Some((_, group @ (Self::Kernel | Self::Boot))) => *group,
            place => found.or(place.map(|(_, group)| *group)).unwrap_or(Self::Other),
        }
    }

    /// A word for programs.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Boot => "boot",
            Self::Kernel => "kernel",
            Self::MachineCode => "machine-code",
            Self::Packages => "packages",
            Self::Users => "users",
            Self::Units => "units",
            Self::Configuration => "configuration",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Partitions => "Partition table",
            Self::Boot => "Firmware and boot files",
            Self::Kernel => "Kernel and modules",
            Self::MachineCode => "Machine code",
            Self::Packages => "Packages",
            Self::Users => "Users and groups",
            Self::Units => "systemd units",
            Self::Configuration => "Configuration",
            Self::Other => "Other files",
        })
    }
}

fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_grouped_by_place_and_by_what_they_are() {
        let elf = Some(Group::MachineCode);
        for (path, found, group) in [
            ("usr/lib/modules/6.12/kernel/fs/ext4.ko.zst", None, Group::Kernel),
            ("usr/lib/modules/6.12/vdso/vdso64.so", elf, Group::Kernel),
            ("usr/lib/modules-load.d/a.conf", None, Group::Other),
            ("usr/bin/mount", elf, Group::MachineCode),
            ("usr/bin/mount", None, Group::Other),
            ("etc/gshadow", None, Group::Users),
            ("etc/passwd-", None, Group::Configuration),
            ("etc/systemd/system/mail-server.service", None, Group::Units),
            ("etc/systemd/resolved.conf", None, Group::Configuration),
            ("usr/lib/firmware/x.bin", elf, Group::Boot),
            ("", None, Group::Other),
        ] {
            assert_eq!(Group::of(&TreePath::parse(path).unwrap(), found), group, "{path}");
        }
    }
}
