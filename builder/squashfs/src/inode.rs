//! Inodes as bytes: the short form where numbers fit, the long one where they don't.
//!
//! In: metadata and where things lie. Out: one record of the inode table.

use crate::directory::Listing;
use crate::format::{DOT_ENTRIES, NO_FRAGMENT, NO_XATTR, kind};
use crate::layout::Place;

/// What every inode starts with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Common {
    /// Permission bits.
    pub(crate) mode: u16,
    /// Place of the owner in the id table.
    pub(crate) uid: u16,
    /// Place of the group in the id table.
    pub(crate) gid: u16,
    /// Seconds since 1970.
    pub(crate) mtime: u32,
    /// Inode number, from 1.
    pub(crate) number: u32,
}

impl Common {
    fn start(self, kind: u16) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for half in [kind, self.mode, self.uid, self.gid] {
            out.extend(half.to_le_bytes());
        }
        out.extend(self.mtime.to_le_bytes());
        out.extend(self.number.to_le_bytes());
        out
    }
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend(word.to_le_bytes());
    }
}

/// A regular file of `size` bytes.
pub(crate) fn file(common: Common, size: u64, place: &Place<'_>) -> Vec<u8> {
    let (fragment, offset) = place.fragment.unwrap_or((NO_FRAGMENT, 0));
    let mut out = match (u32::try_from(place.blocks_start), u32::try_from(size)) {
        (Ok(start), Ok(size)) => {
            let mut out = common.start(kind::FILE);
            words(&mut out, &[start, fragment, offset, size]);
            out
        }
        _ => {
            let mut out = common.start(kind::LONG_FILE);
            for long in [place.blocks_start, size, 0] {
                out.extend(long.to_le_bytes());
            }
            words(&mut out, &[1, fragment, offset, NO_XATTR]);
            out
        }
    };
    for word in place.words {
        out.extend(word.0.to_le_bytes());
    }
    out
}

/// A symbolic link.
pub(crate) fn symlink(common: Common, target: &str) -> Vec<u8> {
    let mut out = common.start(kind::SYMLINK);
    words(&mut out, &[1, target.len() as u32]);
    out.extend(target.as_bytes());
    out
}

/// A directory whose listing has been written. `links` counts itself, its entry and its
/// sub-directories; `parent` is the inode number of the directory above.
pub(crate) fn directory(common: Common, listing: &Listing, links: u32, parent: u32) -> Vec<u8> {
    let size = listing.length + DOT_ENTRIES;
    if let (Ok(short), true) = (u16::try_from(size), listing.index.is_empty()) {
        let mut out = common.start(kind::DIRECTORY);
        words(&mut out, &[listing.start.block, links]);
        out.extend(short.to_le_bytes());
        out.extend(listing.start.offset.to_le_bytes());
        words(&mut out, &[parent]);
        return out;
    }
    let mut out = common.start(kind::LONG_DIRECTORY);
    words(&mut out, &[links, size, listing.start.block, parent]);
    out.extend((listing.index.len() as u16).to_le_bytes());
    out.extend(listing.start.offset.to_le_bytes());
    words(&mut out, &[NO_XATTR]);
    for mark in &listing.index {
        words(&mut out, &[mark.offset, mark.block, mark.name.len() as u32 - 1]);
        out.extend(mark.name.as_bytes());
    }
    out
}
