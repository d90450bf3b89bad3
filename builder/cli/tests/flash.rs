//! `mailkiln flash` as users see it: the program is run on plain files, and on loop devices where this
//! machine permits them.

// The lint knows tests by their attribute, and so not what they call.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it stands")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mailkiln_pin::Sha256;
use tempfile::TempDir;

const MIB: usize = 1 << 20;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// An image with a boot sector and something in each MiB.
    fn image(&self, name: &str, size: usize) -> Vec<u8> {
        let mut disk = vec![0; size];
        for (number, piece) in disk.chunks_mut(MIB).enumerate() {
            piece[..512].fill(number as u8 + 1);
        }
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        fs::write(self.path(name), &disk).unwrap();
        disk
    }

    /// A plain file that holds something else.
    fn card(&self, name: &str, size: usize) -> PathBuf {
        fs::write(self.path(name), vec![0xa5; size]).unwrap();
        self.path(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailkiln"));
        command.args(arguments).current_dir(self.0.path()).env_clear();
        command.env("MAILKILN_CACHE", self.path("cache"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The same with something to read on standard input.
    fn answer(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// The command ends with this status and says this.
    fn refuses(&self, status: i32, words: &str, arguments: &[&str]) {
        let output = self.run(arguments);
        said(&output, status, words);
    }
}

/// What went to standard error, on one line: long ones are wrapped for people.
fn said(output: &Output, status: i32, words: &str) {
    let text = String::from_utf8_lossy(&output.stderr).replace("│", " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(status), "{words}: {text}");
    assert!(text.contains(words), "{words}: {text}");
}

#[test]
fn a_plain_file_is_flashed_once_its_name_was_typed() {
    let desk = Desk::new();
    let disk = desk.image("disk.img", 3 * MIB);
    let card = desk.card("card", 4 * MIB);
    let left_alone = || assert!(fs::read(&card).unwrap().iter().all(|&byte| byte == 0xa5));
    let flash = ["flash", "disk.img", "card"];
    said(&desk.run(&flash), 2, "card was not changed: its name was not typed");
    said(&desk.answer(&flash, "yes\n"), 2, "type card, or use --yes in scripts");
    desk.refuses(2, "", &["--json", "flash", "disk.img", "card"]);
    left_alone();
    let output = desk.answer(&flash, "card\n");
    said(&output, 0, "Everything on it will be lost. Type card to go on:");
    let found = fs::read(&card).unwrap();
    assert!(found[..disk.len()] == disk && found[disk.len()..].iter().all(|&byte| byte == 0xa5));
    let output = desk.run(&["--json", "flash", "--yes", "disk.img", "card"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["written"], disk.len());
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn what_must_not_be_written_to_is_refused() {
    let desk = Desk::new();
    desk.image("disk.img", 3 * MIB);
    desk.card("small", 3 * MIB - 1);
    let flash = |image: &'static str, device: &'static str| ["flash", "-y", image, device];
    desk.refuses(2, "there is no image none", &flash("none", "small"));
    desk.refuses(2, "is too small: it has", &flash("disk.img", "small"));
    desk.refuses(2, "there is no /dev/mailkiln-none", &flash("disk.img", "/dev/mailkiln-none"));
    assert!(!Path::new("/dev/mailkiln-none").exists());
    desk.refuses(2, "neither a block device nor a plain file", &flash("disk.img", "/dev/full"));
    desk.refuses(2, "neither a block device nor a plain file", &flash("disk.img", "."));
    desk.refuses(2, "is the image itself", &flash("disk.img", "disk.img"));
    desk.refuses(2, "needs --sha256", &flash("https://example.org/disk.img", "small"));
    desk.refuses(2, "does not begin with a boot sector", &flash("small", "disk.img"));
    let wrong = "0".repeat(64);
    desk.refuses(2, "has SHA-256", &["flash", "-y", "--sha256", &wrong, "disk.img", "small"]);
    desk.refuses(2, "is not a SHA-256", &["flash", "-y", "--sha256", "12", "disk.img", "small"]);
}

#[test]
fn the_disk_that_this_machine_runs_from_is_refused() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    let source = root.split(" - ").nth(1).unwrap().split(' ').nth(1).unwrap();
    if !source.starts_with("/dev/") || !Path::new(source).exists() {
        return skip("the root file system is not on a device");
    }
    let desk = Desk::new();
    desk.image("disk.img", 3 * MIB);
    let output = desk.run(&["flash", "-y", "disk.img", source]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("runs from") || text.contains("is a partition"), "{text}");
}

#[test]
fn without_a_device_those_there_are_are_listed() {
    let desk = Desk::new();
    desk.image("disk.img", 3 * MIB);
    let output = desk.run(&["--json", "flash", "disk.img"]);
    assert_eq!(output.status.code(), Some(0));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let devices = document["devices"].as_array().unwrap();
    let text = String::from_utf8(desk.run(&["flash", "disk.img"]).stdout).unwrap();
    match devices.is_empty() {
        true => assert!(text.contains("No removable device was found"), "{text}"),
        false => assert!(text.contains(devices[0]["path"].as_str().unwrap()), "{text}"),
    }
}

#[test]
fn an_image_from_an_address_is_flashed_by_its_digest() {
    let desk = Desk::new();
    let disk = desk.image("disk.img", 3 * MIB);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/disk.img", listener.local_addr().unwrap());
    let body = disk.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // Whoever only wants to know the length hangs up.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    let card = desk.card("card", 3 * MIB);
    let wrong = Sha256::of(b"").to_string();
    desk.refuses(1, &wrong, &["flash", "-y", "--sha256", &wrong, &address, "card"]);
    assert!(fs::read(&card).unwrap().iter().all(|&byte| byte == 0xa5), "nothing was written");
    let sha256 = Sha256::of(&disk).to_string();
    let output = desk.run(&["flash", "-y", "--sha256", &sha256, &address, "card"]);
    assert!(output.status.success(), "{output:?}");
    assert!(fs::read(&card).unwrap() == disk);
    let gone = "http://127.0.0.1:1/disk.img";
    let output = desk.run(&["flash", "-y", "--sha256", &sha256, gone, "card"]);
    assert!(output.status.success(), "the cache has it: {output:?}");
}

/// Starts flashing half a gigabyte and returns as soon as that is under way.
fn under_way(desk: &Desk) -> (Child, PathBuf) {
    let image = File::create(desk.path("disk.img")).unwrap();
    image.set_len(512 << 20).unwrap();
    image.write_all_at(&[0x55, 0xaa], 510).unwrap();
    let path = desk.card("card", 4 * MIB);
    let card = File::options().read(true).write(true).open(&path).unwrap();
    card.set_len(512 << 20).unwrap();
    let child = desk.command(&["flash", "-y", "disk.img", "card"]).spawn().unwrap();
    let started = Instant::now();
    let mut byte = [0xa5];
    while byte == [0xa5] {
        assert!(started.elapsed() < Duration::from_secs(60), "flashing does not begin");
        card.read_exact_at(&mut byte, 3 << 20).unwrap();
    }
    (child, path)
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn ctrl_c_leaves_nothing_that_boots() {
    let desk = Desk::new();
    let (child, path) = under_way(&desk);
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    said(&output, 1, "nothing boots from card now");
    said(&output, 1, "interrupted at byte");
    let card = fs::read(path).unwrap();
    assert!(card[..MIB].iter().all(|&byte| byte == 0), "the head is empty");
}

#[test]
fn a_power_cut_leaves_nothing_that_boots() {
    let desk = Desk::new();
    let (mut child, path) = under_way(&desk);
    signal(&child, "-KILL");
    assert_eq!(child.wait().unwrap().code(), None);
    let card = fs::read(path).unwrap();
    assert!(card[..MIB].iter().all(|&byte| byte == 0), "the head is empty");
}

#[test]
fn a_card_of_64_gb_gets_what_the_image_has_and_no_more() {
    let desk = Desk::new();
    let disk = desk.image("disk.img", 5 * MIB);
    let card = File::create_new(desk.path("card")).unwrap();
    card.set_len(64_000_000_000).unwrap();
    let output = desk.run(&["flash", "-y", "disk.img", "card"]);
    assert!(output.status.success(), "{output:?}");
    let about = card.metadata().unwrap();
    assert_eq!(about.len(), 64_000_000_000);
    assert!(about.blocks() * 512 < 6 * MIB as u64, "{} blocks", about.blocks());
    let mut found = vec![0; disk.len()];
    File::open(desk.path("card")).unwrap().read_exact(&mut found).unwrap();
    assert!(found == disk);
}

/// A medium on which a byte does not stay as it was written.
#[test]
fn a_card_that_keeps_other_bytes_is_found_when_it_is_read_back() {
    let desk = Desk::new();
    desk.image("disk.img", 32 * MIB);
    let path = desk.card("card", 32 * MIB);
    let card = File::options().write(true).open(&path).unwrap();
    let done = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                card.write_all_at(&[0xee], (20 << 20) + 700).unwrap();
            }
        });
        let output = desk.run(&["flash", "-y", "disk.img", "card"]);
        done.store(true, Ordering::Relaxed);
        output
    });
    said(&output, 1, "does not hold what was written to it: the bytes");
    said(&output, 1, "Nothing boots from it now");
    let head = fs::read(path).unwrap();
    assert!(head[..MIB].iter().all(|&byte| byte == 0), "the head is empty");
}

/// Says that a test does not test on this machine, past what catches the output of tests that pass.
fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED, a test of flash: {why} ***");
}

/// Runs a tool that needs root; `None` when it does not succeed.
fn tool(words: &[&str]) -> Option<String> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(words[0]).args(&words[1..]).env("PATH", path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// A loop device, gone when this is.
struct Loop(String);

impl Loop {
    fn of(file: &Path, options: &[&str]) -> Option<Self> {
        let file = file.to_str().unwrap();
        let device = tool(&[&["losetup", "--find", "--show"], options, &[file]].concat())?;
        // A container may have the list of devices, but not the device.
        Path::new(&device).exists().then_some(Self(device))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        tool(&["losetup", "-d", &self.0]);
    }
}

#[test]
fn loop_devices_are_flashed_and_refused_like_cards() {
    let desk = Desk::new();
    let disk = desk.image("disk.img", 5 * MIB + 512);
    let card = desk.card("card", 8 * MIB);
    let Some(device) = Loop::of(&card, &[]) else {
        return skip("losetup makes no loop device here (it takes root)");
    };
    let name = device.0.as_str();
    let flash = ["flash", "-y", "disk.img", name];
    // The file behind it is in use by it.
    desk.refuses(2, "shows it as a disk", &["flash", "-y", "disk.img", card.to_str().unwrap()]);
    let output = desk.run(&flash);
    assert!(output.status.success(), "{output:?}");
    let found = fs::read(&card).unwrap();
    assert!(found[..disk.len()] == disk, "what was written around the cache is in the file");
    assert!(found[disk.len()..].iter().all(|&byte| byte == 0xa5));

    desk.image("large.img", 9 * MIB);
    desk.refuses(2, "is too small", &["flash", "-y", "large.img", name]);

    // Somebody else has it open for himself alone, as `mount` would.
    let holder = File::options().read(true).custom_flags_exclusive().open(name).unwrap();
    desk.refuses(2, "another program has it open", &flash);
    drop(holder);

    if tool(&["mkfs.ext4", "-q", "-F", name]).is_none() {
        return skip("there is no mkfs.ext4");
    }
    let place = desk.path("a place");
    fs::create_dir(&place).unwrap();
    if tool(&["mount", name, place.to_str().unwrap()]).is_some() {
        let output = desk.run(&flash);
        tool(&["umount", place.to_str().unwrap()]).unwrap();
        said(&output, 2, "is mounted on");
        said(&output, 2, "End that first: umount '");
    } else {
        skip("mount is not permitted");
    }
    drop(device);
    let Some(device) = Loop::of(&card, &["--read-only"]) else {
        return skip("no second loop device");
    };
    desk.refuses(2, "is write-protected", &["flash", "-y", "disk.img", &device.0]);
}

#[test]
fn a_partition_is_refused_and_new_ones_are_seen() {
    let desk = Desk::new();
    desk.image("disk.img", 5 * MIB);
    if tool(&[
        "sh",
        "-c",
        &format!("echo 2048,4096 | sfdisk -q {}", desk.path("disk.img").display()),
    ])
    .is_none()
    {
        return skip("there is no sfdisk");
    }
    let card = desk.card("card", 8 * MIB);
    let Some(device) = Loop::of(&card, &["--partscan"]) else {
        return skip("losetup makes no loop device here (it takes root)");
    };
    let output = desk.run(&["--json", "flash", "-y", "disk.img", &device.0]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["rescanned"], true, "{document}");
    let part = format!("{}p1", device.0);
    let name = Path::new(&part).file_name().unwrap();
    let seen = || Path::new("/sys/class/block").join(name).exists();
    if !seen() {
        tool(&["blockdev", "--rereadpt", &device.0]);
        assert!(!seen(), "blockdev had to be asked");
        return skip("this kernel does not read partition tables");
    }
    if Path::new(&part).exists() {
        let words = format!(
            "{part} is a partition, and an image has partitions itself: name the disk, {}",
            device.0
        );
        desk.refuses(2, &words, &["flash", "-y", "disk.img", &part]);
    }
}

/// A file system that ends before the card does, which is sparse.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        tool(&["umount", self.0.to_str().unwrap()]);
    }
}

