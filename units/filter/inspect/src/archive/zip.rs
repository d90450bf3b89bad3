//! Zip (PKWARE's APPNOTE 6.3.10): every member under every reading of the file.
//!
//! Written here because libraries read what the directory at the end lists, and archives made to
//! pass filters hold more: several directories, members that none lists, two members of one name,
//! names that differ between directory and member. Programs that unpack them pick different ones.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use crate::limits::Stop;
use crate::office::xml;
use crate::report::Class;
use crate::walk::{Walk, Within};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";

const ENCRYPTED: u16 = 1;
const SIZES_FOLLOW: u16 = 1 << 3;
const NAME_IS_UTF8: u16 = 1 << 11;

/// What a header says about a member; local headers and directory entries alike.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    flags: u16,
    method: u16,
    packed: u64,
    unpacked: u64,
    /// Where its data begins (local) or where its local header is (directory).
    offset: u64,
}

/// What an archive is by the names in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    Archive,
    Ooxml,
    OpenDocument,
    Java,
    Android,
}

/// Hands every member of the archive to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    let directory = directory(data);
    let flavour = flavour(directory.values().map(|member| member.name.as_str()));
    match flavour {
        Flavour::Java => walk.find(Class::Executable, "its content is a program (Java archive)"),
        Flavour::Android => {
            walk.find(Class::Executable, "its content is a program (Android package)")
        }
        _ => {}
    }
    let mut seen = 0usize;
    let mut covered = 0;
    let mut encrypted = Vec::new();
    for at in memchr::memmem::find_iter(data, LOCAL) {
        if at < covered || walk.is_over() {
            continue;
        }
        let Some(local) = local(data, at) else { continue };
        let listed = directory.get(&(at as u64));
        seen += usize::from(listed.is_some());
        let member = join(&local, listed);
        let name_differs =
            listed.filter(|listed| listed.name != local.name).map(|_| local.name.as_str());
        if (local.flags | member.flags) & ENCRYPTED != 0 {
            encrypted.push(member.name.clone());
            walk.unopened(&member.name, Within::Files);
            covered = end_of(&local, &member, data);
            continue;
        }
        let start = usize::try_from(local.offset).unwrap_or(usize::MAX);
        let packed = data.get(start..).unwrap_or_default();
        let known = listed.is_some() || local.flags & SIZES_FOLLOW == 0;
        let length = usize::try_from(member.packed).unwrap_or(usize::MAX);
        let packed = if known { packed.get(..length).unwrap_or(packed) } else { packed };
        let (content, used, stop) = unpack(walk, member.method, packed);
        covered = start.saturating_add(used);
        if listed.is_none() && !directory.is_empty() && !content.is_empty() {
            walk.find_in(&member.name, Class::Damaged, "the archive's directory doesn't list it");
        }
        let mut names = vec![member.name.as_str()];
        names.extend(name_differs);
        walk.member(&names, &content, stop, Within::Files);
        match flavour {
            Flavour::Ooxml => {
                walk.inside(&member.name, |walk| xml::ooxml(walk, &member.name, &content))
            }
            Flavour::OpenDocument => {
                walk.inside(&member.name, |walk| xml::open_document(walk, &member.name, &content));
            }
            _ => {}
        }
    }
    walk.encrypted(&encrypted);
    if seen < directory.len() && !walk.is_over() {
        walk.find(
            Class::Damaged,
            format!("{} of its members are not where its directory says", directory.len() - seen),
        );
    } else if directory.is_empty() && !data.starts_with(END) {
        walk.find(Class::Damaged, "it has no directory of its members");
    }
}

fn flavour<'a>(names: impl Iterator<Item = &'a str>) -> Flavour {
    let mut flavour = Flavour::Archive;
    for name in names {
        match name {
            "[Content_Types].xml" => return Flavour::Ooxml,
            "AndroidManifest.xml" => return Flavour::Android,
            "META-INF/manifest.xml" => flavour = Flavour::OpenDocument,
            "META-INF/MANIFEST.MF" => flavour = Flavour::Java,
            _ => {}
        }
    }
    flavour
}

/// The directory's word on sizes and method, since programs follow it.
fn join(local: &Member, listed: Option<&Member>) -> Member {
    listed.cloned().unwrap_or_else(|| local.clone())
}

fn end_of(local: &Member, member: &Member, data: &[u8]) -> usize {
    usize::try_from(local.offset.saturating_add(member.packed))
        .unwrap_or(data.len())
        .min(data.len())
}

/// What came out, how much went in, and why it ended early.
fn unpack(walk: &mut Walk<'_>, method: u16, packed: &[u8]) -> (Vec<u8>, usize, Option<Stop>) {
    let size = packed.len() as u64;
    let mut input = Cursor::new(packed);
    let (content, stop) = match method {
        0 => return (packed.to_vec(), packed.len(), None),
        8 => {
            let mut decoder = flate2::read::DeflateDecoder::new(&mut input);
            let (content, stop) = walk.budget.unpack(&mut decoder, size);
            let used = usize::try_from(decoder.total_in()).unwrap_or(packed.len());
            return (content, used, stop);
        }
        9 => walk.budget.unpack(deflate64::Deflate64Decoder::new(&mut input), size),
        12 => walk.budget.unpack(bzip2::read::BzDecoder::new(&mut input), size),
        95 => walk.budget.unpack(lzma_rust2::XzReader::new(&mut input, false), size),
        _ => match reader_of(method, &mut input) {
            Ok(reader) => walk.budget.unpack(reader, size),
            Err(stop) => (Vec::new(), Some(stop)),
        },
    };
    (content, packed.len(), stop)
}

