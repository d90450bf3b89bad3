//! The package reader, judged by dpkg-deb: what it packs, we list as it does.
//! Where dpkg-deb is not installed nothing is judged; the unit tests make packages of their own.
// Clippy knows #[test] functions as tests, but not what they share.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use mailkiln_sources::deb::{Deb, Member, MemberKind};

/// Fills a folder with one of each kind.
fn fixture(root: &Path) {
    fs::create_dir_all(root.join("DEBIAN")).unwrap();
    let control = "Package: judged\nVersion: 1:1.0-1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n";
    fs::write(root.join("DEBIAN/control"), control).unwrap();
    let deep = format!("usr/share/{}/{}", "d".repeat(90), "e".repeat(90));
    fs::create_dir_all(root.join(&deep)).unwrap();
    for (path, content, mode) in [
        ("usr/plain".to_owned(), vec![b'x'; 100_000], 0o644),
        ("usr/empty".to_owned(), Vec::new(), 0o600),
        ("usr/setuid".to_owned(), b"program".to_vec(), 0o4755),
        (format!("{deep}/long ü"), b"long".to_vec(), 0o644),
    ] {
        fs::write(root.join(&path), content).unwrap();
        fs::set_permissions(root.join(&path), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("../usr/plain", root.join("usr/link")).unwrap();
    symlink("x".repeat(150), root.join("usr/long-link")).unwrap();
    fs::hard_link(root.join("usr/plain"), root.join("usr/second")).unwrap();
}

/// A line as `dpkg-deb --contents` writes it, without owner and time.
fn line(member: &Member) -> String {
    let kind = match member.kind {
        MemberKind::Directory => 'd',
        MemberKind::File => '-',
        MemberKind::Symlink(_) => 'l',
        MemberKind::Hardlink(_) => 'h',
    };
    let slash = if kind == 'd' { "/" } else { "" };
    let path = match member.path.as_str() {
        "" => "./".to_owned(),
        path => format!("./{path}{slash}"),
    };
    let target = match &member.kind {
        MemberKind::Symlink(target) => format!(" -> {target}"),
        MemberKind::Hardlink(target) => format!(" link to ./{}", target.as_str()),
        _ => String::new(),
    };
    format!("{kind}{} {} {path}{target}", permissions(member.mode), member.size)
}

fn permissions(mode: u16) -> String {
    let mut text: Vec<char> = (0..9)
        .map(|bit| if mode & (0o400 >> bit) == 0 { '-' } else { ['r', 'w', 'x'][bit % 3] })
        .collect();
    if mode & 0o4000 != 0 {
        text[2] = if mode & 0o100 == 0 { 'S' } else { 's' };
    }
    text.into_iter().collect()
}

#[test]
fn members_are_those_that_dpkg_deb_lists() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fixture(&root);
    for packing in ["none", "gzip", "xz", "zstd"] {
        let deb = folder.path().join(format!("{packing}.deb"));
        let built = Command::new("dpkg-deb")
            .args(["--root-owner-group", "--uniform-compression", "-Z", packing, "-b"])
            .args([&root, &deb])
            .output();
        let built = match built {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                assert!(std::env::var_os("CI").is_none(), "dpkg-deb: {error}; install it");
                eprintln!("dpkg-deb is not installed: it judges nothing here");
                return;
            }
            built => built.unwrap(),
        };
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let listed = Command::new("dpkg-deb").arg("-c").arg(&deb).env("LC_ALL", "C.UTF-8").output();
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        let theirs: Vec<String> = listed
            .lines()
            .map(|line| {
                let mut fields = line.split_whitespace();
                let (mode, _, size) =
                    (fields.next().unwrap(), fields.next(), fields.next().unwrap());
                let path = line.find(" ./").unwrap() + 1;
                format!("{mode} {size} {}", &line[path..])
            })
            .collect();

        let bytes = fs::read(&deb).unwrap();
        let deb = Deb::parse(&bytes).unwrap();
        assert!(deb.control_files().unwrap()["control"].starts_with(b"Package: judged\n"));
        let mut members = deb.data().unwrap();
        let mut ours = Vec::new();
        while let Some(member) = members.next().unwrap() {
            let content = members.content().unwrap();
            assert_eq!(content.len() as u64, member.size);
            if member.path.as_str() == "usr/plain" && member.kind == MemberKind::File {
                assert!(content.iter().all(|byte| *byte == b'x'));
            }
            ours.push(line(&member));
        }
        assert_eq!(ours, theirs, "{packing}");
        assert_eq!(ours.len(), 12, "{packing}");
    }
}
