//! Debian's ClamAV beside the filter: what looks (clamd), and what fetches its signatures (freshclam).
//!
//! Signatures are no part of an image: they are foreign, large and old within days. So there is none
//! at the first start, and clamd waits for the first file of them. Two users: what talks to the world
//! can't read mail, and what reads mail can't change signatures.

use std::time::Duration;

use mailkiln_spec::{ClamAv, Spec};

use crate::{
    ConfigFile, Confinement, Kind, Limits, NetworkAccess, Ordering, Restart, Sandbox, Service,
    Share, StateDirectory, Trigger, User, filter, user,
};

/// Where the filter finds it. Debian's path, and that of NixOS.
pub(crate) const SOCKET: &str = "/run/clamav/clamd.ctl";

const RUNTIME: &str = "clamav";
const SIGNATURES: &str = "clamav";
const SCANNER_CONFIG: &str = "/etc/clamav/clamd.conf";
const UPDATER_CONFIG: &str = "/etc/clamav/freshclam.conf";
/// Every kind of signature that clamd reads ends in three letters of these: `daily.cvd`, `own.ndb`.
const ANY_SIGNATURE: &str = "/var/lib/clamav/*.[chiln]?[bd]";
const HEADING: &str =
    "# Made by mailkiln from mail.toml; every change is lost with the next image.\n";

/// Whether the appliance has one of its own.
pub(crate) fn is_here(spec: &Spec) -> bool {
    spec.filter.as_ref().is_some_and(|filter| filter.clamav == Some(ClamAv::Here))
}

/// Its users, where there is one.
pub(crate) fn users(spec: &Spec) -> impl Iterator<Item = User> {
    [user::CLAMAV, user::FRESHCLAM].into_iter().filter(move |_| is_here(spec))
}

/// Its services, where there is one. A NixOS host has its own.
pub(crate) fn services(spec: &Spec) -> Vec<Service> {
    if is_here(spec) { vec![scanner(spec), updater()] } else { Vec::new() }
}

fn scanner(spec: &Spec) -> Service {
    Service {
        kind: Kind::Simple,
        user: Some(user::CLAMAV),
        runtime_directory: Some(RUNTIME),
        // The socket's mode is said below; its group, which the filter is in, is this user's.
        umask: 0o007,
        ordering: Ordering { before: vec!["mail-server.service"], ..Ordering::default() },
        triggers: vec![Trigger::Present(ANY_SIGNATURE.to_owned())],
        restart: Restart::OnFailure {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(120),
        },
        limits: Limits {
            // Too little memory shall end this service and not the mail server.
            memory_max: Some(Share(75)),
            tasks: Some(64),
            files: Some(1024),
            ..Limits::default()
        },
        config_files: vec![ConfigFile::public(SCANNER_CONFIG, scanner_configuration(spec))],
        ..Service::oneshot(
            "clamav-daemon",
            "Look for ClamAV's signatures",
            "/usr/sbin/clamd",
            vec![format!("--config-file={SCANNER_CONFIG}")],
        )
    }
}

fn updater() -> Service {
    Service {
        kind: Kind::Task,
        user: Some(user::FRESHCLAM),
        state: vec![StateDirectory { name: SIGNATURES, mode: 0o755 }],
        umask: 0o022,
        confinement: Confinement::Sandboxed(Sandbox {
            network: NetworkAccess::Internet,
            ..Sandbox::default()
        }),
        ordering: Ordering {
            after: vec!["network-online.target", "time-set.target"],
            wants: vec!["network-online.target"],
            ..Ordering::default()
        },
        triggers: vec![Trigger::Every {
            first: Duration::from_secs(20),
            // Each look is one question to the DNS, unless there is something to fetch.
            pause: Duration::from_secs(4 * 3600),
            spread: Duration::from_secs(60),
        }],
        restart: Restart::OnFailure {
            first: Duration::from_secs(60),
            longest: Duration::from_secs(3600),
        },
        limits: Limits {
            memory_max: Some(Share(50)),
            tasks: Some(16),
            files: Some(256),
            start: Some(Duration::from_secs(3600)),
            ..Limits::default()
        },
        config_files: vec![ConfigFile::public(UPDATER_CONFIG, updater_configuration())],
        ..Service::oneshot(
            "clamav-freshclam",
            "Fetch ClamAV's signatures",
            "/usr/bin/freshclam",
            vec![format!("--config-file={UPDATER_CONFIG}"), "--stdout".to_owned()],
        )
    }
}

/// clamd.conf(5).
fn scanner_configuration(spec: &Spec) -> String {
    // A message that it does not take whole could not be scanned.
    let largest = filter::largest_message(spec).saturating_add(1 << 20);
    format!(
        "{HEADING}\
         LocalSocket {SOCKET}\n\
         LocalSocketMode 660\n\
         FixStaleSocket yes\n\
         Foreground yes\n\
         DatabaseDirectory /var/lib/{SIGNATURES}\n\
         StreamMaxLength {largest}\n\
         MaxFileSize {largest}\n\
         # Two sets of signatures in memory at once would need twice as much of it.\n\
         ConcurrentDatabaseReload no\n\
         # Seconds between two looks for other signatures.\n\
         SelfCheck 600\n\
         # Links whose text names another site are in every newsletter, and are not malware.\n\
         PhishingScanURLs no\n\
         MaxThreads 4\n\
         ExitOnOOM yes\n"
    )
}

/// freshclam.conf(5).
fn updater_configuration() -> String {
    format!(
        "{HEADING}\
         DatabaseDirectory /var/lib/{SIGNATURES}\n\
         DatabaseOwner {owner}\n\
         DatabaseMirror database.clamav.net\n\
         DNSDatabaseInfo current.cvd.clamav.net\n\
         ConnectTimeout 30\n\
         ReceiveTimeout 600\n\
         # That would read all of them, beside the scanner that has done so. Their signature is checked.\n\
         TestDatabases no\n",
        owner = user::FRESHCLAM.name,
    )
}
