//! Formats, judged by others: qemu-img, xz, gzip, zstd, tar.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use mailkiln_bytes_at::ReadAt as _;

use super::conformance::{made, written};
use super::tests::fixture;
use super::*;

/// Runs a judge; where it is not installed the test passes, but not on CI.
pub(crate) fn judge(tool: &str, arguments: &[&OsStr]) -> Option<Vec<u8>> {
    match Command::new(tool).args(arguments).env("LC_ALL", "C").output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool} {arguments:?}: {output:?}");
            Some(output.stdout)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{tool}: {error}; install it");
            None
        }
    }
}

/// The fixture in every format, as files.
fn files(folder: &std::path::Path) -> Vec<(Format, PathBuf)> {
    let (disk, extents) = fixture();
    let formats: Vec<Format> = Format::all().collect();
    let bytes = made(&formats, &disk, &extents, 2);
    let file = |(format, bytes): (Format, Vec<u8>)| {
        let path = folder.join(format!("disk.{}", format.suffix()));
        fs::write(&path, bytes).unwrap();
        (format, path)
    };
    formats.into_iter().zip(bytes).map(file).collect()
}

#[test]
fn qemu_reads_the_same_disk() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let raw = folder.path().join("disk.img");
    for (format, path) in &files {
        let Some(driver) = format.qemu() else { continue };
        let compare = ["compare", "-q", "-f", "raw", "-F", driver];
        let mut arguments: Vec<&OsStr> = compare.iter().map(OsStr::new).collect();
        arguments.extend([raw.as_os_str(), path.as_os_str()]);
        judge("qemu-img", &arguments);
        if matches!(driver, "qcow2" | "vhdx" | "vmdk") {
            let arguments: [&OsStr; 5] =
                ["check".as_ref(), "-q".as_ref(), "-f".as_ref(), driver.as_ref(), path.as_ref()];
            judge("qemu-img", &arguments);
        }
    }
}

#[test]
fn expanders_give_the_disk_back() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, _) = fixture();
    for (format, path) in files(folder.path()) {
        let tool = match format.stream() {
            Some(Compression::Gzip) => "gzip",
            Some(Compression::Xz) => "xz",
            Some(Compression::Zstd) => "zstd",
            _ => continue,
        };
        if let Some(expanded) = judge(tool, &["-dcq".as_ref(), path.as_ref()]) {
            assert!(expanded == disk, "{format}");
        }
        judge(tool, &["-tq".as_ref(), path.as_ref()]);
    }
}

#[test]
fn tar_unpacks_the_archives() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let path = |name: &str| {
        let file = files.iter().find(|(format, _)| format.name() == name).unwrap();
        file.1.clone().into_os_string()
    };
    let (disk, _) = fixture();
    let (to, from) = (folder.path().join("to"), path("tar.gz"));
    fs::create_dir(&to).unwrap();
    let unpack = |archive: &OsStr| {
        let arguments: [&OsStr; 4] = ["-xf".as_ref(), archive, "-C".as_ref(), to.as_ref()];
        judge("tar", &arguments)
    };
    if unpack(&from).is_some() {
        let raw = fs::read(to.join("disk.raw")).unwrap();
        assert!(raw.len() == 1 << 30 && raw.starts_with(&disk));
        assert!(raw[disk.len()..].iter().all(|byte| *byte == 0));
    }
    if unpack(&path("ova")).is_some() {
        let manifest = fs::read_to_string(to.join("mail.example.test-x86_64.mf")).unwrap();
        for line in manifest.lines() {
            let (name, digest) = line.strip_prefix("SHA256(").unwrap().split_once(")= ").unwrap();
            let bytes = fs::read(to.join(name)).unwrap();
            assert_eq!(mailkiln_pin::Sha256::of(&bytes).to_string(), digest, "{name}");
        }
        assert_eq!(manifest.lines().count(), 2);
        let vmdk = fs::read(to.join("mail.example.test-x86_64-disk1.vmdk")).unwrap();
        assert!(vmdk == fs::read(path("vmdk")).unwrap());
    }
    if unpack(&path("oci")).is_some() {
        let qcow2 = fs::read(to.join("output.QCOW2")).unwrap();
        assert!(qcow2 == fs::read(path("qcow2")).unwrap());
    }
}

#[test]
fn images_of_qemu_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, _) = fixture();
    let (img, out) = (folder.path().join("img"), folder.path().join("out"));
    fs::write(&img, &disk).unwrap();
    for (driver, options) in [
        ("qcow2", &["-o", "cluster_size=4k,compat=1.1"][..]),
        ("qcow2", &["-o", "compat=0.10"]),
        ("qcow2", &["-c"]),
        ("qcow2", &["-c", "-o", "cluster_size=512"]),
        ("qcow2", &["-c", "-o", "compression_type=zstd,cluster_size=2M"]),
        ("vpc", &["-o", "subformat=fixed,force_size=on"]),
        ("vpc", &["-o", "subformat=dynamic,force_size=on"]),
        ("vhdx", &[]),
        ("vhdx", &["-o", "subformat=fixed,block_size=2M"]),
        ("vmdk", &[]),
        ("vmdk", &["-o", "subformat=streamOptimized"]),
    ] {
        let words = ["convert", "-O", driver];
        let mut arguments: Vec<&OsStr> = words.iter().chain(options).map(OsStr::new).collect();
        arguments.extend([img.as_ref(), out.as_ref() as &OsStr]);
        if judge("qemu-img", &arguments).is_some() {
            let (format, found) = open_with_format(&out).unwrap();
            assert_eq!(format.qemu(), Some(driver));
            assert!(found.read_vec_at(0, disk.len()).unwrap() == disk, "{driver} {options:?}");
        }
    }
}

#[test]
fn what_only_qemu_reads_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.qcow2");
    let (disk, extents) = fixture();
    fs::write(&base, written(Format::named("qcow2").unwrap(), &disk, &extents)).unwrap();
    let over = folder.path().join("over.qcow2");
    let words = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"];
    let mut arguments: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    arguments.extend([base.as_os_str(), over.as_os_str()]);
    if judge("qemu-img", &arguments).is_some() {
        let error = open(&over).err().unwrap().to_string();
        assert!(error.contains("backing file") && error.contains("qemu-img convert"), "{error}");
    }
}
