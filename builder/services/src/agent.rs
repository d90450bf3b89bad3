//! The agent's three services: prepare before the mail server, provision after it, console.

use std::time::Duration;

use mailkiln_spec::Spec;

use crate::{
    Access, ConfigFile, Confinement, Device, Kind, Limits, NetworkAccess, Ordering, Sandbox,
    Service, StateDirectory, TargetFacts, appliance_json, seed, user,
};

const PROGRAM: &str = "/usr/bin/mailkiln-agent";

/// Secrets, DKIM keys and a self-signed certificate, so that the server can start. It needs no
/// network and gets none: what makes the keys can't send them away.
pub(crate) fn prepare(spec: &Spec, target: &TargetFacts) -> Service {
    let appliance = appliance_json::text(spec, target);
    Service {
        // It chooses the mode of each file itself: most are secret, certificates and public DKIM
        // records are not. A stricter mask would take the group's rights to a certificate.
        umask: 0o007,
        confinement: Confinement::Sandboxed(Sandbox {
            writable: vec!["/var/lib/mailkiln-acme/live"],
            // Files in there are given to the group `mailkiln-acme`, which a user namespace would hide.
            change_group: true,
            host_users: true,
            ..Sandbox::default()
        }),
        groups: vec![user::MAILKILN_ACME.name],
        credentials: vec![seed::credential()],
        ordering: Ordering {
            // A certificate is valid from now on: the clock has to be sane, if not exact.
            after: vec!["time-set.target", "mailkiln-seed.service"],
            before: vec!["mail-server.service"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        // Two RSA keys on a slow, single-core board.
        limits: Limits { start: Some(Duration::from_secs(600)), ..limits() },
        config_files: vec![ConfigFile::public("/etc/mailkiln/appliance.json", appliance)],
        ..agent("mailkiln-prepare", "Make secrets, keys and the first certificate", "prepare")
    }
}

/// Domains and accounts through the API on loopback.
pub(crate) fn provision() -> Service {
    Service {
        confinement: Confinement::Sandboxed(Sandbox {
            network: NetworkAccess::Loopback,
            ..Sandbox::default()
        }),
        ordering: Ordering {
            after: vec!["mail-server.service"],
            requires: vec!["mail-server.service"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        limits: Limits { start: Some(Duration::from_secs(600)), ..limits() },
        ..agent("mailkiln-provision", "Make the domains and accounts of mail.toml", "provision")
    }
}

/// Status on the consoles. It lists the machine's addresses, asks the services on loopback
/// whether they work, and the resolver on loopback for the DNS records that are still missing.
pub(crate) fn console(target: &TargetFacts) -> Service {
    let devices = target
        .consoles
        .iter()
        .map(|path| Device { path: path.clone(), access: Access::Write })
        .collect();
    Service {
        kind: Kind::Simple,
        // udev gives virtual consoles to `tty` and serial ports to `dialout`.
        // Health is judged with the certificate that the server shows.
        groups: vec!["tty", "dialout", user::MAILKILN_ACME.name],
        confinement: Confinement::Sandboxed(Sandbox {
            network: NetworkAccess::Loopback,
            netlink: true,
            devices,
            // `/proc/net` and `/proc/uptime`.
            whole_proc: true,
            // The groups of the consoles.
            host_users: true,
            ..Sandbox::default()
        }),
        ordering: Ordering {
            // Provisioning may fail; then the console is where it says so.
            after: vec!["mailkiln-provision.service"],
            wants: vec!["mailkiln-provision.service"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        ..agent("mailkiln-console", "Show addresses, health and missing DNS records", "console")
    }
}

fn agent(name: &'static str, description: &'static str, command: &str) -> Service {
    Service {
        user: Some(user::MAILKILN),
        state: vec![StateDirectory { name: "mailkiln", mode: 0o755 }],
        limits: limits(),
        ..Service::oneshot(name, description, PROGRAM, vec![command.to_owned()])
    }
}

fn limits() -> Limits {
    Limits { tasks: Some(64), files: Some(1024), ..Limits::default() }
}
