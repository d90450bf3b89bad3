use pgp::composed::{
    ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedKeyDetails, SignedPublicKey,
    SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{
    Duration, KeyDetails as _, KeyVersion, Password, SignedUser, SigningKey, Tag,
    Timestamp as Seconds,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::KeyError;

const REAL: &[u8] = include_bytes!("../tests/fixtures/trixie-security.InRelease");

const TEXT: &str = "Origin: Debian\nCodename: trixie\nDate: Fri, 02 Jan 2026 03:04:05 UTC\n\
    Valid-Until: Fri, 09 Jan 2026 03:04:05 UTC\nSHA256:\n \
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        7 main/binary-amd64/Packages.xz\n";

/// Keys are of 2026-01-01, texts are signed on 2026-01-02T04:00Z.
const BORN: u32 = 1_767_225_600;
const SIGNED: u32 = BORN + 28 * 3600;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(seed: u64) -> SignedSecretKey {
    let subkey = SubkeyParamsBuilder::default()
        .key_type(KeyType::Ed25519)
        .can_sign(true)
        .created_at(Seconds::from_secs(BORN))
        .build()
        .unwrap();
    SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519)
        .can_sign(true)
        .can_certify(true)
        .created_at(Seconds::from_secs(BORN))
        .primary_user_id("Test <test@example.org>".into())
        .subkeys(vec![subkey])
        .build()
        .unwrap()
        .generate(ChaCha8Rng::seed_from_u64(seed))
        .unwrap()
}

/// A public key whose self-signature ends its life after `seconds`.
fn expiring(key: &SignedSecretKey, seconds: u32) -> SignedPublicKey {
    let mut public = key.to_public_key();
    let user = public.details.users[0].id.clone();
    let mut config = config(key, SignatureType::CertPositive, HashAlgorithm::Sha256, BORN);
    let life = SubpacketData::KeyExpirationTime(Duration::from_secs(seconds));
    config.hashed_subpackets.push(Subpacket::regular(life).unwrap());
    let signature = config
        .sign_certification(
            &key.primary_key,
            key.primary_key.public_key(),
            &Password::empty(),
            Tag::UserId,
            &user,
        )
        .unwrap();
    public.details =
        SignedKeyDetails::new(vec![], vec![], vec![SignedUser::new(user, vec![signature])], vec![]);
    public
}

fn revoked(key: &SignedSecretKey) -> SignedPublicKey {
    let mut public = key.to_public_key();
    let signature = config(key, SignatureType::KeyRevocation, HashAlgorithm::Sha256, BORN)
        .sign_key(&key.primary_key, &Password::empty(), key.primary_key.public_key())
        .unwrap();
    public.details.revocation_signatures.push(signature);
    public
}

fn config(
    key: &SignedSecretKey,
    kind: SignatureType,
    hash: HashAlgorithm,
    made: u32,
) -> SignatureConfig {
    config_of(&key.primary_key, kind, hash, made)
}

fn config_of(
    key: &impl SigningKey,
    kind: SignatureType,
    hash: HashAlgorithm,
    made: u32,
) -> SignatureConfig {
    assert_eq!(key.version(), KeyVersion::V4);
    let mut config = SignatureConfig::v4(kind, key.algorithm(), hash);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(Seconds::from_secs(made))).unwrap(),
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())).unwrap(),
    ];
    config
}

fn signed_by(text: &str, key: &impl SigningKey, hash: HashAlgorithm, made: u32) -> String {
    let config = config_of(key, SignatureType::Text, hash, made);
    let message = CleartextSignedMessage::new(text, config, key, &Password::empty()).unwrap();
    message.to_armored_string(ArmorOptions::default()).unwrap()
}

fn sign(text: &str, key: &SignedSecretKey) -> String {
    signed_by(text, &key.primary_key, HashAlgorithm::Sha256, SIGNED)
}

fn ring(keys: &[(Archive, SignedPublicKey)]) -> Result<Keyring, KeyError> {
    let armoured: Vec<_> = keys
        .iter()
        .map(|(archive, key)| (*archive, key.to_armored_bytes(ArmorOptions::default()).unwrap()))
        .collect();
    let borrowed: Vec<_> =
        armoured.iter().map(|(archive, key)| (*archive, key.as_slice())).collect();
    Keyring::read(&borrowed)
}

/// What comes of `file` with a keyring for the main archive, at noon of the day.
fn judge(file: &str, key: SignedPublicKey) -> Result<InRelease<Verified>, ReleaseError> {
    let expected = Expected { archive: Archive::Debian, codename: "trixie", not_before: None };
    let keyring = ring(&[(Archive::Debian, key)]).unwrap();
    InRelease::parse(file.as_bytes())?.verify(&keyring, &expected, at("2026-01-02T12:00:00Z"))
}

