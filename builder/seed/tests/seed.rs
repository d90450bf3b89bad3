//! A seed as its owner and its device meet it: a folder, and a file on a card.

// The lint knows tests by their attribute, and so not what they call.
#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeMap;
use std::path::Path;

use mailkiln_seed::{Facts, Passwords, Secret, Seed, SeedError, make};

/// Bytes of the committed file; that of an image is larger.
const ROOM: u64 = 8192;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The files of the committed folder.
fn folder() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for below in ["", "dkim"] {
        for entry in std::fs::read_dir(fixture("folder").join(below)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(fixture("folder")).unwrap();
                files.insert(name.to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// What the agent's tests read is what this crate writes.
#[test]
fn the_committed_file_is_the_committed_folder() {
    let seed = Seed::from_files(&folder()).unwrap();
    let (file, wanted) = (seed.encode(ROOM).unwrap(), std::fs::read(fixture("seed.bin")).unwrap());
    if file != wanted {
        let made = std::env::temp_dir().join("seed.bin");
        std::fs::write(&made, &file).unwrap();
        assert!(file == wanted, "{} is what the folder says now", made.display());
    }
    let zone: Vec<_> = seed.dkim_records().iter().map(|key| key.record()).collect();
    let zone = mailkiln_dns::zone_file(&zone);
    assert_eq!(zone, std::fs::read_to_string(fixture("records.txt")).unwrap());
}

#[test]
fn a_folder_is_read_as_it_was_written() {
    let seed = Seed::from_files(&folder()).unwrap();
    assert_eq!(Seed::from_files(&seed.to_files()).unwrap(), seed);
    let spec = mailkiln_spec::parse(mailkiln_spec::DEFAULT).unwrap();
    let list = "admin correct horse\nalice@example.test battery staple\n";
    let made = make(&spec, &Passwords::parse(list).unwrap()).unwrap();
    assert_eq!(Seed::from_files(&made.to_files()).unwrap(), made);
    assert_eq!(made.dkim_records().len(), 2);
    let shown = format!("{made:?}");
    for (name, bytes) in made.to_files() {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("correct horse") && !text.contains("battery"), "{name}");
    }
    assert!(!shown.contains("$6$") && !shown.contains("PRIVATE"), "{shown}");
    let stranger = Passwords::parse("eve@example.test battery staple").unwrap();
    assert!(matches!(make(&spec, &stranger), Err(SeedError::NoAccount(_))));
}

#[test]
fn a_radio_is_meant_where_there_is_a_wireless_network() {
    let read = |more: &str| {
        let text = format!(
            "host = \"mail.example.org\"\n[network]\naddresses = [\"192.0.2.1/24\"]\n{more}"
        );
        let files = BTreeMap::from([("seed.toml".to_owned(), text.into_bytes())]);
        Seed::from_files(&files).unwrap().network.unwrap().interface
    };
    assert_eq!(read(""), "en* eth*");
    assert_eq!(read("[[wifi]]\nname = \"Home\""), "en* eth* wl*");
    assert_eq!(read("interface = \"end0\"\n[[wifi]]\nname = \"Home\""), "end0");
}

#[test]
fn what_does_not_fit_is_refused() {
    let seed = Seed::from_files(&folder()).unwrap();
    assert!(matches!(seed.encode(1000), Err(SeedError::TooLarge { room: 1000, .. })));
}

/// What is wrong with a folder of which one file is another one.
fn wrong(name: &str, content: &str) -> String {
    let mut files = folder();
    files.insert(name.to_owned(), content.as_bytes().to_vec());
    Seed::from_files(&files).unwrap_err().to_string()
}

#[test]
fn every_mistake_is_named_and_no_secret_shown() {
    let head = "host = \"mail.example.org\"\n";
    let own = |rest: &str| wrong("seed.toml", &format!("{head}{rest}"));
    let said = [
        Seed::from_files(&BTreeMap::new()).unwrap_err().to_string(),
        wrong("seed.toml", "admin = \"hunter2\""),
        wrong("seed.toml", "host = \"mail\""),
        own("admin = \"hunter2\""),
        own("admin = [\"hunter2\"]"),
        own("admin = hunter2"),
        own("pasword = \"hunter2\""),
        own("[accounts]\n\"alice@example.org\" = \"hunter2\""),
        own("[accounts]\n\"alice@example.org\" = 4711"),
        own("[acme]\neab_key = \"hunter2\""),
        own("[acme]\neab_key = \"not base64, but hunter2\""),
        own("[acme]\nkey = \"hunter2\""),
        own("[[wifi]]\nname = \"Home\"\npassword = \"hunter2\""),
        own("[[wifi]]\nname = \"\""),
        own("[[wifi]]\nname = \"a\"\n[[wifi]]\nname = \"a\""),
        own("[ssh]\nkeys = [\"ssh-ed25519 AAAA\"]"),
        own("[network]\naddresses = [\"192.0.2.1\"]"),
        own("[network]\n"),
        wrong("dkim/example.org.pem", "hunter2"),
        wrong("dkim/rsa-Example.org.pem", "hunter2"),
        wrong("dkim/rsa-example.org.pem", "hunter2"),
        wrong("dkim/rsa-example.com.pem", &rsa()),
        wrong("ssh_host_ed25519_key", "hunter2"),
        wrong("acme-account-key.pem", "hunter2"),
    ]
    .join("\n");
    assert!(!said.contains("hunter2") && !said.contains("4711"), "{said}");
    insta::assert_snapshot!(said);
}

fn rsa() -> String {
    String::from_utf8(folder()["dkim/rsa-example.org.pem"].clone()).unwrap()
}

#[test]
fn a_seed_is_for_one_image() {
    let facts = |text: &str| Facts::parse(text.as_bytes()).unwrap();
    let image = r#"{"host": "mail.example.org", "domains": [{"name": "example.org", "catch_all": null}],
        "accounts": [{"address": "alice@example.org"}, {"address": "bob@example.org"}], "ssh": true}"#;
    let seed = Seed::from_files(&folder()).unwrap();
    facts(image).fit(&seed).unwrap();
    let mut without = seed.clone();
    without.dkim.clear();
    facts(&image.replace("\"example.org\"", "\"example.net\"")).fit(&without).unwrap();
    let second = image.replace("[{\"name\"", "[{\"name\": \"example.net\"}, {\"name\"");
    let mut said = Vec::new();
    for other in [
        image.replace("mail.", "mx."),
        image.replace("\"name\": \"example.org\"", "\"name\": \"example.net\""),
        second,
        image.replace("alice", "carol"),
        image.replace("true", "false"),
    ] {
        said.push(facts(&other).fit(&seed).unwrap_err().to_string());
    }
    insta::assert_snapshot!(said.join("\n"));
    assert!(Facts::parse(b"[]").is_none());
    assert_ne!(Secret::new("a"), Secret::new("b"));
}
