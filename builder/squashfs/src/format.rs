//! The fixed structures of squashfs 4.0: superblock, numbers, references.
//!
//! In: fields. Out: their little-endian bytes, and back. Names and values are those of the
//! kernel's `fs/squashfs/squashfs_fs.h`.

/// Length of the superblock in bytes.
pub(crate) const SUPERBLOCK_LEN: usize = 96;

/// Expanded size of a metadata block (`SQUASHFS_METADATA_SIZE`).
pub(crate) const METADATA_LEN: usize = 8192;

/// Entries that one directory header can announce (`SQUASHFS_DIR_COUNT`).
pub(crate) const DIRECTORY_RUN: usize = 256;

/// The kernel counts three bytes for `.` and `..` in a directory's size.
pub(crate) const DOT_ENTRIES: u32 = 3;

/// "No fragment" in a file inode (`SQUASHFS_INVALID_FRAG`).
pub(crate) const NO_FRAGMENT: u32 = u32::MAX;

/// "No extended attributes" in an inode (`SQUASHFS_INVALID_XATTR`).
pub(crate) const NO_XATTR: u32 = u32::MAX;

/// "No such table" in the superblock (`SQUASHFS_INVALID_BLK`).
pub(crate) const NO_TABLE: u64 = u64::MAX;

/// Inode types, as inodes and directory entries number them.
pub(crate) mod kind {
    pub(crate) const DIRECTORY: u16 = 1;
    pub(crate) const FILE: u16 = 2;
    pub(crate) const SYMLINK: u16 = 3;
    pub(crate) const LONG_DIRECTORY: u16 = 8;
    pub(crate) const LONG_FILE: u16 = 9;
    pub(crate) const LONG_SYMLINK: u16 = 10;
}

const MAGIC: u32 = u32::from_le_bytes(*b"hsqs");
const VERSION: (u16, u16) = (4, 0);
const COMPRESSOR_ZSTD: u16 = 6;
/// Equal files share their blocks (`SQUASHFS_DUPLICATES`).
const FLAG_DUPLICATES: u16 = 0x40;
/// There is no table of extended attributes (`SQUASHFS_NO_XATTR`).
const FLAG_NO_XATTRS: u16 = 0x200;

/// Where an inode lies: start of its metadata block in the inode table, offset within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Reference {
    /// Offset of the stored metadata block from the table's start, in bytes.
    pub(crate) block: u32,
    /// Offset in the expanded block, below 8192.
    pub(crate) offset: u16,
}

impl Reference {
    const fn to_u64(self) -> u64 {
        (self.block as u64) << 16 | self.offset as u64
    }

    const fn from_u64(packed: u64) -> Self {
        Self { block: (packed >> 16) as u32, offset: packed as u16 }
    }
}

/// The first 96 bytes of an image. Tables are byte offsets from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) inodes: u32,
    pub(crate) mtime: u32,
    pub(crate) block_size: u32,
    pub(crate) fragments: u32,
    pub(crate) ids: u16,
    pub(crate) root: Reference,
    pub(crate) bytes_used: u64,
    pub(crate) id_table: u64,
    pub(crate) inode_table: u64,
    pub(crate) directory_table: u64,
    pub(crate) fragment_table: u64,
}

/// Why 96 bytes are not the superblock of an image that this reader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSuperblock {
    /// No squashfs at all.
    #[error("it does not start with squashfs's magic number")]
    Magic,
    /// Not version 4.0.
    #[error("it is squashfs {0}.{1}, and only 4.0 is read")]
    Version(u16, u16),
    /// Compressed with something else.
    #[error("its compressor has number {0}, and only zstd (6) is read")]
    Compressor(u16),
    /// Not a block size, or its logarithm differs.
    #[error("its block size {0} is not valid")]
    BlockSize(u32),
    /// Tables out of order or past the end.
    #[error("its tables are out of order or lie past its end")]
    Tables,
}

impl Superblock {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SUPERBLOCK_LEN);
        for word in [MAGIC, self.inodes, self.mtime, self.block_size, self.fragments] {
            out.extend(word.to_le_bytes());
        }
        let log = self.block_size.trailing_zeros() as u16;
        let flags = FLAG_DUPLICATES | FLAG_NO_XATTRS;
        for half in [COMPRESSOR_ZSTD, log, flags, self.ids, VERSION.0, VERSION.1] {
            out.extend(half.to_le_bytes());
        }
        for long in [
            self.root.to_u64(),
            self.bytes_used,
            self.id_table,
            NO_TABLE,
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            NO_TABLE,
        ] {
            out.extend(long.to_le_bytes());
        }
        out
    }

    pub(crate) fn parse(bytes: &[u8; SUPERBLOCK_LEN]) -> Result<Self, BadSuperblock> {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if word(0) != MAGIC {
            return Err(BadSuperblock::Magic);
        }
        if (half(28), half(30)) != VERSION {
            return Err(BadSuperblock::Version(half(28), half(30)));
        }
        if half(20) != COMPRESSOR_ZSTD {
            return Err(BadSuperblock::Compressor(half(20)));
        }
        let superblock = Self {
            inodes: word(4),
            mtime: word(8),
            block_size: word(12),
            fragments: word(16),
            ids: half(26),
            root: Reference::from_u64(long(32)),
            bytes_used: long(40),
            id_table: long(48),
            inode_table: long(64),
            directory_table: long(72),
            fragment_table: long(80),
        };
        superblock.check(half(22))
    }

    fn check(self, block_log: u16) -> Result<Self, BadSuperblock> {
        if !crate::block::BLOCK_SIZES.contains(&self.block_size)
            || !self.block_size.is_power_of_two()
            || self.block_size.trailing_zeros() != u32::from(block_log)
        {
            return Err(BadSuperblock::BlockSize(self.block_size));
        }
        let in_order = self.inode_table >= SUPERBLOCK_LEN as u64
            && self.inode_table < self.directory_table
            && self.directory_table <= self.id_table
            && self.id_table < self.bytes_used
            && (self.fragments == 0
                || (self.directory_table..self.id_table).contains(&self.fragment_table));
        in_order.then_some(self).ok_or(BadSuperblock::Tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblocks_come_back() {
        let superblock = Superblock {
            inodes: 1,
            mtime: 2,
            block_size: 131_072,
            fragments: 3,
            ids: 4,
            root: Reference { block: 5, offset: 6 },
            bytes_used: 1000,
            id_table: 900,
            inode_table: 700,
            directory_table: 800,
            fragment_table: 850,
        };
        let bytes: [u8; SUPERBLOCK_LEN] = superblock.encode().try_into().unwrap();
        assert_eq!(Superblock::parse(&bytes), Ok(superblock));
        let edited = |at: usize, value: u8| {
            let mut bytes = bytes;
            bytes[at] = value;
            Superblock::parse(&bytes).unwrap_err()
        };
        assert_eq!(edited(0, 0), BadSuperblock::Magic);
        assert_eq!(edited(28, 3), BadSuperblock::Version(3, 0));
        assert_eq!(edited(20, 1), BadSuperblock::Compressor(1));
        assert_eq!(edited(12, 1), BadSuperblock::BlockSize(131_073));
        assert_eq!(edited(22, 1), BadSuperblock::BlockSize(131_072));
        for at in [55, 65, 73, 81] {
            assert_eq!(edited(at, 0xff), BadSuperblock::Tables, "{at}");
        }
    }
}
