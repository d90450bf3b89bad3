//! `run`, `renew` and `revoke` typed by root on a machine without systemd: lock, state and account stay
//! readable for the client's own user.
//!
//! Becoming someone else takes root; without it this test says that it did not run.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mailkiln-acme");
/// No user of any machine that runs tests.
const OWNER: u32 = 61_804;

#[test]
fn what_root_types_can_be_read_by_the_service() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("NOT RUN: this test needs root");
        return;
    }
    for arguments in [&["run"][..], &["renew"], &["revoke"], &["status"]] {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let state = root.path().join("var/lib/mailkiln-acme");
        for path in ["etc/mailkiln", "var/lib/mailkiln-acme", "var/lib/mailkiln-acme/live"] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        // An authority where nothing answers.
        let settings = r#"{
            "host": "mail.example.org", "names": ["mail.example.org"],
            "directory": "https://127.0.0.1:1/directory", "contact": [], "key": "ecdsa-p256",
            "profile": null, "eab_key_id": null, "roots": null, "keep_key": true,
            "challenge": {"kind": "http-01", "listen": "[::1]:1"}
        }"#;
        fs::write(root.path().join("etc/mailkiln/acme.json"), settings).unwrap();
        chown(&state, Some(OWNER), Some(OWNER)).unwrap();
        chown(state.join("live"), Some(OWNER), Some(OWNER)).unwrap();
        let output = Command::new(PROGRAM).arg("--root").arg(root.path()).args(arguments).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let entries: Vec<_> = fs::read_dir(&state).unwrap().flatten().collect();
        assert!(arguments == ["status"] || !entries.is_empty(), "{arguments:?}: {said}");
        for entry in entries {
            let path = entry.path();
            assert_eq!(fs::metadata(&path).unwrap().uid(), OWNER, "{arguments:?}: {path:?}");
        }
    }
}
