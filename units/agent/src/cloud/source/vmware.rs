//! VMware: the variables `guestinfo.metadata` and `guestinfo.userdata`, which vSphere keeps as a machine's `extraConfig`
//! and Workstation in its `.vmx` file.
//!
//! Source: "VMware", cloud-init's documentation. Its environment variables, vendor data and the guest customization
//! of VMware Tools are not read.

use serde_json::Value;

use super::public_keys;
use crate::cloud::answers::{Answers, text};
use crate::cloud::{FirstBoot, LARGEST, SourceError, base64, network_data, user_data, yaml};

/// What messages call it.
pub const NAME: &str = "VMware's guestinfo";
/// Variables that are read, without `guestinfo.`.
pub const VARIABLES: [&str; 4] = ["metadata", "metadata.encoding", "userdata", "userdata.encoding"];
/// Variables that are overwritten once they are kept, and by what: every program of the machine may read them, and
/// user-data may have a seed. A value of VMware's can't be empty; three dashes are an empty document of YAML.
pub const REDACTED: [(&str, &str); 2] = [("userdata", "---"), ("userdata.encoding", " ")];

/// Whether the variables say anything, but that they were overwritten.
pub fn has_data(answers: &Answers) -> bool {
    ["metadata", "userdata"].into_iter().any(|name| set(answers, name).is_some())
}

/// Reads the variables.
///
/// # Errors
/// [`SourceError`] for what makes no sense.
pub fn parse(answers: &Answers) -> Result<FirstBoot, SourceError> {
    let mut found = FirstBoot::of("vmware");
    let metadata = match set(answers, "metadata") {
        Some(bytes) => {
            let encoding = set(answers, "metadata.encoding").unwrap_or_default();
            document("guestinfo.metadata", &decode("guestinfo.metadata", encoding, bytes)?)?
        }
        None => Value::Null,
    };
    let number = metadata.get("instance-id").and_then(Value::as_i64).map(|it| it.to_string());
    let instance = number.as_deref().or(text(&metadata, "/instance-id"));
    found.set_instance(instance.unwrap_or_default());
    let host = text(&metadata, "/local-hostname").or(text(&metadata, "/hostname"));
    found.set_host(host.unwrap_or_default());
    for name in ["public-keys-data", "public_keys_data", "public-keys", "public_keys"] {
        public_keys(&mut found, metadata.get(name));
    }
    found.networks = match metadata.get("network") {
        Some(Value::String(packed)) => {
            const NAME: &str = "guestinfo.metadata, network";
            let encoding = text(&metadata, "/network.encoding").unwrap_or_default();
            let bytes = decode(NAME, encoding.as_bytes(), packed.as_bytes())?;
            network_data::cloud_init(&document(NAME, &bytes)?)
        }
        Some(network) => network_data::cloud_init(network),
        None => Vec::new(),
    };
    if let Some(bytes) = set(answers, "userdata") {
        let encoding = set(answers, "userdata.encoding").unwrap_or_default();
        found.set_user_data(&decode("guestinfo.userdata", encoding, bytes)?);
    }
    Ok(found)
}

/// A value, but for one that was overwritten.
fn set<'a>(answers: &'a Answers, name: &str) -> Option<&'a [u8]> {
    let bytes = answers.bytes(name)?;
    let trimmed = bytes.trim_ascii();
    (!trimmed.is_empty() && trimmed != b"---").then_some(bytes)
}

/// Undoes an encoding by one of cloud-init's names for it.
fn decode(name: &'static str, encoding: &[u8], bytes: &[u8]) -> Result<Vec<u8>, SourceError> {
    if bytes.len() > LARGEST {
        return Err(SourceError::TooLarge(name));
    }
    match encoding.trim_ascii() {
        b"" => Ok(bytes.to_vec()),
        b"base64" | b"b64" => base64(name, bytes),
        b"gzip+base64" | b"gz+b64" => user_data::gunzip(name, &base64(name, bytes)?),
        other => {
            let other = String::from_utf8_lossy(&other[..other.len().min(40)]);
            let other = other.escape_debug();
            let why = format!("its encoding `{other}` is neither base64 nor gzip+base64");
            Err(SourceError::nonsense(name, why))
        }
    }
}

