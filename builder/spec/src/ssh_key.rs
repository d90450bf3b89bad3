//! Public keys of people who may log in.
//!
//! In: a line as `ssh-keygen` writes it into a `.pub` file. Out: the same line, tidied, once the
//! key inside has the length and the parts that its type demands (RFC 4253, 6.6; RFC 5656, 3.1;
//! RFC 8709, 4; OpenSSH's PROTOCOL.u2f).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::problem::{Flaw, shown};

/// Shortest RSA modulus in bits: what OpenSSH's own default asks for is 1024, NIST SP 800-57 says
/// 2048.
const SHORTEST_RSA: usize = 2048;
/// Longest RSA modulus in bits that OpenSSH takes (`SSHBUF_MAX_BIGNUM`).
const LONGEST_RSA: usize = 16384;

/// What is inside a key of some type, after the type's name.
enum Parts {
    /// Exponent and modulus.
    Rsa,
    /// A 32-byte point.
    Ed25519,
    /// A curve's name and an uncompressed point of so many bytes.
    Ecdsa(&'static str, usize),
    /// Another type's parts and the application string of a hardware key.
    Hardware(&'static Parts),
}

/// The types that are taken.
const TYPES: [(&str, Parts); 7] = [
    ("ssh-ed25519", Parts::Ed25519),
    ("sk-ssh-ed25519@openssh.com", Parts::Hardware(&Parts::Ed25519)),
    ("ecdsa-sha2-nistp256", Parts::Ecdsa("nistp256", 65)),
    ("ecdsa-sha2-nistp384", Parts::Ecdsa("nistp384", 97)),
    ("ecdsa-sha2-nistp521", Parts::Ecdsa("nistp521", 133)),
    ("sk-ecdsa-sha2-nistp256@openssh.com", Parts::Hardware(&Parts::Ecdsa("nistp256", 65))),
    ("ssh-rsa", Parts::Rsa),
];

/// The line of a `.pub` file with single spaces between its parts, if the key in it is whole and
/// strong.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(line: &str) -> Result<String, Flaw> {
    const CURE: &str = "paste the one line of a `.pub` file: `ssh-ed25519 AAAA… comment`; \
                        `ssh-keygen -t ed25519` makes a pair";
    let flaw = |label: &str| {
        Flaw::new(format!("`{}` is not a usable SSH public key", shown(line)), label, CURE)
    };
    let mut words = line.split_whitespace();
    let (Some(kind), Some(encoded)) = (words.next(), words.next()) else {
        return Err(flaw("a key has a type and a long base64 text"));
    };
    if kind == "ssh-dss" {
        return Err(flaw("DSA is broken, and OpenSSH does not take it any more"));
    }
    let Some((_, parts)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        let is_options = TYPES.iter().any(|(name, _)| line.contains(name));
        return Err(flaw(if is_options {
            "options before the key are not supported"
        } else {
            "it does not start with a known key type"
        }));
    };
    let blob = STANDARD.decode(encoded).map_err(|_| flaw("the base64 text is damaged"))?;
    judge(&blob, kind, parts).map_err(|reason| flaw(&reason))?;
    let comment: Vec<&str> = words.collect();
    let comment =
        if comment.is_empty() { String::new() } else { format!(" {}", comment.join(" ")) };
    Ok(format!("{kind} {encoded}{comment}"))
}

/// Whether the decoded key is what its line says.
fn judge(blob: &[u8], kind: &str, parts: &Parts) -> Result<(), String> {
    const SHORT: &str = "the key is cut off";
    let mut rest = blob;
    if string(&mut rest).ok_or(SHORT)? != kind.as_bytes() {
        return Err("the key inside is of another type".to_owned());
    }
    judge_parts(&mut rest, parts)?;
    if rest.is_empty() { Ok(()) } else { Err("there is something after the key".to_owned()) }
}

fn judge_parts(rest: &mut &[u8], parts: &Parts) -> Result<(), String> {
    let mut next = || string(rest).ok_or_else(|| "the key is cut off".to_owned());
    match parts {
        Parts::Ed25519 => match next()?.len() {
            32 => Ok(()),
            other => Err(format!("an Ed25519 key has 32 bytes, this one {other}")),
        },
        Parts::Ecdsa(curve, length) => {
            if next()? != curve.as_bytes() {
                return Err("the key inside is on another curve".to_owned());
            }
            match next()? {
                // 4 marks an uncompressed point (SEC 1, 2.3.3), the only form in RFC 5656.
                [4, point @ ..] if point.len() + 1 == *length => Ok(()),
                _ => Err(format!("a point on {curve} has {length} bytes")),
            }
        }
        Parts::Rsa => {
            let _exponent = next()?;
            let bits = bits(next()?);
            if bits < SHORTEST_RSA {
                return Err(format!(
                    "RSA with {bits} bits is too short, {SHORTEST_RSA} is the least"
                ));
            }
            if bits > LONGEST_RSA {
                return Err(format!("RSA with {bits} bits is more than OpenSSH takes"));
            }
            Ok(())
        }
        Parts::Hardware(parts) => {
            judge_parts(rest, parts)?;
            string(rest).map(|_| ()).ok_or_else(|| "the key is cut off".to_owned())
        }
    }
}

/// Takes one `string` (RFC 4251, 5: a 32-bit length, then bytes) off the front.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (string, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(string)
}

