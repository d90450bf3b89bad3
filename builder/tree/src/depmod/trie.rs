//! kmod's binary index: a radix tree on disk.
//!
//! In: keys with values and priorities. Out: the bytes of a `modules.*.bin` file. Format: kmod's
//! `libkmod/libkmod-index.h`: big-endian, magic 0xB007F457, version 2.1; a node is its prefix,
//! its children's span and offsets, and its values; flags in an offset's top bits say which.

use std::collections::BTreeMap;

const MAGIC: u32 = 0xB007_F457;
const VERSION: u32 = 0x0002_0001;
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
const LARGEST: usize = 0x0FFF_FFFF;

/// Keys of an index with their values, lowest priority number first.
#[derive(Debug, Default)]
pub(super) struct Index {
    keys: BTreeMap<Vec<u8>, Vec<(u32, String)>>,
}

/// An index that the format can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIndex {
    /// Keys are 7-bit characters without NUL.
    #[error("`{0}` can't be a key: only ASCII can")]
    Key(String),
    /// Offsets have 28 bits.
    #[error("it would grow over 256 MiB")]
    TooLarge,
}

impl Index {
    /// Adds `value` under `key`; several values of a key are kept in order of priority.
    pub(super) fn insert(&mut self, key: &str, value: &str, priority: u32) -> Result<(), BadIndex> {
        if !key.bytes().all(|byte| (1..128).contains(&byte)) || value.contains('\0') {
            return Err(BadIndex::Key(key.escape_debug().to_string()));
        }
        let values = self.keys.entry(key.as_bytes().to_vec()).or_default();
        let place = values.partition_point(|(other, _)| *other < priority);
        values.insert(place, (priority, value.to_owned()));
        Ok(())
    }

    /// The bytes of the file.
    pub(super) fn encode(&self) -> Result<Vec<u8>, BadIndex> {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_be_bytes());
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(0u32.to_be_bytes());
        let keys: Vec<_> =
            self.keys.iter().map(|(key, values)| (key.as_slice(), values.as_slice())).collect();
        // The root has no prefix, even when all keys begin alike: so writes depmod.
        let root = write_node(&mut bytes, &keys, 0, 0)?;
        bytes[8..12].copy_from_slice(&root.to_be_bytes());
        Ok(bytes)
    }
}

type Keys<'a> = [(&'a [u8], &'a [(u32, String)])];

/// Writes the node for `keys`, which agree in their first `end` bytes, of which those from
/// `begin` are the node's prefix; children come first. Returns its offset with flags.
fn write_node(
    bytes: &mut Vec<u8>,
    keys: &Keys<'_>,
    begin: usize,
    end: usize,
) -> Result<u32, BadIndex> {
    let (values, longer) = match keys.split_first() {
        Some(((key, values), rest)) if key.len() == end => (*values, rest),
        _ => (&[][..], keys),
    };
    let mut children: Vec<(u8, u32)> = Vec::new();
    for group in longer.chunk_by(|(one, _), (other, _)| one[end] == other[end]) {
        let prefix_end = shared_length(group);
        children.push((group[0].0[end], write_node(bytes, group, end + 1, prefix_end)?));
    }
    if bytes.len() > LARGEST {
        return Err(BadIndex::TooLarge);
    }
    let mut offset = bytes.len() as u32;
    if let Some((key, _)) = keys.first().filter(|_| end > begin) {
        bytes.extend(&key[begin..end]);
        bytes.push(0);
        offset |= HAS_PREFIX;
    }
    if let (Some((first, _)), Some((last, _))) = (children.first(), children.last()) {
        bytes.extend([*first, *last]);
        let mut place = *first;
        for (character, child) in &children {
            bytes.extend(std::iter::repeat_n(0, 4 * usize::from(character - place)));
            bytes.extend(child.to_be_bytes());
            place = character + 1;
        }
        offset |= HAS_CHILDREN;
    }
    if !values.is_empty() {
        bytes.extend((values.len() as u32).to_be_bytes());
        for (priority, value) in values {
            bytes.extend(priority.to_be_bytes());
            bytes.extend(value.as_bytes());
            bytes.push(0);
        }
        offset |= HAS_VALUES;
    }
    Ok(offset)
}

/// How many bytes the first and the last of sorted keys share, and so all of them.
fn shared_length(keys: &Keys<'_>) -> usize {
    match (keys.first(), keys.last()) {
        (Some((first, _)), Some((last, _))) => {
            first.iter().zip(*last).take_while(|(one, other)| one == other).count()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_index_is_byte_for_byte_the_published_format() {
        let mut index = Index::default();
        index.insert("ab", "two", 2).unwrap();
        index.insert("ab", "one", 1).unwrap();
        index.insert("a", "", 0).unwrap();
        let bytes = index.encode().unwrap();
        let expected: &[u8] = &[
            0xB0, 0x07, 0xF4, 0x57, 0, 2, 0, 1, 0x20, 0, 0, 54, // root: children, at 54
            0, 0, 0, 2, 0, 0, 0, 1, b'o', b'n', b'e', 0, 0, 0, 0, 2, b't', b'w', b'o',
            0, // "ab"
            b'b', b'b', 0x40, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, // "a"
            0, 0, 0,
        ];
        // "ab" is 20 bytes at 12, "a" is 15 bytes at 32, the root 6 bytes at 47.
        assert_eq!(bytes[..8], expected[..8]);
        assert_eq!(bytes[8..12], [0x20, 0, 0, 47]);
        assert_eq!(bytes[12..47], expected[12..47]);
        assert_eq!(bytes[47..], [b'a', b'a', 0x60, 0, 0, 32]);
    }

    #[test]
    fn keys_outside_ascii_are_refused() {
        assert!(Index::default().insert("ä", "", 0).is_err());
        assert!(Index::default().insert("a\0", "", 0).is_err());
    }
}
