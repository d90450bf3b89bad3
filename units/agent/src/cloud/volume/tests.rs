//! Volumes made by the tools that people use; without them these tests say that they did not run.

#![allow(clippy::print_stderr)]

use std::process::Command;

use super::*;

const META: &str = "instance-id: i-1\nlocal-hostname: mx.example.org\n";
const USER: &str = "#mailkiln\n[host]\nname = \"mx.example.org\"\n";
const OVF: &str = "<?xml version=\"1.0\"?><Environment xmlns=\"http://schemas.dmtf.org/ovf/environment/1\"><wa:ProvisioningSection xmlns:wa=\"http://schemas.microsoft.com/windowsazure\">\
    <LinuxProvisioningConfigurationSet xmlns=\"http://schemas.microsoft.com/windowsazure\"><HostName>mx-1</HostName><CustomData>I21haWxraWxuCg==</CustomData>\
    </LinuxProvisioningConfigurationSet></wa:ProvisioningSection></Environment>";

fn run(program: &str, arguments: &[&str]) -> bool {
    match Command::new(program).args(arguments).output() {
        Ok(done) if done.status.success() => true,
        Ok(done) => panic!("{program}: {}", String::from_utf8_lossy(&done.stderr)),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{program}: {error}; install it");
            eprintln!("NOT RUN: this test needs {program}");
            false
        }
    }
}

/// A folder with files, and the path of an image that is not there yet.
fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let content = folder.path().join("content");
    for (name, text) in files {
        let path = content.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (content, image) = (text(&content), text(&folder.path().join("image")));
    (folder, content, image)
}

fn found(image: &str, cloud: Option<Cloud>) -> Option<FirstBoot> {
    let dev = tempfile::tempdir().unwrap();
    fs::create_dir_all(dev.path().join("disk/by-label")).unwrap();
    std::os::unix::fs::symlink(image, dev.path().join("disk/by-label/cidata")).unwrap();
    find(dev.path(), cloud).unwrap()
}

#[test]
fn nocloud_on_a_cd_with_every_kind_of_names() {
    let (_folder, content, image) = folder(&[("meta-data", META), ("user-data", USER)]);
    for names in [&["-joliet"][..], &["-rock"], &["-joliet", "-rock"], &["-udf", "-rock"]] {
        let mut arguments = vec!["-quiet", "-output", &image, "-volid", "cidata"];
        arguments.extend(names);
        arguments.push(&content);
        if !run("genisoimage", &arguments) {
            return;
        }
        let found = found(&image, None).unwrap();
        assert_eq!(found.instance.as_deref(), Some("i-1"), "{names:?}");
        assert_eq!(found.host.as_deref(), Some("mx.example.org"));
        assert_eq!(found.user_data.as_deref(), Some(USER.as_bytes()));
    }
}

#[test]
fn nocloud_on_every_kind_of_fat() {
    let (_folder, content, image) = folder(&[("meta-data", META), ("user-data", USER)]);
    for (bits, size) in [("12", 1 << 20), ("16", 16 << 20), ("32", 64 << 20)] {
        let file = File::create(&image).unwrap();
        file.set_len(size).unwrap();
        let user_data = format!("{content}/user-data");
        let meta_data = format!("{content}/meta-data");
        if !run("mkfs.vfat", &["-F", bits, "-n", "CIDATA", &image])
            || !run("mcopy", &["-oi", &image, &user_data, &meta_data, "::"])
        {
            return;
        }
        let found = found(&image, None).unwrap();
        assert_eq!(found.user_data.as_deref(), Some(USER.as_bytes()), "FAT{bits}");
        assert_eq!(found.instance.as_deref(), Some("i-1"));
    }
}

#[test]
fn a_config_drive_and_azures_udf() {
    let json = r#"{"uuid": "u-1", "hostname": "mx.novalocal", "public_keys": {"a": "ssh-ed25519 AAAA b"}}"#;
    let (_folder, content, image) =
        folder(&[("openstack/latest/meta_data.json", json), ("openstack/latest/user_data", USER)]);
    let arguments =
        ["-quiet", "-output", &image, "-volid", "config-2", "-joliet", "-rock", &content];
    if !run("genisoimage", &arguments) {
        return;
    }
    let drive = found(&image, None).unwrap();
    assert_eq!((drive.source.as_str(), drive.instance.as_deref()), ("openstack", Some("u-1")));
    assert_eq!(drive.ssh_keys, ["ssh-ed25519 AAAA b"]);

    let (_folder, content, image) = folder(&[("ovf-env.xml", OVF)]);
    let arguments = ["-quiet", "-output", &image, "-volid", "x", "-udf", &content];
    assert!(run("genisoimage", &arguments));
    let azure = found(&image, Some(Cloud::Azure)).unwrap();
    assert_eq!(azure.user_data.as_deref(), Some(&b"#mailkiln\n"[..]));
    assert_eq!(azure.host.as_deref(), Some("mx-1"));
    // Elsewhere such a CD means nothing.
    assert_eq!(found(&image, None), None);
    // By its UDF alone: the names of ISO 9660 are gone.
    let bytes = fs::read(&image).unwrap();
    let mut alone = bytes.clone();
    alone[16 * 2048 + 1..16 * 2048 + 6].copy_from_slice(b"xxxxx");
    fs::write(&image, &alone).unwrap();
    assert_eq!(found(&image, Some(Cloud::Azure)), Some(azure));
}

#[test]
fn damage_is_an_error_and_ends() {
    let (_folder, content, image) = folder(&[("meta-data", META), ("user-data", USER)]);
    let large = "#".repeat(70_000);
    fs::write(format!("{content}/network-config"), large).unwrap();
    if !run(
        "genisoimage",
        &["-quiet", "-output", &image, "-volid", "cidata", "-udf", "-rock", &content],
    ) {
        return;
    }
    let dev = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&image, dev.path().join("sr0")).unwrap();
    let error = find(dev.path(), None).unwrap_err().to_string();
    assert!(error.contains("larger than 64 KiB") && error.contains("NoCloud"), "{error}");
    let bytes = fs::read(&image).unwrap();
    // Bytes of the descriptors and directories, and lengths of the volume.
    for at in (16 * 2048..24 * 2048).chain(256 * 2048..262 * 2048).step_by(61) {
        let mut damaged = bytes[..bytes.len().min(1 << 20)].to_vec();
        damaged[at] ^= 0xff;
        fuzz(&damaged);
    }
    for length in (0..bytes.len()).step_by(10_007) {
        fuzz(&bytes[..length]);
    }
}
