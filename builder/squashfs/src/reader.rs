//! The squashfs reader: lists and reads what a foreign image holds.
//!
//! In: bytes that anybody may have made. Out: the entries in path order, and file contents up
//! to a limit of the caller's. Every length is checked against bytes that are really there.

use std::collections::BTreeSet;

use mailkiln_tree::TreePath;

use crate::block::{self, BadBlock, SizeWord};
use crate::format::{
    BadSuperblock, DIRECTORY_RUN, DOT_ENTRIES, NO_FRAGMENT, Reference, SUPERBLOCK_LEN, Superblock,
    kind,
};
use crate::metadata::{BadMetadata, MetadataReader};
use mailkiln_bytes_at::ReadAt;

/// More entries than this are not read: a system root has some ten thousand.
const MOST_ENTRIES: usize = 1 << 20;

/// More data blocks than this are not read: at 128 KiB each they are 2 TiB.
const MOST_BLOCKS: u64 = 1 << 24;

/// More bytes of paths and link targets than this are not kept. A small image can ask for far
/// more: a long path repeats in everything below it, and one symlink can have many names.
const MOST_TEXT: usize = 256 << 20;

/// An open image: its entries are in memory, its contents stay in the source.
pub struct Squashfs<S> {
    source: S,
    superblock: Superblock,
    fragments: Vec<(u64, SizeWord)>,
    items: Vec<Item>,
}

/// One entry of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it stands.
    pub path: TreePath,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u16,
    /// User number of the owner.
    pub uid: u32,
    /// Group number of the owner.
    pub gid: u32,
    /// Time stamp in seconds since 1970.
    pub mtime: u32,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File(FileData),
    /// A symbolic link to this target.
    Symlink(String),
    /// A device, pipe or socket: squashfs's inode type.
    Special(u16),
}

/// Length of a file and where its bytes lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileData {
    /// Length in bytes.
    pub size: u64,
    blocks_start: u64,
    words: Vec<SizeWord>,
    fragment: Option<(u32, u32)>,
}

