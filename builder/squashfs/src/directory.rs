//! A directory's listing: runs of names that share a metadata block of inodes.
//!
//! In: names in order, with where their inodes lie. Out: the listing in the directory table,
//! and marks that let the kernel jump into a long one.

use std::io;

use crate::format::{DIRECTORY_RUN, Reference};
use crate::metadata::MetadataWriter;

/// One name in a directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    /// 1 to 255 bytes.
    pub(crate) name: &'a str,
    /// The short inode type.
    pub(crate) kind: u16,
    pub(crate) inode: Reference,
    pub(crate) number: u32,
}

/// A jump target: the first name of a run that starts in another metadata block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Offset of the run from the listing's start, in bytes.
    pub(crate) offset: u32,
    /// Offset of the metadata block in the directory table.
    pub(crate) block: u32,
    pub(crate) name: String,
}

/// A listing that has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) start: Reference,
    /// Length in bytes, expanded.
    pub(crate) length: u32,
    pub(crate) index: Vec<Mark>,
}

/// Appends the listing of `names`, which are sorted, to the directory table.
pub(crate) fn write(table: &mut MetadataWriter, names: &[Name<'_>]) -> io::Result<Listing> {
    let mut listing = Listing { start: table.position(), length: 0, index: Vec::new() };
    let mut marked = listing.start.block;
    let mut rest = names;
    while let Some(first) = rest.first() {
        let here = table.position();
        if here.block != marked {
            listing.index.push(Mark {
                offset: listing.length,
                block: here.block,
                name: first.name.to_owned(),
            });
            marked = here.block;
        }
        let (run, later) = rest.split_at(run_length(rest, first, here));
        listing.length += append_run(table, run, first)?;
        rest = later;
    }
    Ok(listing)
}

/// How many of `names` fit a run: same inode block, number within 16 bits of the first one's,
/// and all starting in one metadata block, so that the next run can be marked.
fn run_length(names: &[Name<'_>], first: &Name<'_>, here: Reference) -> usize {
    let mut offset = usize::from(here.offset) + 12;
    names
        .iter()
        .take(DIRECTORY_RUN)
        .take_while(|name| {
            let starts_here = offset < crate::format::METADATA_LEN;
            offset += 8 + name.name.len();
            name.inode.block == first.inode.block
                && i16::try_from(i64::from(name.number) - i64::from(first.number)).is_ok()
                && starts_here
        })
        .count()
        .max(1)
}

fn append_run(table: &mut MetadataWriter, run: &[Name<'_>], first: &Name<'_>) -> io::Result<u32> {
    let mut bytes = Vec::with_capacity(12 + run.len() * 24);
    for word in [run.len() as u32 - 1, first.inode.block, first.number] {
        bytes.extend(word.to_le_bytes());
    }
    for name in run {
        // Truncation to 16 bits is the two's complement that the format wants.
        let delta = name.number.wrapping_sub(first.number) as u16;
        for half in [name.inode.offset, delta, name.kind, name.name.len() as u16 - 1] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(name.name.as_bytes());
    }
    table.append(&bytes)?;
    Ok(bytes.len() as u32)
}
