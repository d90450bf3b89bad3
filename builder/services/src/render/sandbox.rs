//! The strict base of every sandbox, and a service's exceptions, as systemd.exec(5) settings.

use super::RenderError;
use super::unit::{UnitText, literal};
use crate::{Access, Capability, NetworkAccess, Sandbox, User};

/// What holds for every sandboxed service, and why.
const BASE: &[(&str, &str)] = &[
    // No set-user-ID program or file capability gives it more than it has.
    ("NoNewPrivileges", "yes"),
    ("RestrictSUIDSGID", "yes"),
    // The file system is read-only but for state; homes do not exist; /tmp is its own, and not
    // on /var, which need not be mounted yet.
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "disconnected"),
    ("PrivateMounts", "yes"),
    // It runs programs of the image, nothing it has written itself.
    ("NoExecPaths", "/"),
    ("ExecPaths", "/usr"),
    ("MemoryDenyWriteExecute", "yes"),
    // The kernel and its clock, log, modules, name and cgroups are not its business.
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("LockPersonality", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    // It sees no process but its own, and shares no memory, queue or key ring.
    ("ProtectProc", "invisible"),
    ("PrivateIPC", "yes"),
    ("RemoveIPC", "yes"),
    ("KeyringMode", "private"),
    // No foreign ABI, and the system calls of an ordinary program; others fail, not kill, since
    // libraries probe for them.
    ("SystemCallArchitectures", "native"),
    ("SystemCallErrorNumber", "EPERM"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
];

/// Writes the base and the exceptions.
pub(super) fn lines(
    text: &mut UnitText,
    sandbox: &Sandbox,
    user: Option<User>,
) -> Result<(), RenderError> {
    for (key, value) in BASE {
        text.set(key, value)?;
    }
    if sandbox.change_group {
        text.set("SystemCallFilter", "@chown")?;
    }
    if sandbox.confines_itself {
        text.set(
            "SystemCallFilter",
            "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
        )?;
    }
    if !sandbox.whole_proc {
        text.set("ProcSubset", "pid")?;
    }
    if !sandbox.host_users {
        text.flag("PrivateUsers", true)?;
    }
    text.list("ReadWritePaths", &sandbox.writable)?;
    // One that is not there yet is no error.
    let programs: Vec<String> =
        sandbox.programs.iter().map(|path| format!("-{}", literal(path))).collect();
    text.list("ExecPaths", &programs)?;
    capabilities(text, sandbox, user)?;
    devices(text, sandbox)?;
    network(text, sandbox)
}

fn capabilities(
    text: &mut UnitText,
    sandbox: &Sandbox,
    user: Option<User>,
) -> Result<(), RenderError> {
    let names: Vec<&str> = sandbox.capabilities.iter().map(|&each| name(each)).collect();
    text.set("CapabilityBoundingSet", names.join(" "))?;
    if user.is_some() {
        // Root has its bounding set anyway; another user is given it.
        text.set("AmbientCapabilities", names.join(" "))?;
    }
    Ok(())
}

const fn name(capability: Capability) -> &'static str {
    match capability {
        Capability::NetBindService => "CAP_NET_BIND_SERVICE",
        Capability::NetAdmin => "CAP_NET_ADMIN",
    }
}

fn devices(text: &mut UnitText, sandbox: &Sandbox) -> Result<(), RenderError> {
    if sandbox.devices.is_empty() {
        text.flag("PrivateDevices", true)?;
    }
    text.set("DevicePolicy", "closed")?;
    for device in &sandbox.devices {
        let access = match device.access {
            Access::Read => "r",
            Access::Write => "w",
            Access::ReadWrite => "rw",
        };
        text.set("DeviceAllow", format_args!("{} {access}", literal(&device.path)))?;
    }
    Ok(())
}

/// Networks that are not the public Internet's (RFC 6890). Both names are systemd's (systemd.resource-control(5)).
const PRIVATE: [&str; 7] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "link-local",
    "multicast",
];

fn network(text: &mut UnitText, sandbox: &Sandbox) -> Result<(), RenderError> {
    // AF_UNIX: readiness and the journal.
    let mut families = vec!["AF_UNIX"];
    if !matches!(sandbox.network, NetworkAccess::None | NetworkAccess::Configures) {
        families.extend(["AF_INET", "AF_INET6"]);
    }
    if sandbox.netlink {
        families.push("AF_NETLINK");
    }
    text.list("RestrictAddressFamilies", &families)?;
    if sandbox.network == NetworkAccess::None {
        text.flag("PrivateNetwork", true)?;
    }
    match sandbox.network {
        NetworkAccess::Internet => {}
        NetworkAccess::Public => text.list("IPAddressDeny", &PRIVATE)?,
        NetworkAccess::None | NetworkAccess::Loopback | NetworkAccess::Configures => {
            text.set("IPAddressDeny", "any")?;
        }
    }
    if sandbox.network == NetworkAccess::Loopback {
        let peers = sandbox.peers.iter().map(ToString::to_string);
        let allowed: Vec<String> = std::iter::once("localhost".to_owned()).chain(peers).collect();
        text.list("IPAddressAllow", &allowed)?;
    }
    Ok(())
}
