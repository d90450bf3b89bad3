//! `mailkiln seed`, `flash --seed` and `dns --seed` as users see them, on a small image.

// The lint knows tests by their attribute, and so not what they call.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use mailkiln_image::Guid;
use mailkiln_image::disk::{SEED_ROOM, seed_place};
use mailkiln_image::fat::{FatFile, FatVolume};
use mailkiln_image::gpt::{Gpt, Lba, Partition, kind};
use mailkiln_pin::Arch;
use mailkiln_squashfs::Plan;
use mailkiln_tree::{Entry, Tree, TreePath};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// 33 MiB are FAT32's least.
const ESP: u64 = 34 * MIB;

const MAIL_TOML: &str = r#"[host]
name = "mail.example.test"
[[domain]]
name = "example.test"
[[account]]
address = "alice@example.test"
[[account]]
address = "bob@example.test"
[ssh]
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a"]
"#;

const FACTS: &str = r#"{"host": "mail.example.test", "domains": [{"name": "example.test"}],
  "accounts": [{"address": "alice@example.test"}, {"address": "bob@example.test"}], "ssh": true}"#;

struct Desk(TempDir);

impl Desk {
    /// A desk with a `mail.toml`, a seed that was made from it, and an image.
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        fs::write(desk.path("mail.toml"), MAIL_TOML).unwrap();
        fs::write(
            desk.path("passwords"),
            "admin correct horse\nalice@example.test battery staple\n",
        )
        .unwrap();
        done(&desk.run("seed new seed --passwords passwords"));
        fs::write(desk.path("eve"), "eve@example.test hunter2 and more\n").unwrap();
        fs::write(desk.path("disk.img"), disk("SEED.BIN", FACTS)).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailkiln"));
        command.args(arguments.split(' ')).current_dir(self.0.path()).env_clear();
        command.env("MAILKILN_CACHE", self.path("cache"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The command ends with this status and says this.
    fn refuses(&self, status: i32, words: &str, arguments: &str) {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(status), "{words}: {text}");
        assert!(text.contains(words), "{words}: {text}");
    }

    /// What the place of an image holds.
    fn place(&self, name: &str) -> Vec<u8> {
        let disk = fs::read(self.path(name)).unwrap();
        let place = seed_place(&disk.as_slice()).unwrap();
        place
            .iter()
            .flat_map(|it| disk[it.offset as usize..][..it.length as usize].to_vec())
            .collect()
    }
}

fn done(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{text}");
    text
}

/// A disk with an ESP and a root, of the shape that an image has.
fn disk(seed_file: &str, facts: &str) -> Vec<u8> {
    let mut tree = Tree::default();
    for (path, entry) in [
        ("etc", Entry::directory(0o755, "test")),
        ("etc/mailkiln", Entry::directory(0o755, "test")),
        ("etc/mailkiln/appliance.json", Entry::file(facts.as_bytes(), 0o644, "test")),
    ] {
        tree.insert(TreePath::parse(path).unwrap(), entry).unwrap();
    }
    let plan = Plan::new(&tree, &[], 0).unwrap();
    let mut root = Vec::new();
    plan.write(&mut root).unwrap();
    root.resize(root.len().next_multiple_of(MIB as usize), 0);
    let file =
        |path: &str, content: Vec<u8>| FatFile { path: path.to_owned(), content: content.into() };
    let files = [file("kernel", vec![7; 5000]), file(seed_file, vec![0; SEED_ROOM as usize])];
    let volume = FatVolume { size: ESP, first_sector: MIB / 512, id: 1, label: "MAILKILN" };
    let size = MIB + ESP + root.len() as u64 + MIB;
    let mut disk = vec![0; size as usize];
    for piece in volume.write(&files).unwrap() {
        disk[(MIB + piece.offset) as usize..][..piece.bytes.len()].copy_from_slice(&piece.bytes);
    }
    disk[(MIB + ESP) as usize..][..root.len()].copy_from_slice(&root);
    let partition = |kind, number: u128, start: u64, size: u64, name: &str| Partition {
        kind,
        guid: Guid::from_u128(number),
        start: Lba(start / 512),
        sectors: size / 512,
        attributes: 0,
        name: name.to_owned(),
    };
    let table = Gpt {
        disk: Guid::from_u128(9),
        sectors: size / 512,
        partitions: vec![
            partition(kind::ESP, 1, MIB, ESP, "esp"),
            partition(kind::root(Arch::X86_64), 2, MIB + ESP, root.len() as u64, "root-a"),
        ],
    };
    let (front, back) = table.encode().unwrap();
    disk[..front.len()].copy_from_slice(&front);
    let at = size as usize - back.len();
    disk[at..].copy_from_slice(&back);
    disk
}

#[test]
fn more_domains_than_a_seed_holds_are_refused_before_a_key_is_made() {
    let desk = Desk(TempDir::new().unwrap());
    let domains: String =
        (0..200).map(|number| format!("[[domain]]\nname = \"d{number}.example\"\n")).collect();
    let text = format!("[host]\nname = \"mail.example.test\"\n[acme]\nenable = false\n{domains}");
    fs::write(desk.path("mail.toml"), text).unwrap();
    let refused = desk.run("seed new seed");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("200 domains") && said.contains("256 KiB"), "{said}");
    assert!(!desk.path("seed").exists());
}

