//! The key by which SSH clients know the device again.
//!
//! In: nothing, or the text of a key file. Out: an Ed25519 key in OpenSSH's format without a
//! passphrase (OpenSSH's PROTOCOL.key), and its public half as a line of a `.pub` file.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use mailkiln_pin::Sha256;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::{Secret, SeedError};

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
const END: &str = "-----END OPENSSH PRIVATE KEY-----\n";
/// The format's first bytes (PROTOCOL.key, section 1).
const MAGIC: &[u8] = b"openssh-key-v1\0";
const KIND: &str = "ssh-ed25519";
/// Characters of a line, as ssh-keygen writes them.
const WIDTH: usize = 70;
/// A key without a passphrase is padded to this many bytes (the block size of "none").
const BLOCK: usize = 8;

/// Makes a key; `comment` stands in it for people.
pub(crate) fn generate(comment: &str) -> Result<Secret, SeedError> {
    let failed = || SeedError::NotMade("the SSH host key");
    let (mut key, mut check) = ([0; 32], [0; 4]);
    let random = SystemRandom::new();
    random.fill(&mut key).and_then(|()| random.fill(&mut check)).map_err(|_| failed())?;
    let public = Ed25519KeyPair::from_seed_unchecked(&key).map_err(|_| failed())?;
    let public = public.public_key().as_ref();
    let mut private = [check, check].concat();
    string(&mut private, KIND.as_bytes());
    string(&mut private, public);
    string(&mut private, &[&key[..], public].concat());
    string(&mut private, comment.as_bytes());
    private.extend((1..).take(private.len().next_multiple_of(BLOCK) - private.len()));
    let mut bytes = MAGIC.to_vec();
    string(&mut bytes, b"none");
    string(&mut bytes, b"none");
    string(&mut bytes, b"");
    bytes.extend(1_u32.to_be_bytes());
    string(&mut bytes, &blob(public));
    string(&mut bytes, &private);
    let mut text = BEGIN.to_owned();
    for line in STANDARD.encode(bytes).as_bytes().chunks(WIDTH) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(END);
    Ok(Secret::new(text))
}

/// The line that a `known_hosts` or `.pub` file has; `None` when it is no such key.
pub(crate) fn public_line(text: &str) -> Option<String> {
    let body = text.trim().strip_prefix(BEGIN.trim_end())?.strip_suffix(END.trim_end())?;
    let body: String = body.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(body).ok()?;
    let mut rest = bytes.strip_prefix(MAGIC)?;
    // With a passphrase, nobody could start the server.
    let plain = take(&mut rest)? == b"none" && take(&mut rest)? == b"none";
    let (_, (count, tail)) = (take(&mut rest)?, rest.split_first_chunk::<4>()?);
    rest = tail;
    let public = take(&mut rest)?;
    let mut private = take(&mut rest)?.split_at_checked(8)?.1;
    let kind = take(&mut private)? == KIND.as_bytes();
    let own = blob(take(&mut private)?);
    let fits = plain && kind && rest.is_empty() && *count == 1_u32.to_be_bytes() && own == public;
    fits.then(|| format!("{KIND} {}", STANDARD.encode(public)))
}

/// What ssh shows when it meets the key for the first time.
pub(crate) fn fingerprint(public_line: &str) -> Option<String> {
    let blob = STANDARD.decode(public_line.split(' ').nth(1)?).ok()?;
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::of(&blob).as_bytes())))
}

/// A public key as SSH sends it (RFC 8709 section 4).
fn blob(public: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    string(&mut blob, KIND.as_bytes());
    string(&mut blob, public);
    blob
}

/// Appends a `string` (RFC 4251 section 5).
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing here is longer than a few hundred bytes.
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

/// Takes a `string` off the front.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (string, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = tail;
    Some(string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    #[test]
    fn ssh_keygen_reads_it_as_we_do() {
        let key = generate("mail.example.org").unwrap();
        let line = public_line(key.expose()).unwrap();
        mailkiln_spec::parse_ssh_key(&line).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), key.expose()).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        let said = |arguments: &[&str]| {
            let done = Command::new("ssh-keygen").args(arguments).arg(file.path()).output();
            done.ok().map(|done| {
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                String::from_utf8(done.stdout).unwrap()
            })
        };
        // ssh-keygen may be missing on a developer's machine; ./check installs it.
        let Some(public) = said(&["-y", "-f"]) else { return };
        assert_eq!(public.trim(), format!("{line} mail.example.org"));
        assert!(said(&["-l", "-f"]).unwrap().contains(&fingerprint(&line).unwrap()));
    }

    #[test]
    fn what_is_cut_or_altered_is_no_key() {
        let key = generate("x").unwrap();
        let text = key.expose();
        for at in (0..text.len()).step_by(7) {
            let _ = public_line(&text[..at]);
            assert_eq!(public_line(&text[..at]), None);
        }
        assert_eq!(public_line(&text.replace("b3BlbnNzaC1rZXkt", "b3BlbnNzaC1rZXkx")), None);
        assert_eq!(public_line(""), None);
        assert_ne!(generate("x").unwrap(), key);
    }
}