/// YAML, of which JSON is a part.
fn document(name: &'static str, bytes: &[u8]) -> Result<Value, SourceError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| SourceError::nonsense(name, "it is not UTF-8; is its encoding set?"))?;
    yaml::parse(text).map_err(|error| SourceError::nonsense(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const KEY: &str = "ssh-ed25519 AAAA alice@laptop";
    const FRAGMENT: &str = "#mailkiln\n[host]\nname = \"mx.example.net\"\n";

    fn answers(pieces: &[(&'static str, &[u8])]) -> Answers {
        let mut answers = Answers::default();
        pieces.iter().for_each(|(name, bytes)| answers.add(name, bytes.to_vec()));
        answers
    }

    fn encoded(bytes: &[u8]) -> Vec<u8> {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(bytes).unwrap();
        encoded(&gzip.finish().unwrap())
    }

    #[test]
    fn each_encoding_says_the_same() {
        let metadata = format!(
            "instance-id: i-1\nlocal-hostname: mx.example.net\npublic-keys-data: |\n  {KEY}\n  ssh-ed25519 BBBB b\n"
        );
        let plain =
            answers(&[("metadata", metadata.as_bytes()), ("userdata", FRAGMENT.as_bytes())]);
        let expected = parse(&plain).unwrap();
        assert_eq!(expected.instance.as_deref(), Some("i-1"));
        assert_eq!(expected.host.as_deref(), Some("mx.example.net"));
        assert_eq!(expected.ssh_keys, [KEY, "ssh-ed25519 BBBB b"]);
        assert_eq!(expected.user_data.as_deref(), Some(FRAGMENT.as_bytes()));
        for (encoding, encode) in [
            (&b"base64"[..], encoded as fn(&[u8]) -> Vec<u8>),
            (b"b64", encoded),
            (b"gzip+base64", packed),
            (b"gz+b64\n", packed),
        ] {
            let found = parse(&answers(&[
                ("metadata", &encode(metadata.as_bytes())),
                ("metadata.encoding", encoding),
                ("userdata", &encode(FRAGMENT.as_bytes())),
                ("userdata.encoding", encoding),
            ]));
            assert_eq!(found.as_ref(), Ok(&expected));
        }
        let json = format!(r#"{{"instance-id": 7, "hostname": "mx", "public-keys": ["{KEY}"]}}"#);
        let found = parse(&answers(&[("metadata", json.as_bytes())])).unwrap();
        assert_eq!((found.instance.as_deref(), found.ssh_keys.len()), (Some("7"), 1));
    }

    #[test]
    fn a_static_network_is_read_plain_and_packed() {
        let network = "version: 2\nethernets:\n  nic:\n    match: {macaddress: '00:50:56:00:00:01'}\n    addresses: [192.0.2.9/24]\n    gateway4: 192.0.2.1\n";
        let indented: String = network.lines().map(|line| format!("  {line}\n")).collect();
        let plain = format!("network:\n{indented}");
        let base = String::from_utf8(packed(network.as_bytes())).unwrap();
        let packed = format!("network: {base}\nnetwork.encoding: gzip+base64\n");
        let of = |text: &str| parse(&answers(&[("metadata", text.as_bytes())])).unwrap().networks;
        assert_eq!(of(&plain).len(), 1);
        assert_eq!(of(&plain), of(&packed));
    }

    #[test]
    fn what_was_overwritten_says_nothing() {
        for pieces in [
            &[][..],
            &[("userdata", &b"---"[..]), ("userdata.encoding", b" ")],
            &[("metadata", b"---\n"), ("userdata", b"")],
            &[("userdata.encoding", b"base64")],
        ] {
            let answers = answers(pieces);
            assert!(!has_data(&answers));
            assert_eq!(parse(&answers), Ok(FirstBoot::of("vmware")));
        }
        assert!(has_data(&answers(&[("userdata", b"#mailkiln\n")])));
        // The encoding of a value that is there may have been overwritten too.
        let found = parse(&answers(&[("userdata", b"x"), ("userdata.encoding", b"---")])).unwrap();
        assert_eq!(found.user_data.as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn nonsense_names_the_variable_and_the_cure() {
        let huge = vec![b'A'; LARGEST + 1];
        for (pieces, part) in [
            (&[("userdata", &b"x"[..]), ("userdata.encoding", b"rot13\x1b")][..], "neither base64"),
            (&[("userdata", b"!"), ("userdata.encoding", b"base64")], "guestinfo.userdata"),
            (&[("userdata", b"AAAA"), ("userdata.encoding", b"gz+b64")], "gzip is damaged"),
            (&[("metadata", b"\xff\xfe")], "is its encoding set?"),
            (&[("metadata", b"a: [b")], "guestinfo.metadata"),
            (&[("userdata", &huge)], "larger than 64 KiB"),
        ] {
            let error = parse(&answers(pieces)).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\x1b'), "{error}");
        }
    }
}
