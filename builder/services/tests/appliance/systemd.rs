//! systemd's own verdict on the units.

use std::path::{Path, PathBuf};

use crate::fixture::{ALL, built, judge, lay_out};

/// Settings that only newer versions than the judge's know, with the first version that does.
/// Images carry systemd 257.
const NEWER: [(u32, &str); 5] = [
    (254, "RestartMode"),
    (254, "RestartSteps"),
    (254, "RestartMaxDelaySec"),
    (253, "notify-reload"),
    (257, "disconnected"),
];

/// Thousandths: the promise is an exposure of 2.0 on systemd's scale up to 10.
const WORST_EXPOSURE: &str = "--threshold=20";

fn version() -> Option<u32> {
    let (_, said) = judge("systemd-analyze", &["--version"])?;
    said.split_whitespace().nth(1)?.parse().ok()
}

/// Services, and the timers, paths and sockets that start them.
fn units(root: &Path) -> Vec<PathBuf> {
    let ours = |path: &PathBuf| {
        let kind = path.extension().and_then(|kind| kind.to_str());
        matches!(kind, Some("service" | "timer" | "path" | "socket")) && !path.is_symlink()
    };
    let entries = std::fs::read_dir(root.join("etc/systemd/system")).unwrap();
    let mut units: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(ours).collect();
    units.sort();
    units
}

#[test]
fn units_are_understood() {
    let Some(version) = version() else { return };
    for (name, mail_toml) in ALL {
        let appliance = built(mail_toml);
        let root = tempfile::tempdir().unwrap();
        lay_out(&appliance, root.path());
        for unit in units(root.path()) {
            let (_, said) =
                judge("systemd-analyze", &["verify", "--man=no", unit.to_str().unwrap()]).unwrap();
            let complaints: Vec<&str> = said
                .lines()
                .filter(|line| line.contains(unit.to_str().unwrap()))
                .filter(|line| {
                    !NEWER.iter().any(|(since, key)| version < *since && line.contains(key))
                })
                .collect();
            assert!(complaints.is_empty(), "{name} {}: {complaints:#?}", unit.display());
        }
    }
}

#[test]
fn sandboxed_services_are_hardly_exposed() {
    if version().is_none() {
        return;
    }
    for (name, mail_toml) in ALL {
        let appliance = built(mail_toml);
        let root = tempfile::tempdir().unwrap();
        lay_out(&appliance, root.path());
        for service in appliance.all_services().filter(|service| service.is_sandboxed()) {
            let unit = root.path().join("etc/systemd/system").join(service.unit());
            let arguments = [
                "security",
                "--offline=true",
                "--no-pager",
                WORST_EXPOSURE,
                unit.to_str().unwrap(),
            ];
            let (fine, said) = judge("systemd-analyze", &arguments).unwrap();
            assert!(fine, "{name} {}: {said}", service.unit());
        }
    }
}

#[test]
fn only_the_remote_shell_is_not_sandboxed() {
    for (name, mail_toml) in ALL {
        let appliance = built(mail_toml);
        let open: Vec<&str> = appliance
            .all_services()
            .filter(|service| !service.is_sandboxed())
            .map(|service| service.name)
            .collect();
        assert!(open.iter().all(|service| *service == "ssh"), "{name}: {open:?}");
    }
}