/// Bits of a positive `mpint` (RFC 4251, 5).
fn bits(number: &[u8]) -> usize {
    let leading = number.iter().take_while(|byte| **byte == 0).count();
    match &number[leading..] {
        [] => 0,
        [first, rest @ ..] => rest.len() * 8 + (8 - first.leading_zeros() as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with a key of these parts.
    fn line(kind: &str, parts: &[&[u8]]) -> String {
        let mut blob = Vec::new();
        for part in std::iter::once(&kind.as_bytes()).chain(parts) {
            blob.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            blob.extend(*part);
        }
        format!("{kind} {} alice@laptop", STANDARD.encode(blob))
    }

    fn modulus(bits: usize) -> Vec<u8> {
        let mut number = vec![0, 0x80];
        number.resize(1 + bits / 8, 1);
        number
    }

    #[test]
    fn whole_keys_are_taken() {
        let point = |length: usize| [vec![4], vec![7; length - 1]].concat();
        for key in [
            // Made by `ssh-keygen -t ed25519`.
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a b"
                .to_owned(),
            line("ssh-ed25519", &[&[1; 32]]),
            line("ssh-rsa", &[&[1, 0, 1], &modulus(2048)]),
            line("ssh-rsa", &[&[1, 0, 1], &modulus(4096)]),
            line("ecdsa-sha2-nistp256", &[b"nistp256", &point(65)]),
            line("ecdsa-sha2-nistp521", &[b"nistp521", &point(133)]),
            line("sk-ssh-ed25519@openssh.com", &[&[1; 32], b"ssh:"]),
            line("sk-ecdsa-sha2-nistp256@openssh.com", &[b"nistp256", &point(65), b"ssh:"]),
        ] {
            assert_eq!(parse(&key).as_ref(), Ok(&key));
            assert_eq!(parse(&format!("  {} ", key.replace(' ', "  "))), Ok(key));
        }
    }

    #[test]
    fn weak_damaged_and_foreign_keys_are_refused_with_their_reason() {
        let good = line("ssh-ed25519", &[&[1; 32]]);
        for (key, reason) in [
            (String::new(), "a type and"),
            ("ssh-ed25519".to_owned(), "a type and"),
            ("ssh-ed25519 ????".to_owned(), "damaged"),
            ("ssh-ed25519 AAAA".to_owned(), "cut off"),
            (good.replace("ssh-ed25519", "ssh-rsa"), "another type"),
            (good.replace("ssh-ed25519", "pgp"), "known key type"),
            (format!("no-pty {good}"), "options"),
            (line("ssh-dss", &[&[1; 128]]), "DSA"),
            (line("ssh-ed25519", &[&[1; 31]]), "31"),
            (line("ssh-ed25519", &[&[1; 32], b"more"]), "after the key"),
            (line("ssh-rsa", &[&[1, 0, 1], &modulus(1024)]), "1024 bits is too short"),
            (line("ssh-rsa", &[&[1, 0, 1], &modulus(32768)]), "more than OpenSSH"),
            (line("ssh-rsa", &[&[1, 0, 1], &[0; 512]]), "0 bits"),
            (line("ecdsa-sha2-nistp256", &[b"nistp384", &[4; 65]]), "another curve"),
            (line("ecdsa-sha2-nistp256", &[b"nistp256", &[2; 33]]), "65 bytes"),
            (line("sk-ssh-ed25519@openssh.com", &[&[1; 32]]), "cut off"),
        ] {
            let flaw = parse(&key).unwrap_err();
            assert!(flaw.label.contains(reason), "{key}: {flaw}");
        }
    }
}
