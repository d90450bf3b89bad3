//! The squashfs writer: a tree and its packs become an image.
//!
//! In: a tree, the packs that hold its contents, one time stamp. Out: the image as a stream,
//! front to back; its size is known before the first byte is written. The same tree and packs
//! give the same bytes.

use std::collections::BTreeSet;
use std::io::{self, Write};

use mailkiln_pin::Sha256;
use mailkiln_tree::{Content, Entry, Kind, Tree, TreePath};

use crate::directory::{self, Name};
use crate::format::{NO_TABLE, Reference, Superblock, kind};
use crate::inode::{self, Common};
use crate::layout::{self, Layout, PlacedFragment};
use crate::metadata::{MetadataWriter, lookup_table};
use crate::nodes::{self, Node};
use crate::pack::{Pack, PackError, PackWriter, Params};

/// zstd level for contents that are part of the tree itself: they are compressed on every
/// build, so time counts.
const INLINE_LEVEL: i32 = 9;

/// Images end on a whole 4 KiB: the block size of dm-verity and of large-sector disks.
const ALIGNMENT: u64 = 4096;

/// The kernel reads no longer symlink (`PATH_MAX`).
const LONGEST_TARGET: usize = 4095;

/// A tree can't become an image.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Entries lie below a path that is not in the tree.
    #[error("the tree holds files below {path}, but not the directory itself; add it first")]
    NoParent {
        /// The directory that is not there.
        path: TreePath,
    },
    /// Entries lie below a file or symlink.
    #[error("{path} holds other entries (or is the root) but is not a directory")]
    NotADirectory {
        /// The file or symlink.
        path: TreePath,
    },
    /// No pack holds a file's content.
    #[error("no pack holds the content of {path} (sha256 {sha256}); unpack its package again")]
    NoContent {
        /// The file.
        path: TreePath,
        /// The digest of its content.
        sha256: Sha256,
    },
    /// The tree and a pack do not agree on a content's length.
    #[error("{path} should have {expected} bytes, but the pack holds {packed}")]
    Size {
        /// The file.
        path: TreePath,
        /// Bytes in the pack.
        packed: u64,
        /// Bytes that the tree promises.
        expected: u64,
    },
    /// Packs were made with different block sizes.
    #[error(
        "packs have block sizes {0} and {1}; all packs of an image must be made with the same one"
    )]
    BlockSizes(u32, u32),
    /// A symlink's target is empty or too long for the kernel.
    #[error("{path} links to a target of {length} bytes; 1 to 4095 are possible")]
    Target {
        /// The symlink.
        path: TreePath,
        /// Length of its target in bytes.
        length: usize,
    },
    /// More owners than the id table can number.
    #[error("the tree has more than 65535 different user and group numbers")]
    Owners,
    /// More than squashfs's 32-bit tables can hold.
    #[error("the tree needs more than 4 GiB of tables")]
    Tables,
    /// The pack of inline contents could not be made.
    #[error("contents written by the builder can't be compressed: {0}")]
    Compress(#[from] io::Error),
    /// A pack can't be read.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// An image can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The tree can't become an image.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A pack is damaged or can't be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The output fails: no space, for example.
    #[error("the image can't be written: {0}")]
    Output(#[from] io::Error),
}

/// An image that is laid out but not written yet.
#[derive(Debug)]
pub struct Plan<'a> {
    packs: &'a [Pack],
    inline: Pack,
    copies: Vec<(usize, crate::pack::Extent)>,
    superblock: Superblock,
    tables: Vec<u8>,
    /// Digests of all contents, ascending.
    contents: Vec<Sha256>,
}

impl<'a> Plan<'a> {
    /// Lays out the image of `tree`. Contents are taken from the first of `packs` that holds
    /// them; every time stamp becomes `mtime`, in seconds since 1970.
    ///
    /// # Errors
    /// [`PlanError`] when the tree is not whole, or packs do not hold what it refers to.
    pub fn new(tree: &Tree, packs: &'a [Pack], mtime: u32) -> Result<Self, PlanError> {
        let block_size = common_block_size(packs)?;
        let root = nodes::default_root();
        let nodes = nodes::number(tree, &root)?;
        let inline = pack_inline(tree, block_size)?;
        let all: Vec<&Pack> = packs.iter().chain([&inline]).collect();
        let layout = layout::lay_out(&nodes, &all)?;
        let tables = Tables::write(&nodes, &layout, mtime)?;
        let (superblock, tables) = tables.place(&nodes, &layout, mtime, block_size)?;
        let contents = layout.places.keys().copied().collect();
        let copies = layout.copies;
        Ok(Self { packs, inline, copies, superblock, tables, contents })
    }

