//! GUIDs: written as text, stored mixed-endian, never random.
//!
//! In: known constants, or content to derive one from. Out: the 16 bytes of a partition table
//! or file system.

use std::fmt;

use mailkiln_pin::Sha256;

/// A GUID in the order of its text form (RFC 9562 §4), big-endian throughout.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// A GUID from the number that its hex digits spell.
    pub const fn from_u128(digits: u128) -> Self {
        Self(digits.to_be_bytes())
    }

    /// A GUID from its bytes in text order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes in text order.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A GUID (version 8, RFC 9562 §5.8) that depends on `label` and `content` alone, so that
    /// the same image has the same GUIDs wherever it is built.
    pub fn derived(label: &str, content: &Sha256) -> Self {
        let mut input = format!("mailkiln {label} ").into_bytes();
        input.extend(content.as_bytes());
        let digest = Sha256::of(&input);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The two halves of a dm-verity root hash: GUIDs of the data and of the hash partition, by
    /// which the one finds the other (UAPI.2, Discoverable Partitions Specification).
    pub fn halves(root_hash: &Sha256) -> (Self, Self) {
        let (mut data, mut hash) = ([0; 16], [0; 16]);
        data.copy_from_slice(&root_hash.as_bytes()[..16]);
        hash.copy_from_slice(&root_hash.as_bytes()[16..]);
        (Self(data), Self(hash))
    }

    /// The bytes as GPT stores them: the first three fields little-endian (UEFI 2.10,
    /// appendix A). The same change turns stored bytes back.
    const fn swapped(bytes: [u8; 16]) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
        let [i, j, k, l, m, n, o, p] = rest;
        [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
    }

    /// The bytes as GPT stores them.
    pub const fn to_gpt(self) -> [u8; 16] {
        Self::swapped(self.0)
    }

    /// A GUID from the bytes that GPT stores.
    pub const fn from_gpt(bytes: [u8; 16]) -> Self {
        Self(Self::swapped(bytes))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_stored_mixed_endian() {
        let esp = Guid::from_u128(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
        assert_eq!(esp.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(esp.to_gpt()[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!(Guid::from_gpt(esp.to_gpt()), esp);
    }

    #[test]
    fn derived_guids_depend_on_label_and_content() {
        let [one, two] = [Sha256::of(b"1"), Sha256::of(b"2")];
        let guid = Guid::derived("disk", &one);
        assert_eq!(guid, Guid::derived("disk", &one));
        assert_ne!(guid, Guid::derived("esp", &one));
        assert_ne!(guid, Guid::derived("disk", &two));
        let text = guid.to_string();
        assert_eq!((&text[14..15], "89ab".contains(&text[19..20])), ("8", true));
    }
}
