//! User-data: what the owner of a machine passes on to it, in the forms that people paste.
//!
//! In: bytes from a source, perhaps packed with gzip. Out: a `mail.toml` fragment (`#mailkiln`, or the key
//! `mailkiln:` of a cloud-config), a seed (`#mailkiln-seed`), SSH keys; several at once by MIME. What is
//! something else, such as a script, is named and not used.

use std::io::Read as _;

use serde_json::Value;

use super::answers::{text, texts};
use super::{LARGEST, SourceError, base64, mime, yaml};

/// Bytes that gzip may unpack to.
const LARGEST_UNPACKED: usize = 256 << 10;
/// First line of a fragment.
const FRAGMENT: &str = "#mailkiln";
/// First line of a seed, whose base64 follows.
const SEED: &str = "#mailkiln-seed";
/// First line of a configuration for cloud-init.
const CLOUD_CONFIG: &str = "#cloud-config";
/// RFC 1952, 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What user-data says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserData {
    /// A part of a `mail.toml`.
    pub fragment: Option<String>,
    /// The bytes of a seed.
    pub seed: Option<Vec<u8>>,
    /// Lines of `authorized_keys`, as they stand there.
    pub ssh_keys: Vec<String>,
    /// What is not used, and why.
    pub ignored: Vec<String>,
}

/// Reads user-data.
///
/// # Errors
/// [`SourceError`] where it has something for us that can't be read.
pub fn parse(bytes: &[u8]) -> Result<UserData, SourceError> {
    let mut found = UserData::default();
    part(bytes, None, &mut found)?;
    Ok(found)
}

/// What a part is by its first line, or by the type that MIME gives it.
fn part(bytes: &[u8], kind: Option<&str>, found: &mut UserData) -> Result<(), SourceError> {
    if bytes.len() > LARGEST_UNPACKED {
        return Err(SourceError::TooLarge("user-data"));
    }
    let unpacked;
    let bytes = if bytes.starts_with(&GZIP) {
        unpacked = gunzip("user-data", bytes)?;
        &unpacked
    } else {
        bytes
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        found.ignored.push("user-data that is not UTF-8".to_owned());
        return Ok(());
    };
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default().trim_end();
    match (first, kind) {
        _ if text.trim().is_empty() => Ok(()),
        (FRAGMENT, _) | (_, Some("text/x-mailkiln")) => fragment(text, found),
        (SEED, _) => {
            let body = text.split_once('\n').map_or("", |(_, body)| body);
            let seed = base64("#mailkiln-seed", body.as_bytes())?;
            if found.seed.replace(seed).is_some() {
                return Err(SourceError::nonsense("user-data", "there are two seeds; keep one"));
            }
            Ok(())
        }
        (CLOUD_CONFIG, _) | (_, Some("text/cloud-config")) => cloud_config(text, found),
        _ if kind.is_none() && mime::is_multipart(text) => {
            let parts = mime::parts(text).map_err(|why| SourceError::nonsense("user-data", why))?;
            parts.iter().try_for_each(|it| part(&it.body, Some(&it.kind), found))
        }
        _ => {
            let shown: String = first.chars().take(40).collect();
            found.ignored.push(format!(
                "user-data that begins with `{}`: a fragment begins with the line `#mailkiln`, and scripts are never run",
                shown.escape_debug()
            ));
            Ok(())
        }
    }
}

fn fragment(text: &str, found: &mut UserData) -> Result<(), SourceError> {
    if text.len() > LARGEST {
        return Err(SourceError::TooLarge("#mailkiln"));
    }
    if found.fragment.replace(text.to_owned()).is_some() {
        return Err(SourceError::nonsense("user-data", "there are two fragments; keep one"));
    }
    Ok(())
}

/// Keys of cloud-init that mean the same here; the others are none of ours.
fn cloud_config(text: &str, found: &mut UserData) -> Result<(), SourceError> {
    let document =
        yaml::parse(text).map_err(|error| SourceError::nonsense("#cloud-config", error))?;
    match document.get("mailkiln") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => fragment(text, found)?,
        Some(_) => {
            let why =
                "`mailkiln:` must be text; write `mailkiln: |` and the TOML indented below it";
            return Err(SourceError::nonsense("#cloud-config", why));
        }
    }
    found.ssh_keys.extend(texts(&document, "/ssh_authorized_keys").map(str::to_owned));
    let users = document.get("users").and_then(Value::as_array).into_iter().flatten();
    for user in users.filter(|user| text_is(user, "/name", "root")) {
        found.ssh_keys.extend(texts(user, "/ssh_authorized_keys").map(str::to_owned));
    }
    Ok(())
}

