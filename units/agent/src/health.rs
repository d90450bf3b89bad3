//! Whether the appliance does its work.
//!
//! In: the appliance as it runs. Out: one line per check, and whether all are fine. The one that
//! counts is the message that is sent and read; the others say what is about to break.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use time::OffsetDateTime;

use crate::appliance::{Appliance, Unscanned};
use crate::certificate::{self, Facts};
use crate::deadline::Deadline;
use crate::layout::Layout;
use crate::mailbox_probe;
use crate::renewal;
use crate::secrets::{SecretName, Secrets};
use crate::signatures::Signatures;

/// For everything. An emulated machine takes half of it.
const TIME: Duration = Duration::from_secs(60);
/// Less free space than this, and mail is refused soon.
const FREE_BYTES: u64 = 64 << 20;
/// What has to run.
const UNITS: [&str; 2] = ["mail-server.service", "mailkiln-provision.service"];
/// Reads the whole database once a week.
const DATABASE_CHECK: &str = "mail-server-check.service";

/// The outcome of all checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether every check is fine.
    pub healthy: bool,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: `mail`, `certificate`, `renewal`, `signatures`, `disk`, `units`.
    pub name: &'static str,
    /// Whether it is fine.
    pub ok: bool,
    /// Whether mail works nonetheless, for now: somebody has to see to it.
    pub warning: bool,
    /// What was found, and what to do if it is not fine.
    pub detail: String,
}

impl Check {
    fn fine(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, warning: false, detail: detail.into() }
    }

    fn wrong(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: false, warning: false, detail: detail.into() }
    }
}

impl Health {
    fn of(checks: Vec<Check>) -> Self {
        Self { healthy: checks.iter().all(|check| check.ok || check.warning), checks }
    }

    /// What is not fine, but does not keep mail from working yet.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().filter(|check| check.warning).map(|check| check.detail.as_str())
    }

    /// What is not fine, one line each.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.checks
            .iter()
            .filter(|check| !check.ok && !check.warning)
            .map(|check| check.detail.as_str())
    }
}

/// Makes all checks, in at most 60 seconds.
pub fn examine(layout: &Layout, appliance: &Appliance) -> Health {
    let deadline = Deadline::after(TIME);
    let now = OffsetDateTime::now_utc();
    let chain = std::fs::read_to_string(layout.chain(appliance));
    let chain = chain.map_err(|error| error.to_string());
    let mut checks = Vec::new();
    if layout.systemd().is_dir() {
        checks.push(units(deadline));
        checks.push(database(deadline));
    }
    checks.push(disk(&layout.state()));
    checks.push(certificate_dates(chain.as_deref(), appliance, now));
    if let Some(failing) = renewal::failing(layout, appliance, now) {
        let detail = failing.to_string();
        checks.push(Check { name: "renewal", ok: false, warning: true, detail });
    }
    if let Some(unscanned) = appliance.clamav {
        checks.push(signatures(&layout.clamav_signatures(), unscanned));
    }
    checks.push(mail(layout, appliance, chain.as_deref().unwrap_or_default(), deadline));
    Health::of(checks)
}

/// Fails when a unit that mail needs does not run.
fn units(deadline: Deadline) -> Check {
    systemd_states("is-active", &UNITS, deadline)
        .map_or_else(|why| Check::wrong("units", why), |states| judge_units(&states))
}

/// The result of the last check of the mail server's database; fine while there was none.
fn database(deadline: Deadline) -> Check {
    systemd_states("is-failed", &[DATABASE_CHECK], deadline)
        .map_or_else(|why| Check::wrong("database", why), |states| judge_database(&states))
}

fn judge_database(states: &str) -> Check {
    if states.trim() == "failed" {
        let detail =
            format!("it is damaged, or could not be checked: see `journalctl -u {DATABASE_CHECK}`");
        Check::wrong("database", detail)
    } else {
        Check::fine("database", "no damage was found")
    }
}

/// The states of `units`, a line each. `is-active` and `is-failed` need no privilege. Empty when there is
/// no bus to ask on; else what is wrong.
fn systemd_states(verb: &str, units: &[&str], deadline: Deadline) -> Result<String, String> {
    let mut child = Command::new("systemctl")
        .arg(verb)
        .args(units)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("systemctl cannot be run: {error}"))?;
    loop {
        match child.try_wait() {
            Ok(None) if !deadline.is_over() => sleep(Duration::from_millis(50)),
            Ok(Some(_)) => break,
            _ => {
                // Both fail only when it has just ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err("systemd does not answer; restart the appliance".to_owned());
            }
        }
    }
    let mut states = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout
            .read_to_string(&mut states)
            .map_err(|error| format!("systemctl cannot be read: {error}"))?;
    }
    Ok(states)
}

fn judge_units(states: &str) -> Check {
    if states.trim().is_empty() {
        // No bus, or none that a sandbox reaches: that says nothing about mail, the probe does.
        return Check::fine("units", "systemd cannot be asked from here");
    }
    let mut states = states.lines();
    let broken: Vec<_> = UNITS
        .iter()
        .map(|unit| (*unit, states.next().unwrap_or("unknown")))
        .filter(|(_, state)| *state != "active")
        .map(|(unit, state)| format!("{unit} is {state}: see `journalctl -u {unit}`"))
        .collect();
    if broken.is_empty() {
        Check::fine("units", "all units run")
    } else {
        Check::wrong("units", broken.join("; "))
    }
}

fn disk(state: &Path) -> Check {
    const NAME: &str = "disk";
    match nix::sys::statvfs::statvfs(state) {
        Ok(space) => judge_space(
            space.blocks_available().saturating_mul(space.fragment_size()),
            space.files_available(),
            space.files(),
        ),
        Err(error) => {
            Check::wrong(NAME, format!("{} cannot be looked at: {error}", state.display()))
        }
    }
}