#[test]
fn a_seed_is_a_folder_for_its_owner_alone() {
    let desk = Desk::new();
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("seed"), mode("seed/dkim")), (0o700, 0o700));
    let mut names = Vec::new();
    for folder in ["seed", "seed/dkim"] {
        for entry in fs::read_dir(desk.path(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            if desk.path(&name).is_file() {
                assert_eq!(mode(&name), 0o600, "{name}");
                let text = fs::read_to_string(desk.path(&name)).unwrap();
                assert!(!text.contains("correct horse") && !text.contains("battery"), "{name}");
                names.push(name);
            }
        }
    }
    names.sort();
    insta::assert_snapshot!(names.join("\n"));
    desk.refuses(2, "is not empty, and a seed is never overwritten", "seed new seed");
    desk.refuses(
        2,
        "names eve@example.test, who is no [[account]]",
        "seed new other --passwords eve",
    );
}

#[test]
fn passwords_come_from_standard_input_and_one_is_shown_once() {
    let desk = Desk::new();
    let mut child =
        desk.command("seed new piped --passwords -").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"bob@example.test hunter2 and more\n").unwrap();
    let said = done(&child.wait_with_output().unwrap());
    let after = |marker: &str| said.split(marker).nth(1).unwrap().to_owned();
    let password = after("admin         password ").split(':').next().unwrap().to_owned();
    assert_eq!(password.len(), 23, "{said}");
    let fingerprint = after("SSH host key  ").lines().next().unwrap().to_owned();
    insta::assert_snapshot!(
        said.replace(&password, "PASSWORD").replace(&fingerprint, "FINGERPRINT")
    );
    let toml = fs::read_to_string(desk.path("piped/seed.toml")).unwrap();
    assert!(!toml.contains(&password) && !toml.contains("hunter2"));
    // Nothing secret goes where programs read: there the device makes the password.
    let said = done(&desk.run("--json seed new quiet"));
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(document["admin"], false);
    let toml = fs::read_to_string(desk.path("quiet/seed.toml")).unwrap();
    assert!(toml.contains("\n#admin ="), "{toml}");
}

