//! UDF as on Azure's provisioning CD: one plain partition, read only.
//!
//! In: a volume. Out: files. Formats: ECMA-167 (third edition) and OSTA's *Universal Disk Format* 2.01.

use std::io;

use super::{Files, LARGEST_DIRECTORY, bad, bytes, le, within};
use crate::seed_place::Volume;

/// Bytes of a sector of a CD, and where the anchor is (ECMA-167, 3/8.4.2.1).
const SECTOR: u64 = 2048;
const ANCHOR: u64 = 256;
/// Descriptors of the volume that are looked at.
const MOST_DESCRIPTORS: u64 = 64;
/// Tags of descriptors (ECMA-167, 3/7.2.1 and 4/7.2.1).
const TAG_ANCHOR: u64 = 2;
const TAG_PARTITION: u64 = 5;
const TAG_LOGICAL_VOLUME: u64 = 6;
const TAG_TERMINATOR: u64 = 8;
const TAG_FILE_SET: u64 = 256;
const TAG_FILE_IDENTIFIER: u64 = 257;
const TAG_FILE_ENTRY: u64 = 261;
const TAG_EXTENDED_FILE_ENTRY: u64 = 266;
/// Type of a file that is a directory (4/14.6.6).
const DIRECTORY: u8 = 4;
/// Pieces of a file.
const MOST_PIECES: usize = 128;

/// An open volume.
pub(super) struct Udf<'a> {
    volume: &'a dyn Volume,
    partition: u64,
    root: u64,
    label: String,
}

/// A file or directory.
struct Node {
    is_directory: bool,
    content: Vec<u8>,
}

impl<'a> Udf<'a> {
    /// Opens a volume; `None` where it is no UDF.
    pub(super) fn open(volume: &'a dyn Volume) -> io::Result<Option<Self>> {
        // The volume recognition sequence: ECMA-167, 2/8.
        let mut is_udf = false;
        for number in 16..48 {
            let identifier = bytes(volume, number * SECTOR, 6)?;
            is_udf |= matches!(&identifier[1..], b"NSR02" | b"NSR03");
        }
        if !is_udf {
            return Ok(None);
        }
        let anchor = descriptor(volume, ANCHOR)?;
        if tag(&anchor) != TAG_ANCHOR {
            return Ok(None);
        }
        let (length, at) = (le(&anchor, 16, 4), le(&anchor, 20, 4));
        let (mut partition, mut file_set, mut label) = (None, None, String::new());
        for number in 0..(length / SECTOR).min(MOST_DESCRIPTORS) {
            let descriptor = descriptor(volume, at + number)?;
            match tag(&descriptor) {
                TAG_PARTITION => partition = Some(le(&descriptor, 188, 4)),
                TAG_LOGICAL_VOLUME => {
                    if le(&descriptor, 212, 4) != SECTOR {
                        return Err(bad("its blocks are not of 2048 bytes"));
                    }
                    label = dstring(&descriptor[84..212]);
                    // The long allocation descriptor of the file set: its block in the partition.
                    file_set = Some(le(&descriptor, 252, 4));
                }
                TAG_TERMINATOR => break,
                _ => {}
            }
        }
        let (Some(partition), Some(file_set)) = (partition, file_set) else { return Ok(None) };
        let descriptor = descriptor(volume, partition + file_set)?;
        if tag(&descriptor) != TAG_FILE_SET {
            return Err(bad("it has no file set"));
        }
        Ok(Some(Self { volume, partition, root: le(&descriptor, 404, 4), label }))
    }

