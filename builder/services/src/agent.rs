//! The agent's services: prepare before the mail server, provision after it, console, and the page
//! where people change their password.

use std::time::Duration;

use mailkiln_spec::{AcmeChallenge, Spec};

use crate::{
    Access, Capability, ConfigFile, Confinement, Credential, Device, Kind, Limits, NetworkAccess,
    Ordering, Port, Reach, Sandbox, Service, Share, StateDirectory, TargetFacts, appliance_json,
    seed, user,
};

const PROGRAM: &str = "/usr/bin/mailkiln-agent";

/// The unit that shows the status on the consoles.
pub(crate) const CONSOLE: &str = "mailkiln-console";

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
        credentials: vec![show_passwords()],
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
        ..agent(CONSOLE, "Show addresses, health and missing DNS records", "console")
    }
}

/// Whoever starts a virtual machine can say that its recorded console may show first passwords:
/// systemd.system-credentials(7).
fn show_passwords() -> Credential {
    Credential {
        name: "show-passwords".to_owned(),
        source: "mailkiln.show-passwords".to_owned(),
        fallback: Some("no"),
    }
}

/// HTTPS.
const PAGE_PORT: u16 = 443;

/// Where the page listens. Proofs by TLS need the port for themselves.
pub(crate) fn page_address(spec: &Spec, target: &TargetFacts) -> Option<String> {
    let proofs = spec.acme.as_ref().is_some_and(|acme| acme.challenge == AcmeChallenge::TlsAlpn01);
    let everywhere = if spec.network.ipv6 { "[::]" } else { "0.0.0.0" };
    (target.password_page && !proofs).then(|| format!("{everywhere}:{PAGE_PORT}"))
}

/// The page where people change their password. Its user owns nothing and reads no secret but the
/// certificate's key: it asks the mail server as the person whose password it was given.
pub(crate) fn page(spec: &Spec, target: &TargetFacts) -> Option<Service> {
    page_address(spec, target)?;
    Some(Service {
        kind: Kind::Simple,
        user: Some(user::MAILKILN_PAGE),
        groups: vec![user::MAILKILN_ACME.name],
        ports: vec![Port {
            number: PAGE_PORT,
            purpose: "page to change passwords",
            reach: Reach::Public,
        }],
        confinement: Confinement::Sandboxed(Sandbox {
            capabilities: vec![Capability::NetBindService],
            network: NetworkAccess::Internet,
            // Its capability has to count for the host's network.
            host_users: true,
            ..Sandbox::default()
        }),
        ordering: Ordering {
            after: vec!["mailkiln-prepare.service", "network.target"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        limits: Limits {
            memory_max: Some(Share(10)),
            tasks: Some(64),
            files: Some(256),
            ..Limits::default()
        },
        ..Service::oneshot(
            "mailkiln-page",
            "Serve the page where people change their password",
            PROGRAM,
            vec!["page".to_owned()],
        )
    })
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