/// Why an image can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BadSquashfs {
    /// Not a squashfs image that this reader knows.
    #[error("not a readable squashfs image: {0}")]
    Superblock(#[from] BadSuperblock),
    /// A table is damaged.
    #[error("the squashfs image is damaged: {0}")]
    Metadata(#[from] BadMetadata),
    /// A data block is damaged.
    #[error("the squashfs image is damaged at {path}: {error}")]
    Block {
        /// The file being read.
        path: TreePath,
        /// What is wrong.
        error: BadBlock,
    },
    /// The image ends before its contents do, or the medium failed.
    #[error("the squashfs image can't be read: {0}")]
    Io(#[from] std::io::Error),
    /// A directory holds a name that can't be, or names out of order.
    #[error("the squashfs image is damaged: {directory} holds a name that can't be ({name})")]
    Name {
        /// The directory.
        directory: TreePath,
        /// The name, escaped for printing.
        name: String,
    },
    /// A directory is reached twice, so the tree would not end.
    #[error("the squashfs image is damaged: the directory {0} is inside itself or linked twice")]
    Loop(TreePath),
    /// An inode contradicts the tables it refers to.
    #[error("the squashfs image is damaged: the inode of {0} is not valid")]
    Inode(TreePath),
    /// More entries or blocks than this reader takes.
    #[error(
        "the squashfs image holds more than is read here (1048576 entries, 2^24 blocks, 256 MiB of \
         paths)"
    )]
    TooMuch,
    /// The file is longer than the caller's limit.
    #[error("{path} has {size} bytes; at most {limit} are read here")]
    TooLong {
        /// The file.
        path: TreePath,
        /// Its length in bytes.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// The path is not a regular file.
    #[error("{0} is not a regular file")]
    NotAFile(TreePath),
}

impl<S: ReadAt> Squashfs<S> {
    /// Reads the superblock, the tables and the whole tree of names.
    ///
    /// # Errors
    /// [`BadSquashfs`] for anything that is not a whole, sound image.
    pub fn open(source: S) -> Result<Self, BadSquashfs> {
        let mut bytes = [0; SUPERBLOCK_LEN];
        source.read_exact_at(&mut bytes, 0)?;
        let superblock = Superblock::parse(&bytes)?;
        if superblock.bytes_used > source.size() {
            return Err(BadSuperblock::Tables.into());
        }
        let fragments = read_fragments(&source, &superblock)?;
        let ids = read_ids(&source, &superblock)?;
        let mut walk =
            Walk { source: &source, superblock: &superblock, ids: &ids, blocks: 0, text: 0 };
        let mut items = walk.all()?;
        items.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { source, superblock, fragments, items })
    }

    /// Everything in the image, in path order, the root first.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What stands at `path`; symlinks are not followed.
    pub fn item(&self, path: &TreePath) -> Option<&Item> {
        let at = self.items.binary_search_by(|item| item.path.cmp(path)).ok()?;
        self.items.get(at)
    }

    /// Bytes of the image that mean something; the rest of the partition is padding.
    pub fn bytes_used(&self) -> u64 {
        self.superblock.bytes_used
    }

    /// The content of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// [`BadSquashfs`] when `item` is no file, is longer than `limit`, or is damaged.
    pub fn read(&self, item: &Item, limit: u64) -> Result<Vec<u8>, BadSquashfs> {
        let FileKind::File(data) = &item.kind else {
            return Err(BadSquashfs::NotAFile(item.path.clone()));
        };
        if data.size > limit {
            let (path, size) = (item.path.clone(), data.size);
            return Err(BadSquashfs::TooLong { path, size, limit });
        }
        let mut content = Vec::new();
        self.each_piece(item, &mut |piece| {
            content.extend_from_slice(piece);
            true
        })?;
        Ok(content)
    }

    /// Hands the content of a file over in pieces of one block at most, for as long as `take` wants
    /// more.
    ///
    /// # Errors
    /// [`BadSquashfs`] when `item` is no file or is damaged.
    pub fn each_piece(
        &self,
        item: &Item,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), BadSquashfs> {
        let FileKind::File(data) = &item.kind else {
            return Err(BadSquashfs::NotAFile(item.path.clone()));
        };
        let bad = |error| BadSquashfs::Block { path: item.path.clone(), error };
        let block_size = u64::from(self.superblock.block_size);
        let (mut at, mut left) = (data.blocks_start, data.size);
        for &word in &data.words {
            let stored = self.stored(at, word)?;
            at = at.saturating_add(word.stored().into());
            let length = left.min(block_size);
            left -= length;
            if !take(&block::expand_exactly(&stored, word, length as usize).map_err(bad)?) {
                return Ok(());
            }
        }
        if let Some((number, offset)) = data.fragment {
            let invalid = || BadSquashfs::Inode(item.path.clone());
            let &(start, word) = self.fragments.get(number as usize).ok_or_else(invalid)?;
            let plain = block::expand(&self.stored(start, word)?, word, block_size as usize)
                .map_err(bad)?;
            let tail = plain
                .get(offset as usize..)
                .and_then(|rest| rest.get(..left as usize))
                .ok_or_else(invalid)?;
            take(tail);
        }
        Ok(())
    }

    fn stored(&self, start: u64, word: SizeWord) -> Result<Vec<u8>, BadSquashfs> {
        Ok(self.source.read_vec_at(start, word.stored() as usize)?)
    }
}

impl<S> std::fmt::Debug for Squashfs<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Squashfs")
            .field("superblock", &self.superblock)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}

/// Reads the metadata blocks of a lookup table, one cursor for each pointer in its array.
fn lookup<'a>(
    source: &'a dyn ReadAt,
    array_at: u64,
    end: u64,
    number: u64,
) -> Result<MetadataReader<'a>, BadSquashfs> {
    let mut pointer = [0; 8];
    let at = array_at.checked_add(number * 8).ok_or(BadSuperblock::Tables)?;
    source.read_exact_at(&mut pointer, at)?;
    Ok(MetadataReader::new(source, u64::from_le_bytes(pointer), end, Reference::default())?)
}