/// Some file systems have no fixed number of inodes and say 0.
fn judge_space(free: u64, inodes_free: u64, inodes: u64) -> Check {
    let free_mebibytes = free >> 20;
    if free < FREE_BYTES {
        return Check::wrong(
            "disk",
            format!("only {free_mebibytes} MiB are free on /var; delete mail or enlarge the disk"),
        );
    }
    if inodes > 0 && inodes_free < 1000 {
        return Check::wrong("disk", "/var can hold no more files; enlarge the disk");
    }
    Check::fine("disk", format!("{free_mebibytes} MiB free on /var"))
}

fn certificate_dates(
    chain: Result<&str, &String>,
    appliance: &Appliance,
    now: OffsetDateTime,
) -> Check {
    const NAME: &str = "certificate";
    let host = &appliance.host;
    let cure = "run `systemctl restart mailkiln-prepare mail-server`";
    let facts = match chain.map(Facts::parse) {
        Ok(Some(facts)) => facts,
        Ok(None) => {
            return Check::wrong(NAME, format!("the certificate of {host} cannot be read; {cure}"));
        }
        Err(error) => {
            let problem = format!("the certificate of {host} cannot be read: {error}; {cure}");
            return Check::wrong(NAME, problem);
        }
    };
    let (kind, days) =
        (if facts.ours { "self-signed" } else { "real" }, facts.days_left(now.unix_timestamp()));
    if days < 0 {
        Check::wrong(NAME, format!("the certificate of {host} expired {} days ago; {cure}", -days))
    } else if now.unix_timestamp() < facts.not_before {
        let problem = format!("the certificate of {host} is not valid yet; check the clock");
        Check::wrong(NAME, problem)
    } else {
        Check::fine(NAME, format!("{kind}, valid for {days} days"))
    }
}

/// Without any, mail that has to be looked into waits; old ones are a warning.
fn signatures(directory: &Path, unscanned: Unscanned) -> Check {
    const NAME: &str = "signatures";
    let found = Signatures::look(directory, SystemTime::now());
    match found.judge(unscanned) {
        (true, detail) => Check::fine(NAME, detail),
        (false, detail) if found == Signatures::None && unscanned == Unscanned::Defer => {
            Check::wrong(NAME, detail)
        }
        (false, detail) => Check { name: NAME, ok: false, warning: true, detail },
    }
}

fn mail(layout: &Layout, appliance: &Appliance, chain: &str, deadline: Deadline) -> Check {
    const NAME: &str = "mail";
    let Some(certificate) = certificate::first_der(chain) else {
        return Check::wrong(NAME, "mail cannot be tried without the server's certificate");
    };
    let password = Secrets::new(layout.secrets()).require(&SecretName::probe_password());
    let password = match password {
        Ok(password) => password,
        Err(error) => return Check::wrong(NAME, error.to_string()),
    };
    match mailbox_probe::run(appliance, &password, &certificate, deadline) {
        Ok(()) => Check::fine(NAME, "a message was sent and read"),
        Err(error) => Check::wrong(NAME, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::tests::example;
    use crate::certificate::SelfSigned;

    #[test]
    fn units_by_line() {
        assert!(judge_units("active\nactive\n").ok);
        let check = judge_units("active\nfailed\n");
        assert!(!check.ok && check.detail.starts_with("mailkiln-provision.service is failed"));
        assert!(!judge_units("active\n").ok);
        assert_eq!(judge_units("").detail, "systemd cannot be asked from here");
    }

    #[test]
    fn a_failed_check_of_the_database_is_told() {
        for states in ["inactive\n", "activating\n", ""] {
            assert!(judge_database(states).ok, "{states:?}");
        }
        let check = judge_database("failed\n");
        assert!(!check.ok && check.detail.contains("mail-server-check.service"));
    }

    #[test]
    fn without_signatures_mail_waits_or_is_not_looked_into() {
        let check = |unscanned| signatures(Path::new("/nowhere"), unscanned);
        assert!(!check(Unscanned::Defer).ok && !check(Unscanned::Defer).warning);
        assert!(!check(Unscanned::Pass).ok && check(Unscanned::Pass).warning);
    }

    #[test]
    fn space() {
        for (free, inodes_free, inodes, ok) in [
            (1 << 30, 5000, 10_000, true),
            (1 << 30, 0, 0, true),
            (1 << 30, 10, 10_000, false),
            (10 << 20, 5000, 10_000, false),
        ] {
            assert_eq!(judge_space(free, inodes_free, inodes).ok, ok, "{free} {inodes_free}");
        }
    }

    #[test]
    fn certificates_by_date() {
        let appliance = example();
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let made = SelfSigned::generate(&appliance.certificate_names(), now).unwrap();
        for (days, ok, part) in [
            (0, true, "self-signed, valid for 800 days"),
            (801, false, "expired 1 days ago"),
            (-3, false, "not valid yet"),
        ] {
            let then = now + time::Duration::days(days);
            let check = certificate_dates(Ok(&made.chain), &appliance, then);
            assert_eq!(check.ok, ok);
            assert!(check.detail.contains(part), "{}", check.detail);
        }
        assert!(!certificate_dates(Ok("x"), &appliance, now).ok);
        assert!(!certificate_dates(Err(&"gone".to_owned()), &appliance, now).ok);
    }

    #[test]
    fn a_dead_appliance_is_not_healthy_and_says_why() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib/mailkiln")).unwrap();
        let health = examine(&Layout::new(root.path()), &example());
        assert!(!health.healthy);
        let reasons: Vec<_> = health.reasons().collect();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(reasons[0].contains("certificate of mail.example.org cannot be read"));
    }
}
