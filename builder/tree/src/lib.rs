//! The root file system as a value: path → directory, file or symlink.
//!
//! In: entries from packages, compiled units and rendered services. Out: one sorted [`Tree`]
//! that the squashfs writer turns into bytes. Contents are held by reference (a digest), so a
//! tree of 10,000 files is a few megabytes. Pure: no file system, no network, no clock.

mod entry;
mod path;

pub use entry::{Conflict, Content, Entry, Kind, Owner, Tree};
pub use path::{BadPath, TreePath};
