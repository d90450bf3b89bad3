//! dm-verity: the superblock of the hash partition and the device-mapper table it leads to.
//!
//! In: the first 512 bytes of the hash partition and what the command line says. Out: the text of
//! a `verity` table. The superblock is not signed and need not be: whatever it says, only the tree
//! that ends in the root hash of the command line is accepted by the kernel.
//! Sources: Documentation/admin-guide/device-mapper/verity.rst and cryptsetup's wiki page
//! "DMVerity" (layout of the superblock).

use std::fmt::Write as _;

use crate::cmdline::Boot;

/// Bytes of the superblock that must be read.
pub const SUPERBLOCK_LEN: usize = 512;

/// Size of data and hash blocks in bytes; the builder writes no other.
pub const BLOCK_SIZE: u64 = 4096;

/// Sectors of 512 bytes in one block, the unit of device-mapper.
pub const SECTORS_PER_BLOCK: u64 = BLOCK_SIZE / 512;

const SALT_MAX: usize = 256;

/// What a verity superblock says about the tree behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// UUID of the tree, as 16 bytes in text order.
    pub uuid: [u8; 16],
    /// Number of data blocks the tree covers.
    pub data_blocks: u64,
    /// Salt, at most 256 bytes, that every block is hashed with.
    pub salt: Vec<u8>,
}

/// Why a hash partition cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// There is no `verity` signature.
    #[error("it does not start with a verity superblock")]
    NoSignature,
    /// A field has a value that this program, or the builder, does not know.
    #[error("its superblock says {field} {found}, but it has to be {expected}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What was found.
        found: String,
        /// What the builder writes.
        expected: String,
    },
}

impl Superblock {
    /// Reads a superblock and checks that it describes a tree of the kind the builder writes.
    ///
    /// # Errors
    /// [`SuperblockError`] when it is none, or of another version, algorithm or block size.
    pub fn parse(bytes: &[u8]) -> Result<Self, SuperblockError> {
        if bytes.len() < SUPERBLOCK_LEN || !bytes.starts_with(b"verity\0\0") {
            return Err(SuperblockError::NoSignature);
        }
        expect("version", u32_at(bytes, 8), 1)?;
        expect("hash type", u32_at(bytes, 12), 1)?;
        let algorithm = bytes[32..64].split(|byte| *byte == 0).next().unwrap_or_default();
        if algorithm != b"sha256" {
            return Err(SuperblockError::Field {
                field: "hash algorithm",
                found: String::from_utf8_lossy(algorithm).into_owned(),
                expected: "sha256".to_owned(),
            });
        }
        expect("data block size", u64::from(u32_at(bytes, 64)), BLOCK_SIZE)?;
        expect("hash block size", u64::from(u32_at(bytes, 68)), BLOCK_SIZE)?;
        let salt_len = usize::from(u16::from_le_bytes([bytes[80], bytes[81]]));
        if salt_len > SALT_MAX {
            return Err(SuperblockError::Field {
                field: "salt length",
                found: salt_len.to_string(),
                expected: format!("at most {SALT_MAX}"),
            });
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            uuid,
            data_blocks: u64::from(u32_at(bytes, 72)) | u64::from(u32_at(bytes, 76)) << 32,
            salt: bytes[88..88 + salt_len].to_vec(),
        })
    }

    /// The parameters of the device-mapper target for `data` and `hash` (paths of the partitions).
    ///
    /// No `restart_on_corruption` or `panic_on_corruption`: a damaged block is never returned
    /// either way, but as a read error it takes down only what needs it, while mail that can still
    /// flow does. A restart would not heal the medium, and a restart loop can't be logged into.
    ///
    /// # Errors
    /// [`SuperblockError::Field`] when the tree covers another number of blocks than `boot` says.
    pub fn table(&self, boot: &Boot, data: &str, hash: &str) -> Result<String, SuperblockError> {
        expect("number of data blocks", self.data_blocks, boot.data_blocks)?;
        // The tree starts in the block after the superblock.
        let first_hash_block = 1;
        Ok(format!(
            "1 {data} {hash} {BLOCK_SIZE} {BLOCK_SIZE} {blocks} {first_hash_block} sha256 {root} {salt}",
            blocks = boot.data_blocks,
            root = boot.root_hash,
            salt = self.salt_hex(),
        ))
    }

    /// The UUID that cryptsetup would give the device, so that its tools recognise it.
    pub fn dm_uuid(&self, name: &str) -> String {
        format!("CRYPT-VERITY-{}-{name}", hex(&self.uuid))
    }

    /// `-` stands for no salt in the kernel's syntax.
    fn salt_hex(&self) -> String {
        if self.salt.is_empty() { "-".to_owned() } else { hex(&self.salt) }
    }
}

