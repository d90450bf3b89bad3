//! The three services of first boot data.
//!
//! The first is root, without network, and looks at what is attached: firmware, volumes, credentials. Where
//! the firmware names a cloud, the second asks its metadata service: it has the network and is nobody but
//! the agent's user, the only one that the firewall lets there. The third is root again, without network, and
//! makes of it what the machine is. On a machine that is in no cloud, the second and third end at once.

use std::time::Duration;

use crate::{
    Access, Confinement, Credential, Device, Directory, Limits, NetworkAccess, Ordering, Sandbox,
    Service, StateDirectory, user,
};

const PROGRAM: &str = "/usr/bin/mailkiln-agent";

/// What the parts hand on, and what they have to say on the consoles.
pub(crate) const HANDED_ON: Directory =
    Directory { path: "/run/mailkiln-cloud", mode: 0o755, owner: user::ROOT, whole: false };

/// What is bound over `/etc` where there is a fragment.
pub(crate) const RENDERED: Directory =
    Directory { path: "/run/mailkiln", mode: 0o755, owner: user::ROOT, whole: false };

/// Where the kernel's name of the machine is set from.
pub(crate) const SYSCTL: Directory =
    Directory { path: "/run/sysctl.d", mode: 0o755, owner: user::ROOT, whole: false };

/// What a service waits for that has no domain yet. It never exists: with its fragment the agent renders the
/// unit again, without this condition.
pub(crate) const FRAGMENT: &str = "/run/mailkiln/fragment";

/// Volumes that NoCloud and OpenStack attach, by the labels that udev reads, and CDs.
const MEDIA: [&str; 8] = [
    "/dev/disk/by-label/cidata",
    "/dev/disk/by-label/CIDATA",
    "/dev/disk/by-label/config-2",
    "/dev/disk/by-label/CONFIG-2",
    "/dev/sr0",
    "/dev/sr1",
    "/dev/sr2",
    "/dev/sr3",
];

/// The links to volumes are there only once udev has seen them all.
const SETTLED: &str = "systemd-udev-settle.service";

/// Looks at what is attached, and makes of it what the machine is unless a cloud has to be asked.
pub(crate) fn local() -> Service {
    let device = |path: &str| Device { path: path.to_owned(), access: Access::Read };
    let credential = |name: &str, source: &str| Credential {
        name: name.to_owned(),
        source: source.to_owned(),
        fallback: Some("none"),
    };
    Service {
        credentials: vec![
            credential("user-data", "mailkiln.user-data"),
            credential("authorized-keys", "ssh.authorized_keys.root"),
        ],
        confinement: sandbox(MEDIA.map(device).to_vec(), false),
        ordering: Ordering {
            after: vec![SETTLED],
            wants: vec![SETTLED],
            before: vec![
                "mailkiln-cloud-fetch.service",
                // It judges by the host's name whether a seed is this machine's.
                "mailkiln-seed.service",
                "systemd-networkd.service",
            ],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        ..keeper("mailkiln-cloud-local", "Look for first boot data that is attached", "local")
    }
}

/// Asks the metadata service of the cloud, for two minutes at most.
pub(crate) fn fetch() -> Service {
    Service {
        user: Some(user::MAILKILN),
        runtime_directory: Some("mailkiln-cloud-fetch"),
        confinement: Confinement::Sandboxed(Sandbox {
            network: NetworkAccess::Internet,
            ..Sandbox::default()
        }),
        ordering: Ordering {
            // Not `network-online.target`: a machine elsewhere would wait for it.
            after: vec!["mailkiln-cloud-local.service", "systemd-networkd.service"],
            before: vec!["mailkiln-cloud.service"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        limits: Limits { start: Some(Duration::from_secs(300)), ..limits() },
        ..agent("mailkiln-cloud-fetch", "Ask the cloud for first boot data", "fetch")
    }
}

/// Makes of what the cloud said what the machine is.
pub(crate) fn apply() -> Service {
    Service {
        // What the cloud said, as the agent's user has written it.
        groups: vec![user::MAILKILN.name],
        confinement: sandbox(Vec::new(), true),
        ordering: Ordering {
            after: vec![
                "mailkiln-cloud-local.service",
                "mailkiln-cloud-fetch.service",
                "mailkiln-seed.service",
            ],
            before: vec![
                // A copy of a disk gets new host keys before anybody sees the old ones.
                "mailkiln-ssh-keys.service",
                "mailkiln-prepare.service",
                "mailkiln-filter.service",
                "mail-server.service",
                "mailkiln-acme.service",
                "mailkiln-console.service",
            ],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        ..keeper("mailkiln-cloud", "Take over first boot data", "apply")
    }
}

/// Root, with what it writes to; it has neither network nor capability.
fn keeper(name: &'static str, description: &'static str, command: &str) -> Service {
    let state = |name| StateDirectory { name, mode: 0o700 };
    Service {
        // Files that every service reads; what is secret has a mode of its own.
        umask: 0o022,
        state: ["iwd", "mailkiln-cloud", "mailkiln-seed", "ssh/authorized_keys", "ssh/etc/ssh"]
            .map(state)
            .to_vec(),
        ..agent(name, description, command)
    }
}

fn sandbox(devices: Vec<Device>, host_users: bool) -> Confinement {
    Confinement::Sandboxed(Sandbox {
        devices,
        // For the group.
        host_users,
        writable: vec![
            // Units and networks until the next boot; systemd is told to read them.
            "/run/systemd",
            HANDED_ON.path,
            RENDERED.path,
            SYSCTL.path,
            // A copy of a disk gets another identity.
            "-/run/machine-id",
            "-/run/mailkiln-seed",
        ],
        ..Sandbox::default()
    })
}

fn agent(name: &'static str, description: &'static str, command: &str) -> Service {
    let arguments = vec!["cloud".to_owned(), command.to_owned()];
    Service { limits: limits(), ..Service::oneshot(name, description, PROGRAM, arguments) }
}

fn limits() -> Limits {
    Limits { tasks: Some(16), files: Some(256), ..Limits::default() }
}
