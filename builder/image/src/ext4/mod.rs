//! ext4, the file system of a root that is written to: declared as a tree, laid out, written in one pass.
//!
//! In: folders, files with their lengths, links; then the contents in the same order. Out: the bytes of the partition that
//! are not zero, and what of the rest must be. The same declarations give the same bytes. The format is written by the crate
//! mkext4, whose version is pinned for that reason; nobody else here knows of it.

mod sink;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read, Seek, Write};

use mkext4::{FsBuilder, InodeCount, InodeHandle, Layout, Meta, Options, ROOT};

use crate::guid::Guid;
use sink::Region;
pub use sink::Written;

/// Bytes of a block.
const BLOCK: u64 = 4096;
/// Seconds after 1970 of everything: what a Nix store gives its files, and no clock's.
const TIME: i64 = 1;
/// Bytes for each inode that `mke2fs` reckons with, whose habit it is worth to keep: volumes grow.
const BYTES_PER_INODE: u64 = 16 << 10;
/// Inodes beyond those declared, for what is written later.
const SPARE_INODES: u64 = 16 << 10;
/// Bytes of an inode.
const INODE: u64 = 256;
/// Room for the journal: the largest that a volume of up to 64 GiB gets (`mkext4`'s table, that of `mke2fs`).
const JOURNAL: u64 = 256 << 20;
/// Names of a folder take 264 bytes at most each, in blocks that may be three quarters full.
const NAMES_PER_BLOCK: u64 = 11;

/// Which file system it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ext4Options {
    /// Bytes of the partition: whole blocks.
    pub size: u64,
    /// Its UUID; the seed of its directory hashes follows from it.
    pub uuid: Guid,
    /// Its label, at most 16 bytes.
    pub label: String,
    /// Entries that will be declared.
    pub entries: u64,
}

/// How much room a tree takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files, folders and links.
    pub entries: u64,
    /// Blocks of contents, folders and long links.
    blocks: u64,
}

impl Needs {
    /// Reckons with a file of so many bytes.
    pub fn file(&mut self, size: u64) {
        self.entries += 1;
        self.blocks = self.blocks.saturating_add(size.div_ceil(BLOCK));
    }

    /// Reckons with a folder of so many names.
    pub fn folder(&mut self, names: u64) {
        self.entries += 1;
        self.blocks += names / NAMES_PER_BLOCK + 2;
    }

    /// Reckons with a link.
    pub fn symlink(&mut self) {
        self.entries += 1;
        self.blocks += 1;
    }

    /// Bytes of a volume that has room for it and `free` bytes more: whole mebibytes.
    pub fn volume(&self, free: u64) -> u64 {
        let data = self.blocks.saturating_mul(BLOCK).saturating_add(free);
        // Trees of extents, bitmaps, descriptors and their copies stay below a fiftieth.
        let data = data.saturating_add(data / 50).saturating_add(JOURNAL);
        let inodes = inodes(self.entries, data) * INODE;
        let sum = data.saturating_add(inodes).saturating_add(inodes / BLOCK);
        sum.checked_next_multiple_of(1 << 20).unwrap_or(u64::MAX)
    }
}

/// How many inodes a volume gets.
fn inodes(entries: u64, size: u64) -> u64 {
    (entries + entries / 4 + SPARE_INODES).max(size / BYTES_PER_INODE)
}

/// A file system can't be declared or written.
#[derive(Debug, thiserror::Error)]
pub enum Ext4Error {
    /// Something that ext4 does not take, or for which there is no room.
    #[error("the root file system can't hold {place}: {why}")]
    Place {
        /// The path, or what it is.
        place: String,
        /// Why.
        why: mkext4::Error,
    },
    /// Contents were not what had been declared, or the output does not take them.
    #[error("can't write {place} to the root file system: {source}")]
    Write {
        /// The path, or what it is.
        place: String,
        /// Why.
        source: io::Error,
    },
}

/// A folder of a draft.
#[derive(Debug, Clone, Copy)]
pub struct Folder(InodeHandle);

/// A file of a draft, whose contents are still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File(InodeHandle);

/// Permissions and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// Permission bits.
    pub mode: u16,
    /// Number of the group; everything belongs to the user 0.
    pub group: u32,
}

impl Owned {
    /// What belongs to root.
    pub const fn root(mode: u16) -> Self {
        Self { mode, group: 0 }
    }

    fn meta(self) -> Meta {
        Meta::new(self.mode, 0, self.group, (TIME, 0))
    }
}

/// A file system that is being declared.
#[derive(Debug)]
pub struct Draft {
    builder: FsBuilder,
    files: Vec<InodeHandle>,
}

