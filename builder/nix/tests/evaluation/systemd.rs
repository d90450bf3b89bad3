//! systemd's own verdict on the units that Nix evaluates: Nix takes any name for a setting.

use std::fs;
use std::process::Command;

use serde_json::Value as Json;

use super::Nix;
use super::specs::all;
use super::units::units_of;

/// Settings that only newer versions than the judge's know, with the first version that does.
const NEWER: [(u32, &str); 5] = [
    (254, "RestartMode"),
    (254, "RestartSteps"),
    (254, "RestartMaxDelaySec"),
    (253, "notify-reload"),
    (257, "disconnected"),
];

/// What systemd-analyze says, and whether it found all well; `None` where there is none.
fn judge(arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new("systemd-analyze").args(arguments).output() {
        Ok(output) => {
            let said =
                [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
            Some((output.status.success(), said.concat()))
        }
        Err(_) => {
            assert!(std::env::var_os("CI").is_none(), "install systemd");
            None
        }
    }
}

/// The text that NixOS makes of a unit: sections, and in them the settings by name.
fn text(lines: &super::units::Lines) -> String {
    let mut text = String::new();
    for section in ["Unit", "Service", "Timer", "Path", "Socket", "Install"] {
        let settings = lines.iter().filter_map(|it| it.strip_prefix(section)?.strip_prefix('.'));
        let settings: Vec<&str> = settings.collect();
        if !settings.is_empty() {
            text.push_str(&format!("[{section}]\n{}\n", settings.join("\n")));
        }
    }
    text
}

#[test]
fn units_are_understood_and_hardly_exposed() {
    let Some(nix) = Nix::here() else { return };
    let Some((_, version)) = judge(&["--version"]) else { return };
    let version: u32 = version.split_whitespace().nth(1).unwrap().parse().unwrap();
    let known =
        |line: &&str| !NEWER.iter().any(|(since, key)| version < *since && line.contains(key));
    let wanted = "{ inherit (config.systemd) services timers paths sockets; }";
    for mail_toml in all() {
        let found: Json = nix.host(&mail_toml, "", wanted).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let units = units_of(&found);
        for (name, lines) in &units {
            fs::write(folder.path().join(name), text(lines)).unwrap();
        }
        for name in units.keys() {
            let path = folder.path().join(name).display().to_string();
            let (_, said) = judge(&["verify", "--man=no", &path]).unwrap();
            let complaints: Vec<&str> =
                said.lines().filter(|line| line.contains(&path)).filter(known).collect();
            assert!(complaints.is_empty(), "{name}: {complaints:#?}");
            if name.ends_with(".service") {
                let (fine, said) =
                    judge(&["security", "--offline=true", "--no-pager", "--threshold=20", &path])
                        .unwrap();
                assert!(fine, "{name}: {said}");
            }
        }
    }
}
