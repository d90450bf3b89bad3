//! Files written so that old ways of transport keep them: BinHex 4 (RFC 1741), AppleSingle and
//! AppleDouble (RFC 1740), MacBinary II, yEnc (yenc-draft 1.3).

use crate::kind::Wrapping;
use crate::report::Class;
use crate::walk::{Walk, Within};

/// Hands the wrapped file to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, how: Wrapping, data: &[u8]) {
    let found = match how {
        Wrapping::BinHex => bin_hex(data),
        Wrapping::AppleDouble => apple(data),
        Wrapping::MacBinary => mac_binary(data),
    };
    match found {
        Some((name, content)) => walk.thing(&[&name], &content, Within::Files),
        None => walk.find(Class::Opaque, "a file wrapped for the way that can't be opened here"),
    }
}

/// Every yEnc file in a text.
pub(crate) fn yenc(walk: &mut Walk<'_>, text: &[u8]) {
    let mut open: Option<(String, Vec<u8>)> = None;
    if memchr::memmem::find(text, b"=ybegin ").is_none() {
        return;
    }
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"=ybegin ") {
            let line = String::from_utf8_lossy(line);
            let name = line.split_once("name=").map_or("", |(_, name)| name).trim();
            open = Some((name.to_owned(), Vec::new()));
        } else if line.starts_with(b"=yend") {
            if let Some((name, content)) = open.take() {
                walk.thing(&[&name], &content, Within::Files);
            }
        } else if let Some((_, content)) = open.as_mut().filter(|_| !line.starts_with(b"=ypart")) {
            let mut bytes = line.iter();
            while let Some(byte) = bytes.next() {
                let escaped =
                    if *byte == b'=' { bytes.next().map(|it| it.wrapping_sub(64)) } else { None };
                content.push(escaped.unwrap_or(*byte).wrapping_sub(42));
            }
        }
    }
    if let Some((name, content)) = open {
        walk.thing(&[&name], &content, Within::Files);
    }
}

fn bin_hex(data: &[u8]) -> Option<(String, Vec<u8>)> {
    const LETTERS: &[u8; 64] = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
    let start = memchr::memmem::find(data, b"BinHex").or(Some(0))?;
    let start = start + memchr::memchr(b':', data.get(start..)?)? + 1;
    let (mut bits, mut held) = (0u32, 0u32);
    let mut packed = Vec::new();
    for byte in data.get(start..)? {
        if *byte == b':' {
            break;
        }
        let Some(value) = LETTERS.iter().position(|letter| letter == byte) else { continue };
        bits = bits << 6 | u32::try_from(value).unwrap_or(0);
        held += 6;
        if held >= 8 {
            held -= 8;
            packed.push((bits >> held & 0xff) as u8);
        }
    }
    // 0x90 repeats the byte before it.
    const MOST: usize = 64 << 20;
    let mut plain: Vec<u8> = Vec::new();
    let mut bytes = packed.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, if byte == 0x90 { bytes.next() } else { None }) {
            (0x90, Some(0)) => plain.push(0x90),
            (0x90, Some(count)) => {
                let last = *plain.last()?;
                plain.extend(std::iter::repeat_n(last, usize::from(count).saturating_sub(1)));
            }
            (byte, _) => plain.push(byte),
        }
        if plain.len() > MOST {
            break;
        }
    }
    let length = usize::from(*plain.first()?);
    let name = String::from_utf8_lossy(plain.get(1..=length)?).into_owned();
    // A zero, type, creator, flags; the lengths of both forks and a checksum of two bytes.
    let at = length + 1 + 1 + 4 + 4 + 2;
    let size = usize::try_from(number(&plain, at)?).ok()?;
    let body = plain.get(at + 10..)?;
    Some((name, body.get(..size).unwrap_or(body).to_vec()))
}

fn apple(data: &[u8]) -> Option<(String, Vec<u8>)> {
    const DATA_FORK: u32 = 1;
    const REAL_NAME: u32 = 3;
    let count = u16::from_be_bytes(data.get(24..26)?.try_into().ok()?);
    let (mut name, mut content) = (String::new(), Vec::new());
    for index in 0..usize::from(count) {
        let at = 26 + index * 12;
        let start = usize::try_from(number(data, at + 4)?).ok()?;
        let size = usize::try_from(number(data, at + 8)?).ok()?;
        let rest = data.get(start..).unwrap_or_default();
        let body = rest.get(..size).unwrap_or(rest);
        match number(data, at)? {
            DATA_FORK => content = body.to_vec(),
            REAL_NAME => name = String::from_utf8_lossy(body).into_owned(),
            _ => {}
        }
    }
    Some((name, content))
}

fn mac_binary(data: &[u8]) -> Option<(String, Vec<u8>)> {
    let length = usize::from(*data.get(1)?);
    let name = String::from_utf8_lossy(data.get(2..2 + length)?).into_owned();
    let size = usize::try_from(number(data, 83)?).ok()?;
    Some((name, data.get(128..128usize.checked_add(size)?)?.to_vec()))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}