fn expect<T: PartialEq + ToString>(
    field: &'static str,
    found: T,
    expected: T,
) -> Result<(), SuperblockError> {
    if found == expected {
        return Ok(());
    }
    Err(SuperblockError::Field { field, found: found.to_string(), expected: expected.to_string() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Little-endian u32; the caller has checked the length.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

    fn superblock(salt: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; SUPERBLOCK_LEN];
        bytes[..8].copy_from_slice(b"verity\0\0");
        bytes[8] = 1;
        bytes[12] = 1;
        bytes[16..32].fill(0xab);
        bytes[32..38].copy_from_slice(b"sha256");
        bytes[64..68].copy_from_slice(&4096u32.to_le_bytes());
        bytes[68..72].copy_from_slice(&4096u32.to_le_bytes());
        bytes[72..80].copy_from_slice(&77u64.to_le_bytes());
        bytes[80..82].copy_from_slice(&u16::try_from(salt.len()).unwrap().to_le_bytes());
        bytes[88..88 + salt.len()].copy_from_slice(salt);
        bytes
    }

    fn boot(data_blocks: u64) -> Boot {
        Boot::parse(&format!("roothash={HASH} mailkiln.verity_data_blocks={data_blocks}")).unwrap()
    }

    #[test]
    fn table_is_what_the_kernel_wants() {
        let tree = Superblock::parse(&superblock(&[0xde, 0xad])).unwrap();
        assert_eq!(
            tree.table(&boot(77), "/dev/vda3", "/dev/vda4").unwrap(),
            format!("1 /dev/vda3 /dev/vda4 4096 4096 77 1 sha256 {HASH} dead")
        );
        let unsalted = Superblock::parse(&superblock(&[])).unwrap();
        assert!(unsalted.table(&boot(77), "a", "b").unwrap().ends_with(" -"));
        assert_eq!(tree.dm_uuid("root"), format!("CRYPT-VERITY-{}-root", "ab".repeat(16)));
    }

    #[test]
    fn foreign_trees_are_refused() {
        for (at, value, expected) in [
            (0, 0, "does not start"),
            (8, 2, "version 2"),
            (12, 0, "hash type 0"),
            (35, b'5', "hash algorithm sha556"),
            (65, 8, "data block size 2048"),
            (69, 8, "hash block size 2048"),
            (81, 2, "salt length 512"),
        ] {
            let mut bytes = superblock(&[]);
            bytes[at] = value;
            let error = Superblock::parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Superblock::parse(&superblock(&[])[..511]).is_err());
        let tree = Superblock::parse(&superblock(&[])).unwrap();
        let error = tree.table(&boot(78), "a", "b").unwrap_err().to_string();
        assert!(error.contains("data blocks 77, but it has to be 78"), "{error}");
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(start) = bytes.get_mut(..8) {
                start.copy_from_slice(b"verity\0\0");
            }
            let _ = Superblock::parse(&bytes);
        }

        #[test]
        fn any_salt_survives(salt in proptest::collection::vec(any::<u8>(), 0..=256)) {
            let tree = Superblock::parse(&superblock(&salt)).unwrap();
            prop_assert_eq!(tree.salt, salt);
        }
    }
}
