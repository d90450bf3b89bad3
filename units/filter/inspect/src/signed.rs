//! Cryptographic messages: CMS (RFC 5652, S/MIME) and PGP (RFC 9580). What is only signed is
//! opened; what is encrypted is said to be.

use crate::report::Class;
use crate::walk::{Walk, Within};

/// The last arc of a content type under 1.2.840.113549.1.7.
const DATA: u8 = 1;
const SIGNED: u8 = 2;
const ENVELOPED: u8 = 3;
const SIGNED_ENVELOPED: u8 = 4;
const DIGESTED: u8 = 5;
const ENCRYPTED: u8 = 6;
const ARC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
/// id-ct-authEnvelopedData and id-ct-compressedData, under 1.2.840.113549.1.9.16.1.
const OTHER_ARC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01];
const COMPRESSED: u8 = 9;
const AUTHENTICATED: u8 = 23;

/// Opens a cryptographic message.
pub(crate) fn cms(walk: &mut Walk<'_>, data: &[u8]) {
    let decoded;
    let mut der = data;
    if der.first() != Some(&0x30) {
        decoded = unarmoured(data);
        der = &decoded;
    }
    let Some((kind, content)) = content_info(der) else {
        return walk.find(Class::Opaque, "a cryptographic message that can't be opened here");
    };
    match kind {
        ENVELOPED | SIGNED_ENVELOPED | ENCRYPTED | AUTHENTICATED => {
            walk.find(Class::EncryptedArchive, "the message is encrypted (S/MIME)");
        }
        DATA => inner(walk, &octets(content, 0)),
        COMPRESSED | SIGNED | DIGESTED => {
            let Some(bytes) = encapsulated(content) else {
                return walk.find(Class::Opaque, "a signed message that can't be opened here");
            };
            if kind == COMPRESSED {
                let size = bytes.len() as u64;
                let (bytes, stop) =
                    walk.budget.unpack(flate2::read::ZlibDecoder::new(bytes.as_slice()), size);
                walk.stopped(stop);
                return inner(walk, &bytes);
            }
            // A signature that stands beside what it signs has no content of its own.
            if !bytes.is_empty() {
                inner(walk, &bytes);
            }
        }
        _ => walk.find(Class::Opaque, "a cryptographic message of an unknown kind"),
    }
}

/// S/MIME holds a part with its header; CMS holds anything.
fn inner(walk: &mut Walk<'_>, content: &[u8]) {
    walk.within_message(content);
    walk.thing(&["signed content"], content, Within::Files);
}

/// Text around base64 (RFC 7468), or base64 alone.
fn unarmoured(data: &[u8]) -> Vec<u8> {
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"-----"));
    crate::message::base64(&lines.collect::<Vec<_>>().concat())
}

/// One element of BER: tag, content, what follows. Lengths may be left open (X.690, 8.1.3.6).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0x80 => {
            let length = open_length(rest, 0)?;
            let (content, after) = rest.split_at_checked(length)?;
            return Some((*tag, content, after.get(2..).unwrap_or_default()));
        }
        0..=0x7f => (usize::from(*first), rest),
        _ => {
            let count = usize::from(first & 0x7f);
            let bytes = rest.get(..count).filter(|_| count <= 4)?;
            let length = bytes.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest.get(count..)?)
        }
    };
    // What is cut off counts with what is there.
    let content = rest.get(..length).unwrap_or(rest);
    Some((*tag, content, rest.get(length..).unwrap_or_default()))
}

/// Bytes up to the two zeros that end an open length.
fn open_length(bytes: &[u8], depth: u32) -> Option<usize> {
    if depth == 16 {
        return None;
    }
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        if rest.starts_with(&[0, 0]) || rest.is_empty() {
            return Some(at);
        }
        if rest.get(1) == Some(&0x80) {
            at += 2 + open_length(rest.get(2..)?, depth + 1)? + 2;
        } else {
            let (_, _, after) = element(rest)?;
            at += rest.len() - after.len();
        }
    }
}

/// Content type and content of a ContentInfo.
fn content_info(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, sequence, _) = element(bytes)?;
    let (oid_tag, oid, rest) = element(sequence)?;
    if tag != 0x30 || oid_tag != 6 {
        return None;
    }
    let (last, arc) = oid.split_last()?;
    let is_known = arc == ARC || arc == OTHER_ARC;
    let (_, content, _) = element(rest).unwrap_or((0, &[], &[]));
    is_known.then_some((*last, content))
}

/// The content in SignedData, DigestedData or CompressedData: the first sequence that begins
/// with an identifier and holds octets.
fn encapsulated(content: &[u8]) -> Option<Vec<u8>> {
    let (_, mut rest, _) = element(content)?;
    let mut is_detached = false;
    while let Some((tag, inside, after)) = element(rest) {
        rest = after;
        if tag == 0x30
            && let Some((6, _, explicit)) = element(inside)
            && let Some((0xa0, octet, _)) = element(explicit)
        {
            return Some(octets(octet, 0));
        }
        is_detached |= tag == 0x30 && matches!(element(inside), Some((6, _, [])));
        if after.is_empty() {
            break;
        }
    }
    is_detached.then(Vec::new)
}

/// An octet string, also one in pieces.
fn octets(bytes: &[u8], depth: u32) -> Vec<u8> {
    let mut output = Vec::new();
    let mut rest = bytes;
    while let Some((tag, content, after)) = element(rest).filter(|_| depth < 8) {
        rest = after;
        match tag {
            0x04 => output.extend_from_slice(content),
            0x24 => output.extend(octets(content, depth + 1)),
            _ => {}
        }
        if after.is_empty() {
            break;
        }
    }
    output
}

/// PGP: encrypted as a rule; what is only packed or signed can't be opened here either.
pub(crate) fn pgp(walk: &mut Walk<'_>) {
    walk.find(Class::EncryptedArchive, "it is encrypted or packed by PGP");
}
