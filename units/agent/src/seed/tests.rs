//! The seed, as the builder writes it.

use std::path::Path;

use super::*;
use crate::dkim::{self, ALGORITHMS};

/// What the builder's crate tests as its own.
fn fixture(name: &str) -> Vec<u8> {
    let folder = "../../builder/seed/tests/fixtures";
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)).unwrap()
}

/// The place with the committed seed in it.
pub(crate) fn place() -> Vec<u8> {
    fixture("seed.bin")
}

pub(crate) fn seed() -> Seed {
    parse(&place()).unwrap().unwrap()
}

#[test]
fn what_the_builder_writes_is_read() {
    let seed = seed();
    assert_eq!(seed.host.as_str(), "mail.example.org");
    let alice = Address::try_from("alice@example.org".to_owned()).unwrap();
    assert!(crate::password::verify("battery staple", &seed.accounts[&alice]));
    assert!(crate::password::verify("correct horse", seed.admin.as_ref().unwrap()));
    assert!(seed.acme_account_key.is_some() && seed.ssh.host_key.is_some());
    assert!(seed.acme_eab_key.is_some() && seed.acme_dns_key.is_some());
    assert_eq!(seed.ssh.keys.len(), 1);
    let files: Vec<_> = seed.wifi.iter().map(Wifi::file_name).collect();
    assert_eq!(files, ["Home.psk", "=436166c3a9202331.open"]);
    assert_eq!(seed.wifi[0].render(), "[Security]\nPassphrase=back\\\\slash and space\n");
    let network = seed.network.as_ref().unwrap().render();
    let (_, network) = network.split_once('\n').unwrap();
    assert_eq!(
        network,
        "[Match]\nName=en* eth*\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\n\
         Address=192.0.2.10/24\nAddress=2001:db8::10/64\nGateway=192.0.2.1\nGateway=fe80::1\n\
         DNS=9.9.9.9\nDomains=~.\n"
    );
    let shown = format!("{seed:?} {:?} {:?} {:?}", seed.dkim, seed.ssh, seed.wifi);
    assert!(
        !shown.contains("$6$") && !shown.contains("KEY") && !shown.contains("slash"),
        "{shown}"
    );
}

/// `mailkiln dns --seed` prints what the appliance will publish.
#[test]
fn both_sides_make_the_same_records() {
    let (seed, domain) = (seed(), DomainName::try_from("example.org".to_owned()).unwrap());
    let mut zone = String::new();
    for algorithm in ALGORITHMS {
        let record = algorithm.record(seed.dkim_key(algorithm, &domain).unwrap()).unwrap();
        zone.push_str(&dkim::zone_line(algorithm, &domain, &record));
    }
    let builders = String::from_utf8(fixture("records.txt")).unwrap();
    assert_eq!(builders.replace(" 3600 IN ", " IN "), zone);
}

#[test]
fn nothing_and_damage_are_told_apart() {
    for nothing in [&[][..], &[0; 4096], NONE] {
        assert_eq!(parse(nothing), Ok(None));
    }
    let whole = place();
    for (at, error) in [
        (0, SeedError::Damaged("its start")),
        (15, SeedError::Version),
        (19, SeedError::Damaged("its length")),
        (20, SeedError::Damaged("its SHA-256")),
        (52, SeedError::Damaged("its SHA-256")),
        (3000, SeedError::Damaged("its SHA-256")),
    ] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        assert_eq!(parse(&damaged), Err(error), "byte {at}");
    }
    for length in [1, 15, 16, 20, 51, 52, 2999] {
        assert!(matches!(parse(&whole[..length]), Err(SeedError::Damaged(_))), "{length}");
    }
}

/// The file of a document.
fn file(json: &str) -> Vec<u8> {
    let digest = ring::digest::digest(&ring::digest::SHA256, json.as_bytes());
    let length = u32::try_from(json.len()).unwrap().to_le_bytes();
    [&b"MAILKILN-SEED-01"[..], &length, digest.as_ref(), json.as_bytes(), &[0; 99]].concat()
}

#[test]
fn values_that_would_do_harm_are_refused_without_being_shown() {
    let empty = r#"{"host":"mail.example.org","admin":null,"accounts":{},"dkim":{},"acme_account_key":null,"acme_eab_key":null,"acme_dns_key":null,"ssh":{"keys":[],"host_key":null},"wifi":[],"network":null}"#;
    assert!(parse(&file(empty)).unwrap().is_some());
    for (from, to, error) in [
        (r#""admin":null"#, r#""admin":"hunter2""#, SeedError::Value("the hash of a password")),
        (r#""keys":[]"#, r#""keys":["command=\"x\" ssh-rsa A"]"#, SeedError::Value("an SSH key")),
        (r#""keys":[]"#, r#""keys":["ssh-rsa A\nssh-rsa B"]"#, SeedError::Value("an SSH key")),
        (
            r#""acme_dns_key":null"#,
            r#""acme_dns_key":"hunter2\nhunter2 hunter2""#,
            SeedError::Value("a key for certificates"),
        ),
        (r#""host_key":null"#, r#""host_key":"hunter2""#, SeedError::Value("the SSH host key")),
        (
            r#""wifi":[]"#,
            r#""wifi":[{"name":"a","password":"x\n[Evil]"}]"#,
            SeedError::Value("a wireless network"),
        ),
        (
            r#""network":null"#,
            r#""network":{"interface":"e\n[Evil]","addresses":["192.0.2.1/24"],"gateways":[],"resolvers":[]}"#,
            SeedError::Value("the static network"),
        ),
        (
            r#""dkim":{}"#,
            r#""dkim":{"example.org":{"rsa":"hunter2","ed25519":"hunter2"}}"#,
            SeedError::Value("an RSA key for DKIM"),
        ),
        (r#""dkim":{}"#, r#""dkim":{"../x":{"rsa":"a","ed25519":"b"}}"#, SeedError::Document(0)),
        (r#""dkim":{}"#, r#""dkim":{},"more":"hunter2""#, SeedError::Document(0)),
        (r#""host":"mail.example.org""#, r#""host":7"#, SeedError::Document(0)),
    ] {
        let json = empty.replace(from, to);
        assert_ne!(json, empty, "{from}");
        let found = parse(&file(&json)).unwrap_err();
        assert!(!found.to_string().contains("hunter2"), "{found}");
        match error {
            SeedError::Document(_) => assert!(matches!(found, SeedError::Document(_)), "{found}"),
            error => assert_eq!(found, error),
        }
    }
}

#[test]
fn a_seed_of_another_machine_is_not_taken() {
    let mut appliance = crate::appliance::tests::example();
    assert_eq!(seed().is_for(&appliance), Ok(()));
    appliance.host = DomainName::try_from("mx.example.org".to_owned()).unwrap();
    let error = seed().is_for(&appliance).unwrap_err().to_string();
    assert_eq!(error, "it is for mail.example.org, and this is mx.example.org");
}
