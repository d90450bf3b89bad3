//! The place for a seed: a file of zeros on the boot partition.
//!
//! In: a disk. Out: the bytes of the disk that the file lies in. Every image has the file, always of
//! the same length, so whoever puts a seed there or erases it writes over these bytes and changes
//! nothing else: no directory, no allocation table, nothing that could be left half written.

use mailkiln_bytes_at::{ReadAt, Window};

use super::Extent;
use crate::fat::{BadFat, Fat};
use crate::gpt::{self, BadGpt, SECTOR};

/// The file's name, in the root of the boot partition. A short name (8.3), so that the agent finds
/// it without reading long ones.
pub(super) const SEED_FILE: &str = "SEED.BIN";

/// Bytes of the file: DKIM keys of a hundred domains.
pub const SEED_ROOM: u64 = 256 << 10;

/// A disk has no place for a seed.
#[derive(Debug, thiserror::Error)]
pub enum NoSeedPlace {
    /// The partition table.
    #[error(transparent)]
    Table(#[from] BadGpt),
    /// The table has no boot partition.
    #[error("it has no EFI system partition: is it an image of `mailkiln build`?")]
    NoBootPartition,
    /// The boot partition.
    #[error("its EFI system partition can't be read: {0}")]
    Boot(#[from] BadFat),
    /// The file is not there, or another one.
    #[error("it has no place for a seed: build the image again with this version of mailkiln")]
    Missing,
}

/// Where a seed goes on `disk`: ranges of bytes in the order of the seed's, [`SEED_ROOM`] together.
///
/// # Errors
/// [`NoSeedPlace`] when it is no image of ours, or one from before seeds.
pub fn seed_place(disk: &dyn ReadAt) -> Result<Vec<Extent>, NoSeedPlace> {
    let table = gpt::read(disk)?;
    let partition = table
        .partitions
        .iter()
        .find(|partition| partition.kind == gpt::kind::ESP)
        .ok_or(NoSeedPlace::NoBootPartition)?;
    let invalid = || BadGpt::Invalid("place of a partition");
    let start = partition.start.bytes().ok_or_else(invalid)?;
    let size = partition.sectors.checked_mul(SECTOR).ok_or_else(invalid)?;
    let fat = Fat::open(Window::new(disk, start, size).ok_or_else(invalid)?)?;
    let items = fat.items()?;
    let file = items.iter().find(|item| item.path == SEED_FILE && !item.directory);
    let file = file.filter(|file| u64::from(file.size) == SEED_ROOM).ok_or(NoSeedPlace::Missing)?;
    let runs = fat.runs(file)?.into_iter();
    Ok(runs.map(|(at, length)| Extent { offset: start + at, length }).collect())
}
