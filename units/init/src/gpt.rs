//! GUID partition tables, as far as finding a partition by its unique GUID or its type goes.
//!
//! In: the bytes of a header block and of the entry array. Out: partition numbers and GUIDs.
//! Debian's kernel 6.12 does not put PARTUUID into a partition's uevent, so we read the table.
//! Source: UEFI Specification 2.10, section 5.3.

use std::fmt;

/// A GUID in the byte order it has on disk (its first three fields are little-endian).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guid([u8; 16]);

impl Guid {
    /// A GUID from the 16 bytes of its text form, left to right.
    pub fn from_text_order(mut bytes: [u8; 16]) -> Self {
        Self::swap_fields(&mut bytes);
        Self(bytes)
    }

    fn swap_fields(bytes: &mut [u8; 16]) {
        bytes[0..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0;
        Self::swap_fields(&mut bytes);
        for (index, byte) in bytes.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// A used entry of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// From 1.
    pub number: u32,
    /// Type GUID: what the partition is for.
    pub kind: Guid,
    /// Unique GUID, the PARTUUID.
    pub unique: Guid,
}

/// Why a block is not a usable GPT header, or its entry array not the one it describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GptError {
    /// There is no `EFI PART` signature.
    #[error("no GPT signature")]
    NoSignature,
    /// A field is outside of what the specification, or we, allow.
    #[error("GPT header field out of range: {0}")]
    Field(&'static str),
    /// A checksum does not fit its bytes.
    #[error("wrong checksum of the GPT {0}")]
    Checksum(&'static str),
}

/// The fields of a GPT header that lead to the partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// LBA, in logical blocks of the disk, where the entry array starts.
    pub entries_lba: u64,
    entry_count: u32,
    entry_size: u32,
    entries_crc: u32,
}

const HEADER_MIN: usize = 92;
/// Entry arrays larger than this are refused; the usual one has 128 × 128 bytes.
const ENTRIES_MAX: u64 = 1 << 20;
const TYPE_GUID: usize = 0;
const UNIQUE_GUID: usize = 16;

impl Header {
    /// Reads the logical block that holds the GPT header (LBA 1).
    ///
    /// # Errors
    /// [`GptError`] when it is no header, is damaged, or asks for an absurd entry array.
    pub fn parse(block: &[u8]) -> Result<Self, GptError> {
        if !block.starts_with(b"EFI PART") || block.len() < HEADER_MIN {
            return Err(GptError::NoSignature);
        }
        let size = u32_at(block, 12) as usize;
        let signed = block.get(..size).filter(|_| size >= HEADER_MIN);
        let mut signed = signed.ok_or(GptError::Field("header size"))?.to_vec();
        signed[16..20].fill(0);
        if crc32fast::hash(&signed) != u32_at(block, 16) {
            return Err(GptError::Checksum("header"));
        }
        let header = Self {
            entries_lba: u64_at(block, 72),
            entry_count: u32_at(block, 80),
            entry_size: u32_at(block, 84),
            entries_crc: u32_at(block, 88),
        };
        if header.entry_size < 128 || !header.entry_size.is_power_of_two() {
            return Err(GptError::Field("entry size"));
        }
        if u64::from(header.entry_count) * u64::from(header.entry_size) > ENTRIES_MAX {
            return Err(GptError::Field("number of entries"));
        }
        Ok(header)
    }

    /// Length of the entry array in bytes, at most 1 MiB.
    pub fn entries_len(&self) -> usize {
        self.entry_count as usize * self.entry_size as usize
    }

    /// The used entries.
    ///
    /// # Errors
    /// [`GptError::Checksum`] when `entries` are not the bytes the header was made for.
    pub fn partitions(&self, entries: &[u8]) -> Result<Vec<Partition>, GptError> {
        if entries.len() != self.entries_len() || crc32fast::hash(entries) != self.entries_crc {
            return Err(GptError::Checksum("entry array"));
        }
        let used = |entry: &&[u8]| entry[..16].iter().any(|byte| *byte != 0);
        let numbered = entries.chunks_exact(self.entry_size as usize).zip(1..);
        Ok(numbered
            .filter(|(entry, _)| used(entry))
            .map(|(entry, number)| Partition {
                number,
                kind: guid_at(entry, TYPE_GUID),
                unique: guid_at(entry, UNIQUE_GUID),
            })
            .collect())
    }
}

fn guid_at(bytes: &[u8], at: usize) -> Guid {
    let mut guid = [0; 16];
    guid.copy_from_slice(&bytes[at..at + 16]);
    Guid(guid)
}

/// Little-endian u32; the caller has checked the length.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(guids: &[(u32, [u8; 16])], entry_size: u32) -> (Vec<u8>, Vec<u8>) {
        let mut entries = vec![0; 128 * entry_size as usize];
        for (number, guid) in guids {
            let at = (*number as usize - 1) * entry_size as usize;
            entries[at] = 1;
            entries[at + 16..at + 32].copy_from_slice(guid);
        }
        let mut block = vec![0; 512];
        block[..8].copy_from_slice(b"EFI PART");
        block[12..16].copy_from_slice(&92u32.to_le_bytes());
        block[72..80].copy_from_slice(&2u64.to_le_bytes());
        block[80..84].copy_from_slice(&128u32.to_le_bytes());
        block[84..88].copy_from_slice(&entry_size.to_le_bytes());
        block[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        let crc = crc32fast::hash(&block[..92]);
        block[16..20].copy_from_slice(&crc.to_le_bytes());
        (block, entries)
    }

    #[test]
    fn guid_text_order_is_not_disk_order() {
        let text = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
        let guid = Guid::from_text_order(text);
        assert_eq!(guid.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(&guid.0[..8], b"\x33\x22\x11\x00\x55\x44\x77\x66");
    }

    #[test]
    fn finds_partitions_by_number() {
        for size in [128, 256] {
            let (block, entries) = table(&[(1, [7; 16]), (5, [9; 16])], size);
            let header = Header::parse(&block).unwrap();
            assert_eq!(header.entries_lba, 2);
            let found = header.partitions(&entries).unwrap();
            let mut kind = [0; 16];
            kind[0] = 1;
            let expected =
                |number, unique| Partition { number, kind: Guid(kind), unique: Guid([unique; 16]) };
            assert_eq!(found, [expected(1, 7), expected(5, 9)]);
        }
    }

    #[test]
    fn damage_is_noticed() {
        let (block, mut entries) = table(&[(1, [7; 16])], 128);
        let header = Header::parse(&block).unwrap();
        entries[300] ^= 1;
        assert_eq!(header.partitions(&entries), Err(GptError::Checksum("entry array")));
        assert_eq!(header.partitions(&entries[1..]), Err(GptError::Checksum("entry array")));
        let mut bad = block.clone();
        bad[80] ^= 1;
        assert_eq!(Header::parse(&bad), Err(GptError::Checksum("header")));
        assert_eq!(Header::parse(&block[..91]), Err(GptError::NoSignature));
        assert_eq!(Header::parse(&[0; 512]), Err(GptError::NoSignature));
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for (at, value, field) in [
            (84, 64u32, "entry size"),
            (84, 384, "entry size"),
            (80, u32::MAX, "number of entries"),
            (12, 513, "header size"),
            (12, 20, "header size"),
        ] {
            let (mut block, _) = table(&[], 128);
            block[at..at + 4].copy_from_slice(&value.to_le_bytes());
            block[16..20].fill(0);
            let crc = crc32fast::hash(&block[..92]);
            block[16..20].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(Header::parse(&block), Err(GptError::Field(field)));
        }
    }

    proptest! {
        #[test]
        fn never_panics(mut block in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(start) = block.get_mut(..8) {
                start.copy_from_slice(b"EFI PART");
            }
            let _ = Header::parse(&block);
        }
    }
}