    /// Reads a file entry and its content, `most` bytes at most.
    fn node(&self, block: u64, most: impl Fn(u64) -> io::Result<usize>) -> io::Result<Node> {
        let entry = descriptor(self.volume, self.partition + block)?;
        // Both kinds differ in where the lengths are: ECMA-167, 4/14.9 and 4/14.17.
        let lengths = match tag(&entry) {
            TAG_FILE_ENTRY => 168,
            TAG_EXTENDED_FILE_ENTRY => 208,
            _ => return Err(bad("an entry of it has another tag")),
        };
        let is_directory = entry[27] == DIRECTORY;
        let size = most(le(&entry, 56, 8))?;
        let attributes = le(&entry, lengths, 4) as usize;
        let pieces_length = le(&entry, lengths + 4, 4) as usize;
        let start = lengths.saturating_add(8).saturating_add(attributes);
        let pieces = start.checked_add(pieces_length).and_then(|end| entry.get(start..end));
        let pieces = pieces.ok_or_else(|| bad("an entry of it is too long"))?;
        // Bits 0 to 2 of the flags say how the content is allocated (4/14.6.8).
        let step = match le(&entry, 34, 2) & 7 {
            0 => 8,
            1 => 16,
            3 => {
                let content = pieces.get(..size).ok_or_else(|| bad("a file on it is cut off"))?;
                return Ok(Node { is_directory, content: content.to_vec() });
            }
            _ => return Err(bad("it allocates files in an unknown way")),
        };
        let mut content = Vec::new();
        for piece in pieces.chunks_exact(step).take(MOST_PIECES) {
            // The upper two bits of the length are its type; 0 is recorded.
            let (length, kind) = (le(piece, 0, 4) & 0x3fff_ffff, le(piece, 0, 4) >> 30);
            if length == 0 || content.len() >= size || kind != 0 {
                break;
            }
            let length = (length as usize).min(size - content.len());
            let at = (self.partition + le(piece, 4, 4)) * SECTOR;
            content.extend(bytes(self.volume, at, length)?);
        }
        if content.len() < size {
            return Err(bad("a file on it is cut off"));
        }
        Ok(Node { is_directory, content })
    }
}

fn descriptor(volume: &dyn Volume, sector: u64) -> io::Result<Vec<u8>> {
    bytes(volume, sector.saturating_mul(SECTOR), SECTOR as usize)
}

fn tag(descriptor: &[u8]) -> u64 {
    le(descriptor, 0, 2)
}

/// Compressed Unicode: OSTA UDF 2.01, 2.1.1.
fn unicode(bytes: &[u8]) -> String {
    match bytes.split_first() {
        Some((8, text)) => text.iter().map(|byte| char::from(*byte)).collect(),
        Some((16, text)) => {
            let pairs = text.chunks_exact(2);
            let units: Vec<u16> = pairs.map(|it| u16::from_be_bytes([it[0], it[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::new(),
    }
}

/// A field of fixed length whose last byte is the length of the text.
fn dstring(field: &[u8]) -> String {
    let length = usize::from(*field.last().unwrap_or(&0)).min(field.len() - 1);
    unicode(&field[..length]).trim_end().to_owned()
}

/// The block of a name in a directory: ECMA-167, 4/14.4.
fn find(listing: &[u8], name: &str) -> Option<u64> {
    let mut rest = listing;
    while tag(rest) == TAG_FILE_IDENTIFIER && rest.len() >= 38 {
        let (name_length, use_length) = (usize::from(rest[19]), le(rest, 36, 2) as usize);
        let start = 38 + use_length;
        let known = rest.get(start..start + name_length)?;
        // Bit 2 of the characteristics: deleted.
        if rest[18] & 4 == 0 && unicode(known).eq_ignore_ascii_case(name) {
            return Some(le(rest, 24, 4));
        }
        rest = rest.get((start + name_length).next_multiple_of(4)..)?;
    }
    None
}

impl Files for Udf<'_> {
    fn label(&self) -> &str {
        &self.label
    }

    fn file(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let directory = |size: u64| Ok(size.min(LARGEST_DIRECTORY) as usize);
        let mut node = self.node(self.root, directory)?;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let Some(block) = find(&node.content, name) else { return Ok(None) };
            let is_last = names.peek().is_none();
            node = if is_last { self.node(block, within)? } else { self.node(block, directory)? };
            if node.is_directory == is_last {
                return Ok(None);
            }
        }
        Ok(Some(node.content))
    }
}