    /// Length of the image in bytes; a multiple of 4096.
    pub fn size(&self) -> u64 {
        self.superblock.bytes_used.next_multiple_of(ALIGNMENT)
    }

    /// A digest of everything that the image is made of, known before it is written: names,
    /// metadata, where blocks lie, and the digest of every content. What must be derived from
    /// the content ahead of the content itself (dm-verity's salt) is derived from this.
    pub fn identity(&self) -> Sha256 {
        let mut parts = self.superblock.encode();
        parts.extend(&self.tables);
        for sha256 in &self.contents {
            parts.extend(sha256.as_bytes());
        }
        Sha256::of(&parts)
    }

    /// Writes the image, front to back.
    ///
    /// # Errors
    /// [`WriteError::Pack`] when a pack turns out to be damaged: the output is void then.
    pub fn write(&self, mut out: impl Write) -> Result<(), WriteError> {
        out.write_all(&self.superblock.encode())?;
        let mut buffer = vec![0; 1 << 20];
        for (number, extent) in &self.copies {
            let pack = self.packs.get(*number).unwrap_or(&self.inline);
            pack.copy(extent, &mut buffer, &mut out)?;
        }
        out.write_all(&self.tables)?;
        let padding = self.size() - self.superblock.bytes_used;
        out.write_all(&[0; ALIGNMENT as usize][..padding as usize])?;
        Ok(())
    }
}

/// Lays `tree` out and writes its image to `out`; returns the image's length in bytes.
///
/// # Errors
/// As [`Plan::new`] and [`Plan::write`].
pub fn write(tree: &Tree, packs: &[Pack], mtime: u32, out: impl Write) -> Result<u64, WriteError> {
    let plan = Plan::new(tree, packs, mtime)?;
    plan.write(out)?;
    Ok(plan.size())
}

fn common_block_size(packs: &[Pack]) -> Result<u32, PlanError> {
    let first = packs.first().map_or(Params::default().block_size, Pack::block_size);
    match packs.iter().map(Pack::block_size).find(|&size| size != first) {
        Some(other) => Err(PlanError::BlockSizes(first, other)),
        None => Ok(first),
    }
}

fn pack_inline(tree: &Tree, block_size: u32) -> Result<Pack, PlanError> {
    let mut writer = PackWriter::new(Vec::new(), Params { block_size, level: INLINE_LEVEL })?;
    for (_, entry) in tree.iter() {
        if let Kind::File(Content::Inline(bytes)) = &entry.kind {
            writer.add(bytes)?;
        }
    }
    Ok(Pack::from_bytes(writer.finish()?.into())?)
}

/// The tables of an image, before they have a place in it.
struct Tables {
    inodes: Vec<u8>,
    directories: Vec<u8>,
    ids: Vec<u32>,
    root: Reference,
}

