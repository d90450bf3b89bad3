use proptest::prelude::*;

use super::*;

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::new("units.example.org-1", [seed; 32]).unwrap()
}

fn public(key: &SecretKey) -> TrustedPublicKey {
    TrustedPublicKey::parse(&key.public_text()).unwrap()
}

fn record() -> Record {
    let used = |name: &str, sha256, licence: Option<&str>| UsedCrate {
        name: name.to_owned(),
        version: String::from("1.0.0+a"),
        sha256,
        licence: licence.map(str::to_owned),
    };
    Record {
        component: String::from("agent"),
        target: Arch::X86_64,
        key: Sha256::of(b"key"),
        toolchain: Sha256::of(b"toolchain"),
        programs: vec![(String::from("mailkiln-agent"), 3, Sha256::of(b"abc"))],
        crates: vec![
            used("a", Some(Sha256::of(b"a")), Some("MIT OR Apache-2.0")),
            used("mailkiln-agent", None, None),
        ],
    }
}

#[test]
fn a_record_is_read_as_it_was_written_and_its_signer_known() {
    let signed = record().sign(&key(1));
    let text = signed.to_string();
    assert!(text.starts_with("mailkiln-unit 1\ncomponent agent\ntarget x86_64\nkey "), "{text}");
    let read = Signed::parse(text.as_bytes()).unwrap();
    assert_eq!(read, signed);
    let keys = [public(&key(2)), public(&key(1))];
    assert_eq!(read.signed_by(&keys), Some(&keys[1]));
    assert_eq!(read.signed_by(&keys[..1]), None);
    assert_eq!(read.signers(), "units.example.org-1");
}

#[test]
fn whatever_is_altered_is_not_signed() {
    let text = record().sign(&key(1)).to_string();
    let keys = [public(&key(1))];
    for (position, _) in text.char_indices() {
        let mut altered = text.clone().into_bytes();
        altered[position] ^= 1;
        if let Ok(read) = Signed::parse(&altered) {
            assert_eq!(read.signed_by(&keys), None, "byte {position} of {text}");
        }
    }
    for length in 0..text.len() {
        assert!(Signed::parse(&text.as_bytes()[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn what_is_not_a_record_is_refused_by_its_line() {
    let text = record().sign(&key(1)).to_string();
    let cases = [
        (String::from("<html>"), RecordError::Header),
        (text.replace("unit 1", "unit 2"), RecordError::Header),
        (text.replace("x86_64", "sparc"), RecordError::Line(3)),
        (text.replace("mailkiln-agent 3", "../agent 3"), RecordError::Line(6)),
        (text.replace("mailkiln-agent 3", ".agent 3"), RecordError::Line(6)),
        (text.replace("mailkiln-agent 3", "agent +3"), RecordError::Line(6)),
        (text.replace("mailkiln-agent 3", "agent 99999999999"), RecordError::Line(6)),
        (text.replace("component agent\n", ""), RecordError::Line(2)),
        (text.replace("MIT OR", "MIT\u{1b}[31m"), RecordError::Line(7)),
        (format!("{text}more\n"), RecordError::Line(10)),
        (record().to_string(), RecordError::End),
        (text.replace('\n', "\r\n"), RecordError::Header),
        (" ".repeat(2 << 20), RecordError::Long),
    ];
    for (text, expected) in cases {
        let shown: String = text.chars().take(300).collect();
        assert_eq!(Signed::parse(text.as_bytes()), Err(expected), "{shown}");
    }
}

#[test]
fn a_second_signature_joins_the_first_unless_the_content_differs() {
    let (one, two) = (record().sign(&key(1)), record().sign(&key(2)));
    let both = one.clone().with_signatures_of(&two);
    assert_eq!(Signed::parse(both.to_string().as_bytes()).as_ref(), Ok(&both));
    assert!(both.signed_by(&[public(&key(1))]).is_some());
    assert!(both.signed_by(&[public(&key(2))]).is_some());
    assert_eq!(both.clone().with_signatures_of(&one), both);
    let mut other = record();
    other.component = String::from("acme");
    assert_eq!(other.sign(&key(1)).with_signatures_of(&two).signers(), "units.example.org-1");
}

proptest! {
    #[test]
    fn licences_of_any_text_make_a_record_that_can_be_read(licence in "\\PC{0,20}[\n\t ]?[a-z -]{0,9}") {
        let mut record = record();
        record.crates[0].licence = Some(licence);
        let signed = record.plain().sign(&key(1));
        prop_assert_eq!(Signed::parse(signed.to_string().as_bytes()), Ok(signed));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in "(mailkiln-unit 1\n)?((component|target|key|crate|program|signature) ?[a-z0-9:-]{0,5}\n){0,6}") {
        let _ = Signed::parse(bytes.as_bytes());
    }
}