impl Draft {
    /// An empty one.
    ///
    /// # Errors
    /// [`Ext4Error::Place`] when there can't be such a volume.
    pub fn new(options: &Ext4Options) -> Result<Self, Ext4Error> {
        let mut made = Options::new(options.size, *options.uuid.as_bytes(), TIME);
        made.label = Some(options.label.clone());
        let count = inodes(options.entries, options.size);
        made.inodes = InodeCount::Exact(u32::try_from(count).unwrap_or(u32::MAX));
        let builder = FsBuilder::new(made).map_err(at("a volume of this size"))?;
        Ok(Self { builder, files: Vec::new() })
    }

    /// The root folder.
    pub fn root(&self) -> Folder {
        Folder(ROOT)
    }

    /// Declares a folder. `place` names it in errors.
    ///
    /// # Errors
    /// [`Ext4Error::Place`] when the name is not possible or there already.
    pub fn folder(
        &mut self,
        parent: Folder,
        name: &str,
        owned: Owned,
        place: impl fmt::Display,
    ) -> Result<Folder, Ext4Error> {
        self.builder.mkdir(parent.0, name, owned.meta()).map(Folder).map_err(at(place))
    }

    /// Declares a file of `size` bytes. One without bytes is whole with that.
    ///
    /// # Errors
    /// As [`Draft::folder`].
    pub fn file(
        &mut self,
        parent: Folder,
        name: &str,
        owned: Owned,
        size: u64,
        place: impl fmt::Display,
    ) -> Result<File, Ext4Error> {
        let file = self.builder.file(parent.0, name, owned.meta(), size).map_err(at(place))?;
        self.files.push(file);
        Ok(File(file))
    }

    /// Declares a symbolic link.
    ///
    /// # Errors
    /// As [`Draft::folder`]; a target of more than 4095 bytes is not possible.
    pub fn symlink(
        &mut self,
        parent: Folder,
        name: &str,
        target: &str,
        place: impl fmt::Display,
    ) -> Result<(), Ext4Error> {
        let owned = Owned::root(0o777).meta();
        self.builder.symlink(parent.0, name, target, owned).map(drop).map_err(at(place))
    }

    /// Lays it out: where everything will be is known afterwards.
    ///
    /// # Errors
    /// [`Ext4Error::Place`] when it is too small.
    pub fn seal(self) -> Result<Ext4, Ext4Error> {
        let layout = self.builder.seal().map_err(at("all that was declared"))?;
        let ends = self.files.iter().filter_map(|file| layout.extents(*file).last().copied());
        let files_end = ends.map(|(offset, length)| offset + length).max();
        // Without any file, nothing tells where the journal ends: then everything counts.
        Ok(Ext4 { layout, files_end: files_end.unwrap_or(u64::MAX) })
    }
}

/// A file system that is laid out.
#[derive(Debug)]
pub struct Ext4 {
    layout: Layout,
    /// Where the last file ends.
    files_end: u64,
}

impl Ext4 {
    /// Bytes of the partition.
    pub fn size(&self) -> u64 {
        self.layout.image_len()
    }

    /// Writes it to `out` at byte `start`, where everything must be zero yet. `fill` brings the contents of every file that
    /// has any.
    ///
    /// # Errors
    /// [`Ext4Error`] of the output, or of `fill`.
    pub fn write<E: From<Ext4Error>>(
        &self,
        out: &mut (impl Write + Seek),
        start: u64,
        fill: impl FnOnce(&mut dyn Fill) -> Result<(), E>,
    ) -> Result<Written, E> {
        let mut region = Region::new(out, start, self.files_end);
        let writer = self.layout.writer(&mut region).map_err(failed("its tables"))?;
        let mut filler = Filler { writer };
        fill(&mut filler)?;
        filler.writer.finish().map_err(failed("all files"))?;
        Ok(region.finish())
    }
}

/// What takes the contents of files.
pub trait Fill {
    /// Takes the contents of a file: as many bytes as were declared. In the order of declaration, the disk is written from
    /// its beginning to its end.
    ///
    /// # Errors
    /// [`Ext4Error::Write`] when `contents` ends before, or the output does not take it.
    fn fill(&mut self, file: File, contents: &mut dyn Read, place: &str) -> Result<(), Ext4Error>;
}

struct Filler<'a, S: mkext4::RegionSink> {
    writer: mkext4::build::ImageWriter<'a, S>,
}

impl<S: mkext4::RegionSink> Fill for Filler<'_, S> {
    fn fill(
        &mut self,
        file: File,
        mut contents: &mut dyn Read,
        place: &str,
    ) -> Result<(), Ext4Error> {
        self.writer.fill(file.0, &mut contents).map_err(failed(place))
    }
}

fn at(place: impl fmt::Display) -> impl FnOnce(mkext4::Error) -> Ext4Error {
    move |why| Ext4Error::Place { place: place.to_string(), why }
}

fn failed(place: impl fmt::Display) -> impl FnOnce(mkext4::Error) -> Ext4Error {
    move |error| match error {
        mkext4::Error::Io(source) => Ext4Error::Write { place: place.to_string(), source },
        why => Ext4Error::Place { place: place.to_string(), why },
    }
}