#[test]
fn the_shipped_keys_are_those_of_the_table() {
    let readme = include_str!("../keys/README.md");
    let keyring = Keyring::debian().unwrap();
    let fingerprints: Vec<_> = keyring.fingerprints().collect();
    assert_eq!(fingerprints.len(), 3);
    for (_, fingerprint) in &fingerprints {
        assert!(readme.contains(&format!("| `{fingerprint}` |")), "{fingerprint}");
    }
    assert_eq!(fingerprints.iter().filter(|(archive, _)| *archive == Archive::Security).count(), 1);
}

#[test]
fn a_real_file_is_verified() {
    let mut expected =
        Expected { archive: Archive::Security, codename: "trixie-security", not_before: None };
    let keyring = Keyring::debian().unwrap();
    let verify = |expected: &Expected<'_>, now| {
        InRelease::parse(REAL).unwrap().verify(&keyring, expected, at(now))
    };
    let verified = verify(&expected, "2026-11-22T00:00:00Z").unwrap();
    assert_eq!(verified.signed_by(), "5E04A1E3223A19A20706E20F9904613D4CCE68C6");
    assert_eq!(verified.release().date, at("2026-11-20T00:12:42Z"));
    assert!(verified.release().files.contains_key("main/binary-arm64/Packages.xz"));
    assert!(matches!(verify(&expected, "2026-11-28T00:00:00Z"), Err(ReleaseError::Expired { .. })));
    assert!(matches!(
        verify(&expected, "2026-11-18T00:00:00Z"),
        Err(ReleaseError::Signature { source: SignatureError::OutOfTime { .. }, .. })
    ));
    // The same file, offered by the other archive: its signers don't count there.
    expected.archive = Archive::Debian;
    assert!(matches!(
        verify(&expected, "2026-11-22T00:00:00Z"),
        Err(ReleaseError::UnknownSigner { .. })
    ));
}

#[test]
fn a_signed_file_is_taken_and_what_was_done_to_it_is_noticed() {
    let key = key(1);
    let good = sign(TEXT, &key);
    let verified = judge(&good, key.to_public_key()).unwrap();
    assert_eq!(verified.release().codename, "trixie");
    assert_eq!(verified.digest(), Sha256::of(good.as_bytes()));

    let unsigned = judge(TEXT, key.to_public_key()).unwrap_err();
    assert!(matches!(unsigned, ReleaseError::NotSigned(_)), "{unsigned}");
    let altered = judge(&good.replace("e3b0", "e3b1"), key.to_public_key()).unwrap_err();
    assert!(
        matches!(altered, ReleaseError::Signature { source: SignatureError::Wrong { .. }, .. }),
        "{altered}"
    );
    let stranger = judge(&sign(TEXT, &super::tests::key(2)), key.to_public_key()).unwrap_err();
    assert!(matches!(stranger, ReleaseError::UnknownSigner { .. }), "{stranger}");
    // Fields outside of the signed part must not be read, nor anything else be beside it.
    let before = judge(&format!("Codename: sid\n{good}"), key.to_public_key());
    assert!(before.is_err());
    let after = judge(&format!("{good}\nCodename: sid\n"), key.to_public_key());
    assert!(after.is_err());
}

#[test]
fn a_subkey_signs_for_its_key() {
    let key = key(1);
    let file = signed_by(TEXT, &key.secret_subkeys[0].key, HashAlgorithm::Sha512, SIGNED);
    let verified = judge(&file, key.to_public_key()).unwrap();
    assert_eq!(verified.signed_by(), format!("{:X}", key.primary_key.fingerprint()));

    let mut stolen = super::tests::key(2).to_public_key();
    stolen.public_subkeys = key.to_public_key().public_subkeys;
    let error = judge(&file, stolen).unwrap_err();
    assert!(
        matches!(error, ReleaseError::Signature { source: SignatureError::Subkey { .. }, .. }),
        "{error}"
    );
}

