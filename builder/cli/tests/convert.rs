//! `mailkiln convert` as users see it: every format into every other, and what is refused.

// The lint knows tests by their attribute, and so not what they call.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use mailkiln_format::Format;
use mailkiln_image::Guid;
use mailkiln_image::gpt::{Gpt, Lba, Partition, kind};
use mailkiln_pin::Arch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const SIZE: usize = 4 << 20;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        fs::write(desk.path("disk.img"), disk()).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailkiln"));
        command.args(arguments.split(' ')).current_dir(self.0.path()).env_clear();
        command.env("MAILKILN_CACHE", self.path("cache")).output().unwrap()
    }

    fn done(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refuses(&self, words: &str, arguments: &str) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Errors are wrapped: words are compared.
        let said: Vec<&str> = said.split_whitespace().filter(|word| *word != "│").collect();
        let said = said.join(" ");
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(said.contains(words), "{arguments}: {said}");
        assert!(!self.path("out").exists() || self.files() == 0, "{arguments} left something");
    }

    fn files(&self) -> usize {
        fs::read_dir(self.path("out")).unwrap().count()
    }
}

/// A disk with a partition table and a root for x86_64.
fn disk() -> Vec<u8> {
    let mut disk = empty_disk(SIZE);
    for (at, byte) in disk[1 << 20..2_000_000].iter_mut().enumerate() {
        *byte = (at * at / 977) as u8;
    }
    disk
}

/// The same with nothing in it.
fn empty_disk(size: usize) -> Vec<u8> {
    let partition = Partition {
        kind: kind::root(Arch::X86_64),
        guid: Guid::from_u128(7),
        start: Lba(2048),
        sectors: 2048,
        attributes: 0,
        name: "root-a".to_owned(),
    };
    let table =
        Gpt { disk: Guid::from_u128(9), sectors: size as u64 / 512, partitions: vec![partition] };
    let mut disk = vec![0; size];
    let (start, end) = table.encode().unwrap();
    disk[..start.len()].copy_from_slice(&start);
    disk[size - end.len()..].copy_from_slice(&end);
    disk
}

#[test]
fn every_format_becomes_every_other_with_the_same_bytes() {
    let desk = Desk::new();
    let names: Vec<&str> = Format::all().map(Format::name).collect();
    let names = names.join(",");
    let report = desk.done(&format!("--json convert disk.img --format {names} -o first"));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["from"], &report["disk_size"]), (&"img".into(), &SIZE.into()));
    for (format, file) in Format::all().zip(report["files"].as_array().unwrap()) {
        let name = format!("disk.{}", format.suffix());
        assert_eq!(file["path"], format!("first/{name}"));
        let from = desk.path("first").join(&name);
        let sum = fs::read_to_string(desk.path(&format!("first/{name}.sha256"))).unwrap();
        assert_eq!(sum, format!("{}  {name}\n", file["sha256"].as_str().unwrap()));
        // A format that rounds the disk up to a GiB makes another disk of it.
        if format.step() > SIZE as u64 {
            continue;
        }
        desk.done(&format!("convert {} -f {names} --name disk -o again", from.display()));
        for other in Format::all() {
            let name = format!("disk.{}", other.suffix());
            let (one, two) = (desk.path("first").join(&name), desk.path("again").join(&name));
            assert!(fs::read(one).unwrap() == fs::read(two).unwrap(), "{format} to {other}");
        }
    }
}

#[test]
fn machines_are_described_for_their_processor() {
    let desk = Desk::new();
    desk.done("convert disk.img -f oci,ova --name mail");
    let oci = String::from_utf8_lossy(&fs::read(desk.path("mail.oci")).unwrap()).into_owned();
    assert!(oci.contains("\"firmware\": \"UEFI_64\"") && !oci.contains("Standard.A1"));
    let mut arm = disk();
    let kind = |arch| kind::root(arch).to_gpt();
    let at = arm.windows(16).position(|bytes| bytes == kind(Arch::X86_64)).unwrap();
    arm[at..at + 16].copy_from_slice(&kind(Arch::Aarch64));
    // The table's checksum is wrong now: such a disk is not converted.
    fs::write(desk.path("arm.img"), &arm).unwrap();
    desk.refuses("checksum is wrong", "convert arm.img -f oci -o out");
}

#[test]
fn what_can_not_be_converted_is_refused_and_leaves_nothing() {
    let desk = Desk::new();
    desk.done("convert disk.img -f qcow2,vhdx,img.xz");
    desk.refuses("possible values: img", "convert disk.img -f floppy -o out");
    desk.refuses("required", "convert disk.img -o out");
    desk.refuses("is the image itself", "convert disk.img -f qcow2,img");
    desk.refuses("is the image itself", "convert disk.qcow2 -f qcow2");
    desk.refuses("is not a file name", "convert disk.img -f vhd -o out --name ../x");
    let cut = |from: &str, to: &str, keep: usize| {
        let bytes = fs::read(desk.path(from)).unwrap();
        fs::write(desk.path(to), &bytes[..bytes.len() * keep / 10]).unwrap();
    };
    cut("disk.img", "cut", 9);
    desk.refuses("cut short", "convert cut -f vhd -o out");
    cut("disk.vhdx", "cut", 9);
    desk.refuses("beyond its end", "convert cut -f vhd -o out");
    cut("disk.qcow2", "cut", 9);
    assert!(!desk.run("convert cut -f vhd -o out").status.success());
    cut("disk.img.xz", "cut", 5);
    desk.refuses("can't read cut as img.xz", "convert cut -f vhd -o out");
    let missing = desk.run("convert none.img -f vhd");
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("none.img"));
}

#[test]
fn flash_and_run_say_what_to_convert() {
    let desk = Desk::new();
    desk.done("convert disk.img -f vhdx,img.zst");
    fs::write(desk.path("card"), vec![0; SIZE]).unwrap();
    desk.refuses("mailkiln convert disk.vhdx --format img.zst", "flash --yes disk.vhdx card");
    desk.refuses("mailkiln convert disk.img.zst --format qcow2", "run disk.img.zst");
}

#[test]
fn whoever_ends_it_finds_nothing_unfinished() {
    let desk = Desk::new();
    // Noise takes longest to compress.
    let mut noisy = empty_disk(64 << 20);
    let mut state = 1_u64;
    for word in noisy[1 << 20..63 << 20].chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    fs::write(desk.path("noisy.img"), noisy).unwrap();
    fs::create_dir(desk.path("out")).unwrap();
    let convert = format!("{} convert noisy.img -f img.xz -o out", env!("CARGO_BIN_EXE_mailkiln"));
    let started = |program: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{program} {convert}")]).current_dir(desk.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        while desk.files() == 0 {
            assert_eq!(child.try_wait().unwrap(), None, "it ended before it had begun to write");
            sleep(Duration::from_millis(5));
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        (child, pid)
    };
    // The others may be ignored where the tests run: what is ignored asks for nothing.
    let (mut child, pid) = started("exec");
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    assert_eq!(desk.files(), 0);
    let (mut child, pid) = started("trap '' HUP; exec");
    kill(pid, Signal::SIGHUP).unwrap();
    sleep(Duration::from_millis(200));
    assert_eq!((child.try_wait().unwrap(), desk.files()), (None, 1));
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    assert_eq!(desk.files(), 0);
}
