//! The two services of a seed: one takes it over from the card, one erases it there.
//!
//! Between them runs `mailkiln-prepare`, which is another user and makes what is secret; it is
//! handed the seed as a credential. So nobody needs a capability: root owns the card and what
//! the first service writes, and the erasing waits until everything has been kept.

use crate::{
    Access, Confinement, Credential, Device, Directory, Limits, Ordering, Sandbox, Service,
    StateDirectory, user,
};

const PROGRAM: &str = "/usr/bin/mailkiln-agent";

/// The boot partition. The agent looks for the one on the disk of the root; should another disk
/// have the label too, and be meant by it, it may open neither.
const PARTITION: &str = "/dev/disk/by-partlabel/esp";
const PARTITION_UNIT: &str = "dev-disk-by\\x2dpartlabel-esp.device";

/// Where networkd looks for what holds until the next boot.
pub(crate) const NETWORK: Directory =
    Directory { path: "/run/systemd/network", mode: 0o755, owner: user::ROOT, whole: false };

/// The seed for `mailkiln-prepare`. Without one, the word that the agent knows.
pub(crate) fn credential() -> Credential {
    Credential {
        name: "seed".to_owned(),
        source: "/run/mailkiln-seed/seed".to_owned(),
        fallback: Some("none"),
    }
}

/// A seed that the hypervisor hands over, by SMBIOS or fw_cfg: systemd.system-credentials(7).
fn from_the_hypervisor() -> Credential {
    Credential {
        name: "seed".to_owned(),
        source: "mailkiln.seed".to_owned(),
        fallback: Some("none"),
    }
}

/// Reads the card; writes who may log in, the SSH host key and the way to the network.
pub(crate) fn take() -> Service {
    let state = |name| StateDirectory { name, mode: 0o700 };
    Service {
        state: ["iwd", "mailkiln-seed", "ssh/authorized_keys", "ssh/etc/ssh"].map(state).to_vec(),
        runtime_directory: Some("mailkiln-seed"),
        credentials: vec![from_the_hypervisor()],
        confinement: sandbox(Access::Read, NETWORK.path),
        ordering: Ordering {
            after: vec![PARTITION_UNIT],
            wants: vec![PARTITION_UNIT],
            before: vec![
                "iwd.service",
                "mailkiln-prepare.service",
                "mailkiln-ssh-keys.service",
                "systemd-networkd.service",
            ],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        ..agent("mailkiln-seed", "Take over the seed on the card", "take")
    }
}

/// Overwrites the seed on the card, once all of it is kept elsewhere.
pub(crate) fn erase() -> Service {
    Service {
        // The first one makes it, and may have had no reason to.
        confinement: sandbox(Access::ReadWrite, "-/run/mailkiln-seed"),
        ordering: Ordering {
            after: vec!["mailkiln-seed.service", "mailkiln-prepare.service"],
            requires: vec!["mailkiln-prepare.service"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        ..agent("mailkiln-seed-erase", "Erase the seed on the card", "erase")
    }
}

fn sandbox(access: Access, writable: &'static str) -> Confinement {
    Confinement::Sandboxed(Sandbox {
        devices: vec![Device { path: PARTITION.to_owned(), access }],
        writable: vec![writable],
        ..Sandbox::default()
    })
}

fn agent(name: &'static str, description: &'static str, command: &str) -> Service {
    let arguments = vec!["seed".to_owned(), command.to_owned()];
    Service {
        limits: Limits { tasks: Some(16), files: Some(256), ..Limits::default() },
        // What waits for the seed goes on waiting where the disk is full: it is tried again.
        ..Service::oneshot(name, description, PROGRAM, arguments)
    }
}