#[test]
fn weak_hashes_and_dead_keys_are_refused() {
    let key = key(1);
    for algorithm in [HashAlgorithm::Md5, HashAlgorithm::Sha1, HashAlgorithm::Sha224] {
        // The crate refuses to make such a signature, so it is one in name only.
        let good = CleartextSignedMessage::from_string(&sign(TEXT, &key)).unwrap().0;
        let bytes = good.signatures()[0].signature().unwrap().clone();
        let config = config(&key, SignatureType::Text, algorithm, SIGNED);
        let weak = Signature::from_config(config, [0, 0], bytes);
        let weak = CleartextSignedMessage::new_many(TEXT, |_| Ok(vec![weak.unwrap()])).unwrap();
        let weak = weak.to_armored_string(ArmorOptions::default()).unwrap();
        let error = judge(&weak, key.to_public_key()).unwrap_err().to_string();
        assert!(error.contains("can be forged"), "{error}");
    }

    let living = expiring(&key, 100 * 86_400);
    assert!(judge(&sign(TEXT, &key), living).is_ok());
    let expired = judge(&sign(TEXT, &key), expiring(&key, 86_400)).unwrap_err();
    assert!(
        matches!(
            expired,
            ReleaseError::Signature { source: SignatureError::KeyExpired { .. }, .. }
        ),
        "{expired}"
    );
    let unborn = signed_by(TEXT, &key.primary_key, HashAlgorithm::Sha256, BORN - 1);
    assert!(judge(&unborn, key.to_public_key()).is_err());
    let of_tomorrow = signed_by(TEXT, &key.primary_key, HashAlgorithm::Sha256, SIGNED + 3 * 86_400);
    assert!(judge(&of_tomorrow, key.to_public_key()).is_err());

    let keyring = ring(&[(Archive::Debian, revoked(&key))]);
    assert!(matches!(keyring, Err(KeyError::Revoked(_))));
    let mut unbound = key.to_public_key();
    unbound.details.users = super::tests::key(2).to_public_key().details.users;
    assert!(matches!(ring(&[(Archive::Debian, unbound)]), Err(KeyError::Unbound(_))));
    assert!(matches!(Keyring::read(&[(Archive::Debian, b"key")]), Err(KeyError::Malformed(_))));
}

#[test]
fn a_replayed_or_mislabelled_release_is_refused() {
    let key = key(1);
    let keyring = ring(&[(Archive::Debian, key.to_public_key())]).unwrap();
    let judge = |text: &str, codename, not_before: Option<&str>, now| {
        let not_before = not_before.map(at);
        let expected = Expected { archive: Archive::Debian, codename, not_before };
        let file = sign(text, &key);
        let parsed = InRelease::parse(file.as_bytes()).unwrap();
        parsed.verify(&keyring, &expected, at(now)).map(drop).map_err(|error| error.to_string())
    };
    let noon = "2026-01-02T12:00:00Z";
    let endless = TEXT.replace("Valid-Until: Fri, 09 Jan 2026 03:04:05 UTC\n", "");
    let cases: [(&str, &str, Option<&str>, &str, &str); 13] = [
        (TEXT, "trixie", None, noon, ""),
        (TEXT, "trixie", Some("2026-01-02T03:04:05Z"), noon, ""),
        (&endless, "trixie", None, "2029-01-01T00:00:00Z", ""),
        (TEXT, "trixie-updates", None, noon, "not of `trixie-updates`"),
        (TEXT, "trixie", Some("2026-01-02T03:04:06Z"), noon, "the mirror is behind"),
        (TEXT, "trixie", None, "2026-01-09T03:04:06Z", "the mirror is stale"),
        (
            &TEXT.replace("Date: Fri, 02 Jan 2026", "Date: Sun, 04 Jan 2026"),
            "trixie",
            None,
            noon,
            "check the clock",
        ),
        (
            &TEXT.replace("Date: Fri, 02 Jan 2026", "Date: gestern"),
            "trixie",
            None,
            noon,
            "is not a time",
        ),
        (
            &TEXT.replace("Valid-Until: Fri", "Valid-Until: Frei"),
            "trixie",
            None,
            noon,
            "Valid-Until",
        ),
        (&TEXT.replace("Codename: trixie\n", ""), "trixie", None, noon, "Codename is missing"),
        (&TEXT.replace("SHA256:", "SHA1:"), "trixie", None, noon, "SHA256 is missing"),
        (&TEXT.replace("        7 main", " seven main"), "trixie", None, noon, "bad line"),
        (&format!("{TEXT}\nCodename: trixie\n"), "trixie", None, noon, "Codename"),
    ];
    for (text, codename, not_before, now, reason) in cases {
        match judge(text, codename, not_before, now) {
            Ok(()) => assert_eq!(reason, "", "{text}"),
            Err(error) => assert!(!reason.is_empty() && error.contains(reason), "{error}\n{text}"),
        }
    }
}

#[test]
fn size_and_lines_have_a_limit() {
    for bytes in [vec![b'x'; MAX_RELEASE_BYTES + 1], vec![b'\n'; MAX_LINES + 1]] {
        assert!(matches!(InRelease::parse(&bytes), Err(ReleaseError::TooLarge)));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, ..Default::default() })]
    #[test]
    fn no_bytes_make_the_parsers_panic(cut in 0..REAL.len(), with: Vec<u8>) {
        let mut bytes = REAL[..cut].to_vec();
        bytes.extend(with);
        bytes.extend(&REAL[(cut + 40).min(REAL.len())..]);
        let _ = InRelease::parse(&bytes);
        let _ = Release::parse(&String::from_utf8_lossy(&bytes));
    }
}