fn text_is(value: &Value, path: &str, wanted: &str) -> bool {
    text(value, path) == Some(wanted)
}

/// What gzip was made of, 256 KiB of it at most.
pub(super) fn gunzip(name: &'static str, bytes: &[u8]) -> Result<Vec<u8>, SourceError> {
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .take(LARGEST_UNPACKED as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| SourceError::nonsense(name, "its gzip is damaged"))?;
    if unpacked.len() > LARGEST_UNPACKED || unpacked.starts_with(&GZIP) {
        return Err(SourceError::nonsense(name, "gzip unpacks to more than 256 KiB, or to gzip"));
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const TOML: &str = "[host]\nname = \"mail.example.net\"\n";

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_form_gives_the_same_fragment() {
        let plain = format!("#mailkiln\n{TOML}");
        let indented: String = TOML.lines().map(|line| format!("  {line}\n")).collect();
        let config = format!(
            "#cloud-config\nhostname: x\nssh_authorized_keys:\n- ssh-ed25519 A b\nmailkiln: |\n{indented}"
        );
        let multipart = format!(
            "Content-Type: multipart/mixed; boundary=\"===\"\nMIME-Version: 1.0\n\n--===\nContent-Type: text/x-mailkiln; charset=\"us-ascii\"\n\n{TOML}\n--===\n\
             Content-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\nI2Nsb3VkLWNvbmZpZwpzc2hfYXV0aG9yaXplZF9rZXlzOiBb\nInNzaC1lZDI1NTE5IEEgYiJdCg==\n\
             --===\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n--===--\n"
        );
        for bytes in [plain.clone().into_bytes(), packed(plain.as_bytes())] {
            let found = parse(&bytes).unwrap();
            assert_eq!(found.fragment.unwrap(), plain);
        }
        let found = parse(config.as_bytes()).unwrap();
        assert_eq!(found.fragment.unwrap(), TOML);
        assert_eq!(found.ssh_keys, ["ssh-ed25519 A b"]);
        let found = parse(multipart.replace('\n', "\r\n").as_bytes()).unwrap();
        assert_eq!(found.fragment.unwrap().trim(), TOML.trim().replace('\n', "\r\n"));
        assert_eq!(found.ssh_keys, ["ssh-ed25519 A b"]);
        assert!(found.ignored[0].contains("`#!/bin/sh`"), "{:?}", found.ignored);
        let found = parse(b"#mailkiln-seed\nc2Vl\nZA==\n").unwrap();
        assert_eq!(found.seed.unwrap(), b"seed");
    }

    #[test]
    fn what_is_not_for_us_is_named_and_what_is_broken_is_an_error() {
        let found = parse(b"#!/bin/sh\nrm -rf /\n").unwrap();
        assert!(found.fragment.is_none() && found.ignored[0].contains("never run"));
        assert_eq!(parse(b"\n").unwrap(), UserData::default());
        assert!(parse(b"\xff\xfe\x00").unwrap().ignored[0].contains("UTF-8"));
        for (bytes, part) in [
            (b"#cloud-config\nmailkiln:\n  host: {name: a.b}\n".to_vec(), "must be text"),
            (b"#cloud-config\na: &x b\nmailkiln: *x\n".to_vec(), "aliases"),
            (b"#cloud-config\n\tx: y: z\n".to_vec(), "not YAML"),
            (b"#mailkiln-seed\n???".to_vec(), "#mailkiln-seed"),
            (packed(&vec![b'#'; 1 << 20]), "256 KiB"),
            (packed(&packed(b"#mailkiln\n")), "gzip"),
            (b"\x1f\x8b\x08\x00broken".to_vec(), "damaged"),
            (vec![b'#'; 300 << 10], "larger"),
            (format!("#mailkiln\n{}", "#".repeat(70_000)).into_bytes(), "larger"),
            (b"Content-Type: multipart/mixed\n\nx".to_vec(), "boundary"),
        ] {
            let error = parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
