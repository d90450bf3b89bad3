//! Round trips, damage, and the program minisign as judge where it is installed.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailkiln_signature::{PublicKey, SecretKey, SignatureError, fuzz};
use proptest::prelude::*;

fn key() -> SecretKey {
    SecretKey::from_random([3; 32], [1, 2, 3, 4, 5, 6, 7, 8])
}

#[test]
fn what_was_signed_is_right_and_nothing_else_is() {
    let key = SecretKey::parse(&key().text()).unwrap();
    let public = PublicKey::parse(&key.public().text()).unwrap();
    assert_eq!(public, PublicKey::parse(&public.line()).unwrap());
    assert_eq!(public.id.to_string(), "0807060504030201");
    let text = key.sign(&b"image"[..], "file:a.img").unwrap();
    assert_eq!(public.verify(&b"image"[..], &text).unwrap(), "file:a.img");
    assert!(matches!(public.verify(&b"Image"[..], &text), Err(SignatureError::Wrong)));
    let renamed = text.replace("a.img", "b.img");
    assert!(matches!(public.verify(&b"image"[..], &renamed), Err(SignatureError::Wrong)));
    let other = SecretKey::from_random([4; 32], [9; 8]).public();
    assert!(matches!(other.verify(&b"image"[..], &text), Err(SignatureError::OtherKey { .. })));
    // The same number does not make it the same key.
    let forged = SecretKey::from_random([4; 32], [1, 2, 3, 4, 5, 6, 7, 8]);
    let forged = forged.sign(&b"image"[..], "file:a.img").unwrap();
    assert!(matches!(public.verify(&b"image"[..], &forged), Err(SignatureError::Wrong)));
    assert!(matches!(key.sign(&b""[..], "two\nlines"), Err(SignatureError::Comment)));
}

#[test]
fn damaged_and_foreign_files_are_refused() {
    let secret = key().text();
    for (text, expected) in [
        (secret.replace("minisign secret", "x"), true),
        (secret.replace("untrusted", "trusted"), false),
        (secret.replace('\n', " "), false),
        (format!("{secret}more\n"), false),
        (String::new(), false),
    ] {
        assert_eq!(SecretKey::parse(&text).is_ok(), expected, "{text}");
    }
    let damaged: String = secret
        .char_indices()
        .map(|(at, c)| if at == secret.len() - 20 { if c == 'A' { 'B' } else { 'A' } } else { c })
        .collect();
    assert!(matches!(SecretKey::parse(&damaged), Err(SignatureError::Damaged)));
}

/// minisign leaves the checksum of a key without a password empty.
#[test]
fn a_key_without_a_checksum_is_read_and_its_halves_are_compared() {
    let text = key().text();
    let (comment, line) = text.trim_end().split_once('\n').unwrap();
    let mut raw = STANDARD.decode(line).unwrap();
    let checksum = raw.len() - 32;
    raw[checksum..].fill(0);
    let read = |raw: &[u8]| SecretKey::parse(&format!("{comment}\n{}\n", STANDARD.encode(raw)));
    assert_eq!(read(&raw).unwrap().public(), key().public());
    raw[checksum - 1] ^= 1;
    assert!(matches!(read(&raw), Err(SignatureError::Damaged)));
}

/// The program itself, both ways.
#[test]
fn minisign_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let run = |arguments: &[&str]| Command::new("minisign").args(arguments).output();
    let Ok(made) = run(&["-G", "-W", "-p", &at("their.pub"), "-s", &at("their.key")]) else {
        assert!(std::env::var_os("CI").is_none(), "install minisign");
        eprintln!("minisign is not installed: it judges nothing here");
        return;
    };
    assert!(made.status.success(), "{made:?}");
    fs::write(at("image"), vec![7; 3 << 20]).unwrap();
    let image = || fs::File::open(at("image")).unwrap();

    // Ours, judged by minisign.
    fs::write(at("our.pub"), key().public().text()).unwrap();
    fs::write(at("image.minisig"), key().sign(image(), "file:image").unwrap()).unwrap();
    let judged = run(&["-V", "-p", &at("our.pub"), "-m", &at("image")]).unwrap();
    assert!(judged.status.success(), "{judged:?}");

    // Theirs, signed by minisign with their key and with ours, judged by us.
    fs::write(at("our.key"), key().text()).unwrap();
    for (secret, public) in [("their.key", "their.pub"), ("our.key", "our.pub")] {
        let signed = run(&["-S", "-s", &at(secret), "-m", &at("image")]).unwrap();
        assert!(signed.status.success(), "{secret}: {signed:?}");
        let public = PublicKey::parse(&fs::read_to_string(at(public)).unwrap()).unwrap();
        let text = fs::read_to_string(at("image.minisig")).unwrap();
        public.verify(image(), &text).unwrap();
    }
    let their = SecretKey::parse(&fs::read_to_string(at("their.key")).unwrap()).unwrap();
    let public = fs::read_to_string(at("their.pub")).unwrap();
    assert_eq!(their.public(), PublicKey::parse(&public).unwrap());
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz(&bytes);
    }
}