/// The decoders that need a look at the data before they start.
fn reader_of<'a>(method: u16, input: &'a mut Cursor<&'a [u8]>) -> Result<Box<dyn Read + 'a>, Stop> {
    let damaged = |error: String| Stop::Damaged(error);
    match method {
        14 => super::single::zip_lzma(input).map_err(damaged),
        20 | 93 => super::single::zstd(input).map_err(damaged),
        _ => Err(Stop::Damaged(format!("compression method {method} is not known here"))),
    }
}

fn local(data: &[u8], at: usize) -> Option<Member> {
    let header = data.get(at..at.checked_add(30)?)?;
    let (name_length, extra_length) = (u16_at(header, 26)?, u16_at(header, 28)?);
    let name_at = at + 30;
    let extra_at = name_at + usize::from(name_length);
    let flags = u16_at(header, 6)?;
    let mut member = Member {
        name: name(data.get(name_at..extra_at)?, flags),
        flags,
        method: u16_at(header, 8)?,
        packed: u32_at(header, 18)?.into(),
        unpacked: u32_at(header, 22)?.into(),
        offset: (extra_at + usize::from(extra_length)) as u64,
    };
    extra(data.get(extra_at..extra_at + usize::from(extra_length))?, &mut member);
    Some(member)
}

/// Every directory entry in the file, by the position of the local header it speaks of.
fn directory(data: &[u8]) -> BTreeMap<u64, Member> {
    let mut members = BTreeMap::new();
    let shift = shift(data);
    for at in memchr::memmem::find_iter(data, CENTRAL) {
        let Some(member) = central(data, at) else { continue };
        // Behind a self-extractor's program, offsets count from the program or from the archive.
        let place =
            [member.offset.saturating_add(shift), member.offset].into_iter().find(|offset| {
                usize::try_from(*offset).is_ok_and(|offset| {
                    data.get(offset..).is_some_and(|rest| rest.starts_with(LOCAL))
                })
            });
        members.insert(place.unwrap_or(u64::MAX - at as u64), member);
    }
    members
}

fn central(data: &[u8], at: usize) -> Option<Member> {
    let header = data.get(at..at.checked_add(46)?)?;
    let (name_length, extra_length) = (u16_at(header, 28)?, u16_at(header, 30)?);
    let extra_at = at + 46 + usize::from(name_length);
    let flags = u16_at(header, 8)?;
    let mut member = Member {
        name: name(data.get(at + 46..extra_at)?, flags),
        flags,
        method: u16_at(header, 10)?,
        packed: u32_at(header, 20)?.into(),
        unpacked: u32_at(header, 24)?.into(),
        offset: u32_at(header, 42)?.into(),
    };
    extra(data.get(extra_at..extra_at + usize::from(extra_length))?, &mut member);
    Some(member)
}

/// How far the archive stands behind the offsets it uses.
fn shift(data: &[u8]) -> u64 {
    let Some(end) = memchr::memmem::rfind(data, END) else { return 0 };
    let record = data.get(end..).unwrap_or_default();
    match (u32_at(record, 12), u32_at(record, 16)) {
        (Some(size), Some(offset)) => {
            (end as u64).saturating_sub(u64::from(size) + u64::from(offset))
        }
        _ => 0,
    }
}

/// The extra fields that matter: sizes of 64 bits (4.5.3), a name in Unicode (4.6.9), AES.
fn extra(mut fields: &[u8], member: &mut Member) {
    while let (Some(id), Some(length)) = (u16_at(fields, 0), u16_at(fields, 2)) {
        let Some(value) = fields.get(4..4 + usize::from(length)) else { return };
        match id {
            0x0001 => wide(value, member),
            0x7075 => {
                member.name =
                    String::from_utf8_lossy(value.get(5..).unwrap_or_default()).into_owned()
            }
            0x9901 => member.flags |= ENCRYPTED,
            _ => {}
        }
        fields = fields.get(4 + usize::from(length)..).unwrap_or_default();
    }
}

fn wide(value: &[u8], member: &mut Member) {
    let mut at = 0;
    for field in [&mut member.unpacked, &mut member.packed, &mut member.offset] {
        if *field != u64::from(u32::MAX) {
            continue;
        }
        let Some(bytes) = value.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()) else {
            return;
        };
        *field = u64::from_le_bytes(bytes);
        at += 8;
    }
}

/// Code page 437 agrees with ASCII where it matters; other letters are only shown.
fn name(bytes: &[u8], flags: u16) -> String {
    match std::str::from_utf8(bytes) {
        Ok(name) => name.to_owned(),
        Err(_) if flags & NAME_IS_UTF8 != 0 => String::from_utf8_lossy(bytes).into_owned(),
        Err(_) => crate::message::decode_text(bytes, "windows-1252"),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}
