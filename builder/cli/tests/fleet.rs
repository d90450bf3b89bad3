//! `build --all` with files that nothing is built from: each is refused by itself, before anything is fetched.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Runs `build` in `folder` for two targets; the exit status and the document.
fn build(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_mailkiln"))
        .args(["--json", "build", "--target", "x86_64,aws-x86_64"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("MAILKILN_CACHE", folder.join("cache"))
        .output()
        .unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn what_no_image_can_be_built_from_is_reported_for_each_file_and_target() {
    let folder = TempDir::new().unwrap();
    let named = |host: &str, more: &str| {
        format!("[host]\nname = \"{host}\"\n[[domain]]\nname = \"example.test\"\n{more}")
    };
    let generic = "[first_boot]\nfragment = \"required\"\n";
    fs::create_dir(folder.path().join("hosts")).unwrap();
    for (name, text) in [
        ("broken", "[hosts]\n".to_owned()),
        ("generic-1", generic.to_owned()),
        ("generic-2", generic.to_owned()),
        ("proxy", named("p.example.test", "[web]\nbehind_proxy = true\n")),
        ("twin-1", named("t.example.test", "")),
        ("twin-2", named("t.example.test", "")),
    ] {
        fs::write(folder.path().join("hosts").join(format!("{name}.toml")), text).unwrap();
    }
    let (status, report) = build(folder.path(), &["--all", "hosts", "-o", "out"]);
    assert_eq!((status, &report["built"], &report["failed"]), (Some(2), &0.into(), &12.into()));
    let images = report["images"].as_array().unwrap();
    let said = |name: &str, target: &str| -> &str {
        let file = format!("hosts/{name}.toml");
        let of = |image: &&Value| image["file"] == *file && image["target"] == *target;
        images.iter().find(of).unwrap()["error"]["message"].as_str().unwrap()
    };
    for target in ["aws-x86_64", "x86_64"] {
        let twins = "hosts/twin-1.toml and hosts/twin-2.toml";
        let expected = format!("t.example.test-{target} would be built from {twins}");
        assert_eq!(said("twin-1", target), expected);
        // Images without a domain of their own have one name, whatever their files are called.
        let twins = "hosts/generic-1.toml and hosts/generic-2.toml";
        let expected = format!("mailkiln-{target} would be built from {twins}");
        assert_eq!(said("generic-2", target), expected);
        assert!(said("proxy", target).contains("web server"), "{}", said("proxy", target));
        assert!(said("broken", target).contains("broken.toml"), "{}", said("broken", target));
    }
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0);
}

#[test]
fn an_empty_folder_and_a_system_for_two_targets_are_refused() {
    let folder = TempDir::new().unwrap();
    for (arguments, reason) in
        [(["--all", "."], "nothing to build"), (["--closure", "/nix/store/x"], "for one target")]
    {
        let (status, said) = build(folder.path(), &arguments);
        assert_eq!(status, Some(2));
        assert!(said["error"]["message"].as_str().unwrap().contains(reason), "{said}");
    }
}
