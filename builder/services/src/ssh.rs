//! Remote shells: OpenSSH, keys only. Present when `mail.toml` asks for it.

use std::time::Duration;

use mailkiln_spec::Ssh;

use crate::{
    ConfigFile, Confinement, Kind, Ordering, Port, Reach, Restart, Sandbox, Service, StateDirectory,
};

const CONFIG: &str = "/etc/ssh/sshd_config";
const AUTHORIZED_KEYS: &str = "/etc/ssh/authorized_keys/root";
/// Those that a seed has brought, and, in files of their own, those that a cloud says.
const SEEDED_KEYS: &str = "/var/lib/ssh/authorized_keys";

/// `ssh-keygen -A` puts its keys below this prefix, in `etc/ssh`. The root is read-only and the
/// same for everybody, so host keys live on `/var`.
const PREFIX: &str = "/var/lib/ssh";

/// The generator of host keys, and the daemon.
pub(crate) fn services(ssh: &Ssh, ipv6: bool) -> [Service; 2] {
    [host_keys(), daemon(ssh, ipv6)]
}

/// Runs at every boot and makes what is missing. `-A` writes to a temporary name and renames, and
/// replaces an empty key: a power cut in the middle does not lock anybody out.
fn host_keys() -> Service {
    Service {
        state: vec![StateDirectory { name: "ssh/etc/ssh", mode: 0o700 }],
        confinement: Confinement::Sandboxed(Sandbox {
            // It looks up its own user.
            host_users: true,
            ..Sandbox::default()
        }),
        ordering: Ordering { before: vec!["ssh.service"], ..Ordering::default() },
        restart: Restart::Never,
        ..Service::oneshot(
            "mailkiln-ssh-keys",
            "Make the host keys of SSH",
            "/usr/bin/ssh-keygen",
            ["-A", "-f", PREFIX].map(str::to_owned).to_vec(),
        )
    }
}

/// Not confined: it starts the administrator's shell, which must be able to do everything.
/// Its name is the package's, whose unit it replaces.
fn daemon(ssh: &Ssh, ipv6: bool) -> Service {
    let mut keys = ssh.keys.join("\n");
    keys.push('\n');
    Service {
        kind: Kind::Notify,
        runtime_directory: Some("sshd"),
        // Shells inherit it.
        umask: 0o022,
        ports: vec![Port {
            name: "ssh",
            number: ssh.port,
            purpose: "remote shells",
            reach: Reach::Public,
            clients: &[],
        }],
        confinement: Confinement::Unconfined {
            reason: "the shells it starts inherit every restriction",
        },
        ordering: Ordering {
            after: vec!["network.target", "mailkiln-ssh-keys.service"],
            requires: vec!["mailkiln-ssh-keys.service"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        config_files: vec![
            ConfigFile { mode: 0o600, ..ConfigFile::public(CONFIG, configuration(ssh, ipv6)) },
            ConfigFile::public(AUTHORIZED_KEYS, keys),
        ],
        restart: Restart::OnFailure {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        },
        ..Service::oneshot(
            "ssh",
            "Remote shells for administrators",
            "/usr/sbin/sshd",
            ["-D", "-f", CONFIG].map(str::to_owned).to_vec(),
        )
    }
}

/// sshd_config(5). Ciphers are OpenSSH's own choice: it drops what breaks, a list of ours would
/// not. Forwarding to this machine remains, as it is the way to the mail server's API.
fn configuration(ssh: &Ssh, ipv6: bool) -> String {
    let port = ssh.port;
    let family = if ipv6 { "any" } else { "inet" };
    format!(
        "\
# Made by mailkiln from mail.toml; every change is lost with the next image.
Port {port}
AddressFamily {family}
HostKey {PREFIX}/etc/ssh/ssh_host_ed25519_key
HostKey {PREFIX}/etc/ssh/ssh_host_rsa_key
PidFile none

# Only keys, only root: there is no other account with a shell.
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers root
AuthorizedKeysFile /etc/ssh/authorized_keys/%u {SEEDED_KEYS}/%u {SEEDED_KEYS}/%u.cloud
UsePAM yes
RequiredRSASize 3072
MaxAuthTries 3
LoginGraceTime 30
MaxStartups 10:30:60

# `ssh -L 8080:127.0.0.1:8080` reaches the API; nothing else is forwarded.
AllowTcpForwarding local
PermitOpen 127.0.0.1:*
AllowAgentForwarding no
AllowStreamLocalForwarding no
GatewayPorts no
PermitTunnel no
X11Forwarding no
PermitUserEnvironment no

ClientAliveInterval 60
ClientAliveCountMax 3
LogLevel VERBOSE
PrintMotd no
UseDNS no
Subsystem sftp internal-sftp
"
    )
}