impl Tables {
    /// Writes inodes and listings, deepest directory first: a listing must know where the
    /// inodes it names lie, and a directory's inode where its listing lies.
    fn write(nodes: &[Node<'_>], layout: &Layout<'_>, mtime: u32) -> Result<Self, PlanError> {
        let ids = owners(nodes)?;
        let mut inodes = MetadataWriter::new()?;
        let mut directories = MetadataWriter::new()?;
        let mut references = vec![Reference::default(); nodes.len()];
        let mut listings = vec![None; nodes.len()];
        let mut add_inode = |at: usize, listing: Option<directory::Listing>| {
            let reference = inodes.position();
            let record = record(nodes, at, listing.as_ref(), layout, &ids, mtime)?;
            inodes.append(&record)?;
            Ok::<_, PlanError>(reference)
        };
        for (at, node) in nodes.iter().enumerate().rev() {
            if node.entry.kind != Kind::Directory {
                continue;
            }
            for child in node.children.clone() {
                references[child] = add_inode(child, listings[child].take())?;
            }
            let names: Vec<Name<'_>> =
                node.children.clone().map(|child| name(nodes, child, references[child])).collect();
            listings[at] = Some(directory::write(&mut directories, &names)?);
        }
        let root = add_inode(0, listings[0].take())?;
        Ok(Self { inodes: inodes.finish()?, directories: directories.finish()?, ids, root })
    }

    /// Joins the tables in the order the kernel wants them: inodes, directories, fragments, ids.
    fn place(
        self,
        nodes: &[Node<'_>],
        layout: &Layout<'_>,
        mtime: u32,
        block_size: u32,
    ) -> Result<(Superblock, Vec<u8>), PlanError> {
        if u32::try_from(self.inodes.len().max(self.directories.len())).is_err() {
            return Err(PlanError::Tables);
        }
        let inode_table = layout.end;
        let directory_table = inode_table + self.inodes.len() as u64;
        let mut bytes = self.inodes;
        bytes.extend(self.directories);
        let mut fragment_table = NO_TABLE;
        if !layout.fragments.is_empty() {
            let records = fragment_records(&layout.fragments);
            let (table, at) = lookup_table(&records, inode_table + bytes.len() as u64)?;
            bytes.extend(table);
            fragment_table = at;
        }
        let records: Vec<u8> = self.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let (table, id_table) = lookup_table(&records, inode_table + bytes.len() as u64)?;
        bytes.extend(table);
        let superblock = Superblock {
            inodes: nodes.len() as u32,
            mtime,
            block_size,
            fragments: layout.fragments.len() as u32,
            ids: self.ids.len() as u16,
            root: self.root,
            bytes_used: inode_table + bytes.len() as u64,
            id_table,
            inode_table,
            directory_table,
            fragment_table,
        };
        Ok((superblock, bytes))
    }
}

/// User and group numbers, ascending: the id table.
fn owners(nodes: &[Node<'_>]) -> Result<Vec<u32>, PlanError> {
    let ids: BTreeSet<u32> =
        nodes.iter().flat_map(|node| [node.entry.owner.uid, node.entry.owner.gid]).collect();
    if ids.len() > usize::from(u16::MAX) {
        Err(PlanError::Owners)
    } else {
        Ok(ids.into_iter().collect())
    }
}

fn record(
    nodes: &[Node<'_>],
    at: usize,
    listing: Option<&directory::Listing>,
    layout: &Layout<'_>,
    ids: &[u32],
    mtime: u32,
) -> Result<Vec<u8>, PlanError> {
    let node = &nodes[at];
    let Entry { kind, mode, owner, .. } = node.entry;
    let place_of = |id: u32| ids.partition_point(|&other| other < id) as u16;
    let common = Common {
        mode: mode & 0o7777,
        uid: place_of(owner.uid),
        gid: place_of(owner.gid),
        mtime,
        number: at as u32 + 1,
    };
    match (kind, listing) {
        (Kind::File(content), _) => {
            let sha256 = layout::digest(content);
            let place = layout
                .places
                .get(&sha256)
                .ok_or_else(|| PlanError::NoContent { path: node.path.clone(), sha256 })?;
            Ok(inode::file(common, content.size(), place))
        }
        (Kind::Symlink(target), _) => {
            if !(1..=LONGEST_TARGET).contains(&target.len()) {
                return Err(PlanError::Target { path: node.path.clone(), length: target.len() });
            }
            Ok(inode::symlink(common, target))
        }
        (Kind::Directory, Some(listing)) => {
            let inner = &nodes[node.children.clone()];
            let folders = inner.iter().filter(|child| child.entry.kind == Kind::Directory).count();
            // The root's parent is, by mksquashfs's convention, one past the last inode.
            let parent = if at == 0 { nodes.len() as u32 + 1 } else { node.parent as u32 + 1 };
            Ok(inode::directory(common, listing, 2 + folders as u32, parent))
        }
        (Kind::Directory, None) => Err(PlanError::NotADirectory { path: node.path.clone() }),
    }
}

fn name<'a>(nodes: &[Node<'a>], at: usize, inode: Reference) -> Name<'a> {
    let kind = match nodes[at].entry.kind {
        Kind::Directory => kind::DIRECTORY,
        Kind::File(_) => kind::FILE,
        Kind::Symlink(_) => kind::SYMLINK,
    };
    Name { name: nodes[at].path.name(), kind, inode, number: at as u32 + 1 }
}

fn fragment_records(fragments: &[PlacedFragment]) -> Vec<u8> {
    let mut records = Vec::with_capacity(fragments.len() * 16);
    for fragment in fragments {
        records.extend(fragment.start.to_le_bytes());
        records.extend(fragment.word.0.to_le_bytes());
        records.extend([0; 4]);
    }
    records
}