#[test]
fn a_full_disk_is_told_of() {
    let desk = Desk::new();
    desk.image("disk.img", 9 * MIB);
    let place = desk.path("small");
    fs::create_dir(&place).unwrap();
    let words = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place.to_str().unwrap()];
    if tool(&words).is_none() {
        return skip("mount is not permitted");
    }
    let small = Small(place);
    let card = small.0.join("card");
    let sparse = File::options().read(true).write(true).create_new(true).open(&card).unwrap();
    sparse.set_len(10 << 20).unwrap();
    let head_is_empty = || {
        let mut head = vec![1; MIB];
        sparse.read_exact_at(&mut head, 0).unwrap();
        assert!(head.iter().all(|&byte| byte == 0), "the head is empty");
    };
    let output = desk.run(&["flash", "-y", "disk.img", card.to_str().unwrap()]);
    said(&output, 1, "no room is left for");
    head_is_empty();
    // The same behind a loop device is a device that breaks.
    let Some(device) = Loop::of(&card, &[]) else {
        return skip("losetup makes no loop device here (it takes root)");
    };
    let output = desk.run(&["flash", "-y", "disk.img", &device.0]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no room is left for") || text.contains("can't write to"), "{text}");
    drop(device);
    head_is_empty();
}

/// A device that is whole up to its fifth MiB, and then answers with errors.
#[test]
fn a_broken_device_is_told_of() {
    let desk = Desk::new();
    desk.image("disk.img", 8 * MIB);
    let card = desk.card("card", 8 * MIB);
    let Some(device) = Loop::of(&card, &[]) else {
        return skip("losetup makes no loop device here (it takes root)");
    };
    let name = format!("mailkiln-test-{}", std::process::id());
    let table = format!("0 10240 linear {} 0\n10240 6144 error", device.0);
    if tool(&["dmsetup", "create", "--noudevsync", &name, "--table", &table]).is_none() {
        return skip("dmsetup makes no device here");
    }
    let path = PathBuf::from(format!("/dev/mapper/{name}"));
    let held = desk.run(&["flash", "-y", "disk.img", &device.0]);
    let output = desk.run(&["flash", "-y", "disk.img", path.to_str().unwrap()]);
    tool(&["dmsetup", "remove", "--noudevsync", &name]).unwrap();
    said(&held, 2, "is a part of dm-");
    said(&output, 1, "at byte 5242880");
    said(&output, 1, "Nothing boots from it now");
    drop(device);
    assert!(fs::read(card).unwrap()[..MIB].iter().all(|&byte| byte == 0), "the head is empty");
}

/// `O_EXCL`, which the standard library has no name for.
trait Exclusively {
    fn custom_flags_exclusive(&mut self) -> &mut Self;
}

impl Exclusively for fs::OpenOptions {
    fn custom_flags_exclusive(&mut self) -> &mut Self {
        use std::os::unix::fs::OpenOptionsExt as _;
        self.custom_flags(nix::libc::O_EXCL)
    }
}
