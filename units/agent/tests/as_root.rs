//! Every command that writes state, typed by root: what it leaves behind belongs to the agent's user,
//! so that the services can read it after the next boot.
//!
//! Becoming someone else takes root; without it these tests say that they did not run.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs)]

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mailkiln-agent");
/// No user of any machine that runs tests.
const OWNER: u32 = 61_802;
const CERTIFICATES: u32 = 61_803;

const APPLIANCE: &str = r#"{
    "host": "mail.example.org",
    "domains": [{"name": "example.org"}],
    "accounts": [{"address": "alice@example.org"}],
    "api": "http://127.0.0.1:1",
    "postmaster": "alice@example.org",
    "consoles": []
}"#;

fn is_root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
    if !root {
        eprintln!("NOT RUN: this test needs root");
    }
    root
}

fn device() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for path in ["etc/mailkiln", "var/lib/mailkiln", "var/lib/mailkiln-acme/live"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    fs::write(at("etc/mailkiln/appliance.json"), APPLIANCE).unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(at("var/lib/mailkiln"), Some(OWNER), Some(OWNER)).unwrap();
    for path in ["var/lib/mailkiln-acme", "var/lib/mailkiln-acme/live"] {
        chown(at(path), Some(CERTIFICATES), Some(CERTIFICATES)).unwrap();
        fs::set_permissions(at(path), fs::Permissions::from_mode(0o2770)).unwrap();
    }
    // Where everybody may run it from: what cargo has made may lie in a home that is private.
    fs::copy(PROGRAM, at("mailkiln-agent")).unwrap();
    root
}

/// As the service's user, with the group of the certificates: as systemd starts it.
fn as_owner(root: &Path, arguments: &[&str]) -> Output {
    Command::new("setpriv")
        .args([&format!("--reuid={OWNER}"), &format!("--regid={OWNER}")])
        .arg(format!("--groups={CERTIFICATES}"))
        .arg(root.join("mailkiln-agent"))
        .arg("--root")
        .arg(root)
        .args(arguments)
        .output()
        .unwrap()
}

fn as_root(root: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(PROGRAM)
        .arg("--root")
        .arg(root)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses ends before it reads.
    if let Err(error) = child.stdin.take().unwrap().write_all(input.as_bytes()) {
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
    child.wait_with_output().unwrap()
}

/// What below `directory` root owns.
fn of_root(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let metadata = entry.path().symlink_metadata().unwrap();
            if metadata.uid() == 0 || metadata.gid() == 0 {
                found.push(entry.path().display().to_string());
            }
            if metadata.is_dir() {
                left.push(entry.path());
            }
        }
    }
    found
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_root_types_can_be_read_by_the_service() {
    if !is_root() {
        return;
    }
    for (arguments, input, done) in [
        (&["prepare"][..], "", true),
        (&["password", "admin", "--stdin"], "a new password\n", true),
        (&["password", "admin"], "", true),
        (&["secret", "set", "relay-password"], "secret\n", true),
        (&["forget-passwords"], "", true),
        // Without a mail server these fail; they may spoil nothing on the way.
        (&["password", "alice@example.org"], "", false),
    ] {
        let root = device();
        let prepared = as_owner(root.path(), &["prepare"]);
        assert!(prepared.status.success(), "{}", text(&prepared));
        let typed = as_root(root.path(), arguments, input);
        assert_eq!(typed.status.success(), done, "{arguments:?}: {}", text(&typed));
        let spoilt = of_root(&root.path().join("var/lib"));
        assert!(spoilt.is_empty(), "{arguments:?} left files of root: {spoilt:?}");
        let booted = as_owner(root.path(), &["prepare"]);
        assert!(booted.status.success(), "{arguments:?}, then a boot: {}", text(&booted));
    }
}

#[test]
fn root_prepares_an_appliance_that_never_ran() {
    if !is_root() {
        return;
    }
    let root = device();
    let typed = as_root(root.path(), &["prepare"], "");
    assert!(typed.status.success(), "{}", text(&typed));
    assert_eq!(of_root(&root.path().join("var/lib")), Vec::<String>::new());
    let key = root.path().join("var/lib/mailkiln-acme/live/mail.example.org/key.pem");
    assert_eq!(fs::metadata(key).unwrap().gid(), CERTIFICATES);
}

#[test]
fn a_folder_that_is_a_link_is_not_followed() {
    if !is_root() {
        return;
    }
    let root = device();
    let (state, elsewhere) = (root.path().join("var/lib/mailkiln"), root.path().join("elsewhere"));
    fs::remove_dir(&state).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &state).unwrap();
    let typed = as_root(root.path(), &["secret", "set", "relay-password"], "x\n");
    assert!(!typed.status.success());
    assert!(text(&typed).contains("is not a directory"), "{}", text(&typed));
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}