fn read_fragments(
    source: &dyn ReadAt,
    superblock: &Superblock,
) -> Result<Vec<(u64, SizeWord)>, BadSquashfs> {
    let mut fragments = Vec::new();
    while fragments.len() < superblock.fragments as usize {
        let number = fragments.len() as u64 / 512;
        let mut table = lookup(source, superblock.fragment_table, superblock.bytes_used, number)?;
        for _ in fragments.len()..(superblock.fragments as usize).min(fragments.len() + 512) {
            let (start, word) = (table.u64()?, SizeWord(table.u32()?));
            table.u32()?;
            fragments.push((start, word));
        }
    }
    Ok(fragments)
}

fn read_ids(source: &dyn ReadAt, superblock: &Superblock) -> Result<Vec<u32>, BadSquashfs> {
    let mut ids = Vec::new();
    while ids.len() < usize::from(superblock.ids) {
        let number = ids.len() as u64 / 2048;
        let mut table = lookup(source, superblock.id_table, superblock.bytes_used, number)?;
        for _ in ids.len()..usize::from(superblock.ids).min(ids.len() + 2048) {
            ids.push(table.u32()?);
        }
    }
    Ok(ids)
}

/// A walk over the tree: from the root down, without recursion.
struct Walk<'a> {
    source: &'a dyn ReadAt,
    superblock: &'a Superblock,
    ids: &'a [u32],
    /// Data blocks seen so far.
    blocks: u64,
    /// Bytes of paths and link targets so far.
    text: usize,
}

/// A directory's listing: where it starts and its length in bytes.
type Listing = (Reference, u32);