#[test]
fn dns_is_complete_before_the_first_boot() {
    let desk = Desk::new();
    let said = done(&desk.run("dns --seed seed"));
    for part in
        ["rsa._domainkey.example.test", "ed25519._domainkey.example.test", "v=DKIM1; k=rsa; p="]
    {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("DKIM of example.test: the keys are made"), "{said}");
    desk.refuses(2, "there is no seed nowhere", "dns --seed nowhere");
    fs::set_permissions(desk.path("seed"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(done(&desk.run("dns --seed seed")).contains("others may look into seed"));
}

#[test]
fn applying_changes_the_place_and_nothing_else() {
    let desk = Desk::new();
    let before = fs::read(desk.path("disk.img")).unwrap();
    let said = done(&desk.run("seed apply disk.img seed"));
    assert!(said.contains("The seed of mail.example.test is on disk.img."), "{said}");
    let place = desk.place("disk.img");
    assert!(place.starts_with(b"MAILKILN-SEED-01") && place.len() as u64 == SEED_ROOM);
    let mode = fs::metadata(desk.path("disk.img")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut after = fs::read(desk.path("disk.img")).unwrap();
    for extent in seed_place(&after.as_slice()).unwrap() {
        after[extent.offset as usize..][..extent.length as usize].fill(0);
    }
    assert!(after == before, "something else has changed");
    desk.refuses(2, "disk.img holds a seed already", "seed apply disk.img seed");
    let said = done(&desk.run("--json seed apply --replace disk.img seed"));
    assert!(!said.contains("$6$") && !said.contains("PRIVATE"), "{said}");
    assert_eq!(desk.place("disk.img"), place);
}

#[test]
fn what_can_not_hold_the_seed_is_refused_and_left_alone() {
    let desk = Desk::new();
    let image = fs::read(desk.path("disk.img")).unwrap();
    let make = |name: &str, bytes: &[u8]| fs::write(desk.path(name), bytes).unwrap();
    make("given.img", &image);
    make("given.img.sha256", b"0 given.img\n");
    desk.refuses(2, "has a .sha256 beside it", "seed apply given.img seed");
    assert!(fs::read(desk.path("given.img")).unwrap() == image);
    make("old.img", &disk("OTHER.BIN", FACTS));
    desk.refuses(2, "it has no place for a seed: build the image again", "seed apply old.img seed");
    make("disk.qcow2", b"QFI\xfb and more");
    desk.refuses(2, "it is a qcow2", "seed apply disk.qcow2 seed");
    make("disk.img.zst", &zstd(&image));
    desk.refuses(2, "disk.img.zst is compressed", "seed apply disk.img.zst seed");
    make("noise.img", &[7; 4096]);
    desk.refuses(2, "it does not begin with a boot sector", "seed apply noise.img seed");
    desk.refuses(2, "there is no nothing.img", "seed apply nothing.img seed");
    desk.refuses(2, "there is no seed nowhere", "seed apply disk.img nowhere");
    fs::create_dir(desk.path("empty")).unwrap();
    desk.refuses(2, "the seed empty: it has no seed.toml", "seed apply disk.img empty");
    for (name, facts, words) in [
        (
            "host.img",
            FACTS.replace("mail.", "mx."),
            "the seed is for mail.example.test, and the image for mx.example.test",
        ),
        (
            "domain.img",
            FACTS.replace("[{\"name\"", "[{\"name\": \"second.test\"}, {\"name\""),
            "the image has the domain second.test",
        ),
        ("none.img", "{}".to_owned(), "does not say what it is for"),
    ] {
        make(name, &disk("SEED.BIN", &facts));
        desk.refuses(2, words, &format!("seed apply {name} seed"));
        assert!(desk.place(name).iter().all(|&byte| byte == 0), "{name}");
    }
    // More keys than an image has room for.
    for number in 0..160 {
        for kind in ["rsa", "ed25519"] {
            let from = desk.path(&format!("seed/dkim/{kind}-example.test.pem"));
            fs::copy(from, desk.path(&format!("seed/dkim/{kind}-d{number}.test.pem"))).unwrap();
        }
    }
    desk.refuses(2, "and an image has room for 262144", "seed apply disk.img seed");
}

#[test]
fn flashing_brings_the_seed_along() {
    let desk = Desk::new();
    let image = fs::read(desk.path("disk.img")).unwrap();
    fs::write(desk.path("disk.img.zst"), zstd(&image)).unwrap();
    for (number, name) in ["disk.img", "disk.img.zst"].into_iter().enumerate() {
        let card = format!("card{number}");
        // A used card, larger than the image.
        fs::write(desk.path(&card), vec![0xa5; image.len() + 5 * MIB as usize]).unwrap();
        let said = done(&desk.run(&format!("flash --yes --seed seed {name} {card}")));
        assert!(said.contains("The seed of mail.example.test is on it"), "{said}");
        assert!(desk.place(&card).starts_with(b"MAILKILN-SEED-01"));
        assert_eq!(fs::read(desk.path("disk.img")).unwrap(), image, "the image stays as it was");
    }
    // Found out before anything is written where the image can be looked into, else behind it.
    let other = disk("SEED.BIN", &FACTS.replace("mail.", "mx."));
    fs::write(desk.path("other.img"), &other).unwrap();
    fs::write(desk.path("other.img.zst"), zstd(&other)).unwrap();
    fs::write(desk.path("blank"), vec![0; other.len()]).unwrap();
    desk.refuses(2, "the image for mx.example.test", "flash --yes --seed seed other.img blank");
    assert!(fs::read(desk.path("blank")).unwrap().iter().all(|&byte| byte == 0));
    let words = "blank holds the image, but not the seed";
    desk.refuses(1, words, "flash --yes --seed seed other.img.zst blank");
    assert!(fs::read(desk.path("blank")).unwrap() == other);
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
