//! Programs of a board at fixed places before the first partition.

use std::io::{Seek, Write};

use super::place::Placer;
use super::{Blob, DiskError};
use crate::gpt::{RESERVED, SECTOR};

/// Checks that every blob has its place for itself, between the table and the partition that starts
/// at byte `end`.
pub(super) fn check(blobs: &[Blob<'_>], end: u64) -> Result<(), DiskError> {
    let mut taken = vec![
        (0, RESERVED - 1, "the partition table".to_owned()),
        (end / SECTOR, u64::MAX, "the first partition".to_owned()),
    ];
    for blob in blobs {
        let first = blob.start.0;
        let sectors = (blob.content.len() as u64).div_ceil(SECTOR).max(1);
        let last = first.saturating_add(sectors - 1);
        let clash = taken.iter().find(|(from, to, _)| last >= *from && first <= *to);
        if let Some((_, _, other)) = clash {
            let (name, other) = (blob.name.clone(), other.clone());
            return Err(DiskError::Blob { name, first, last, other });
        }
        taken.push((first, last, blob.name.clone()));
    }
    Ok(())
}

/// Writes them, each up to the end of its last sector: an old card may hold other bytes there.
pub(super) fn write(
    blobs: &[Blob<'_>],
    out: &mut Placer<impl Write + Seek>,
) -> Result<(), DiskError> {
    for blob in blobs {
        let mut bytes = blob.content.to_vec();
        bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
        out.put(blob.start.0 * SECTOR, &bytes)?;
    }
    Ok(())
}