impl Walk<'_> {
    fn all(&mut self) -> Result<Vec<Item>, BadSquashfs> {
        let (root, listing) = self.inode(self.superblock.root, TreePath::ROOT)?;
        let listing = listing.ok_or(BadSquashfs::Inode(TreePath::ROOT))?;
        let mut items = vec![root];
        let mut seen = BTreeSet::from([self.superblock.root]);
        let mut open = vec![(TreePath::ROOT, listing)];
        while let Some((directory, listing)) = open.pop() {
            for (path, reference) in self.names(&directory, listing)? {
                if items.len() >= MOST_ENTRIES {
                    return Err(BadSquashfs::TooMuch);
                }
                let (item, listing) = self.inode(reference, path)?;
                if let Some(listing) = listing {
                    if !seen.insert(reference) {
                        return Err(BadSquashfs::Loop(item.path));
                    }
                    open.push((item.path.clone(), listing));
                }
                items.push(item);
            }
        }
        Ok(items)
    }

    /// Counts text that is about to be kept.
    fn keep(&mut self, length: usize) -> Result<(), BadSquashfs> {
        self.text += length;
        if self.text > MOST_TEXT { Err(BadSquashfs::TooMuch) } else { Ok(()) }
    }

    fn names(
        &mut self,
        directory: &TreePath,
        (start, length): Listing,
    ) -> Result<Vec<(TreePath, Reference)>, BadSquashfs> {
        let mut names = Vec::new();
        if length == 0 {
            return Ok(names);
        }
        let end = self.superblock.bytes_used;
        let mut table =
            MetadataReader::new(self.source, self.superblock.directory_table, end, start)?;
        let mut last = String::new();
        let mut read = 0_u32;
        while read < length {
            let (count, block, _number) = (table.u32()?, table.u32()?, table.u32()?);
            read = read.saturating_add(12);
            if count as usize >= DIRECTORY_RUN {
                return Err(table.damaged().into());
            }
            for _ in 0..=count {
                let (offset, _delta, _kind) = (table.u16()?, table.u16()?, table.u16()?);
                let name_length = u32::from(table.u16()?) + 1;
                if name_length > 256 {
                    return Err(table.damaged().into());
                }
                let name = table.bytes(name_length as usize)?;
                read = read.saturating_add(8 + name_length);
                let path = join(directory, &name, &last)?;
                path.name().clone_into(&mut last);
                self.keep(path.as_str().len())?;
                names.push((path, Reference { block, offset }));
                if names.len() > MOST_ENTRIES {
                    return Err(BadSquashfs::TooMuch);
                }
            }
        }
        Ok(names)
    }

    /// Reads an inode; the listing is there for directories only.
    fn inode(
        &mut self,
        at: Reference,
        path: TreePath,
    ) -> Result<(Item, Option<Listing>), BadSquashfs> {
        let (start, end) = (self.superblock.inode_table, self.superblock.directory_table);
        let mut table = MetadataReader::new(self.source, start, end, at)?;
        let (number, mode) = (table.u16()?, table.u16()? & 0o7777);
        let (uid, gid) = (table.u16()?, table.u16()?);
        let (mtime, _inode_number) = (table.u32()?, table.u32()?);
        let invalid = || BadSquashfs::Inode(path.clone());
        let id = |place: u16| self.ids.get(usize::from(place)).copied().ok_or_else(invalid);
        let (uid, gid) = (id(uid)?, id(gid)?);
        let mut listing = None;
        let kind = match number {
            kind::DIRECTORY | kind::LONG_DIRECTORY => {
                listing = Some(directory_inode(&mut table, number)?.ok_or_else(invalid)?);
                FileKind::Directory
            }
            kind::FILE | kind::LONG_FILE => {
                FileKind::File(self.file_inode(&mut table, number)?.ok_or_else(invalid)?)
            }
            kind::SYMLINK | kind::LONG_SYMLINK => {
                let (_links, length) = (table.u32()?, table.u32()?);
                if length > 65_535 {
                    return Err(invalid());
                }
                self.keep(length as usize)?;
                let target = table.bytes(length as usize)?;
                FileKind::Symlink(String::from_utf8(target).map_err(|_| invalid())?)
            }
            4..=7 | 11..=14 => FileKind::Special(number),
            _ => return Err(invalid()),
        };
        Ok((Item { path, kind, mode, uid, gid, mtime }, listing))
    }

    fn file_inode(
        &mut self,
        table: &mut MetadataReader<'_>,
        number: u16,
    ) -> Result<Option<FileData>, BadSquashfs> {
        let (blocks_start, size, fragment, offset);
        if number == kind::LONG_FILE {
            (blocks_start, size) = (table.u64()?, table.u64()?);
            let (_sparse, _links) = (table.u64()?, table.u32()?);
            (fragment, offset) = (table.u32()?, table.u32()?);
            table.u32()?;
        } else {
            blocks_start = table.u32()?.into();
            (fragment, offset) = (table.u32()?, table.u32()?);
            size = table.u32()?.into();
        }
        let block_size = u64::from(self.superblock.block_size);
        let fragment = (fragment != NO_FRAGMENT).then_some((fragment, offset));
        let count = if fragment.is_some() { size / block_size } else { size.div_ceil(block_size) };
        self.blocks = self.blocks.saturating_add(count);
        if self.blocks > MOST_BLOCKS {
            return Err(BadSquashfs::TooMuch);
        }
        let mut words = Vec::new();
        for _ in 0..count {
            let word = SizeWord(table.u32()?);
            if u64::from(word.stored()) > block_size {
                return Ok(None);
            }
            words.push(word);
        }
        Ok(Some(FileData { size, blocks_start, words, fragment }))
    }
}

fn directory_inode(
    table: &mut MetadataReader<'_>,
    number: u16,
) -> Result<Option<Listing>, BadSquashfs> {
    let (block, size, offset);
    if number == kind::LONG_DIRECTORY {
        let _links = table.u32()?;
        size = table.u32()?;
        block = table.u32()?;
        let (_parent, _marks) = (table.u32()?, table.u16()?);
        offset = table.u16()?;
    } else {
        block = table.u32()?;
        let _links = table.u32()?;
        size = table.u16()?.into();
        offset = table.u16()?;
    }
    Ok(size.checked_sub(DOT_ENTRIES).map(|length| (Reference { block, offset }, length)))
}

/// The path of `name` in `directory`; names must rise, so none can be there twice.
fn join(directory: &TreePath, name: &[u8], last: &str) -> Result<TreePath, BadSquashfs> {
    let bad = || BadSquashfs::Name {
        directory: directory.clone(),
        name: String::from_utf8_lossy(name).escape_debug().to_string(),
    };
    let name = str::from_utf8(name).map_err(|_| bad())?;
    if name <= last || name.contains('/') || matches!(name, "." | "..") {
        return Err(bad());
    }
    TreePath::parse(&format!("{}/{name}", directory.as_str())).map_err(|_| bad())
}
