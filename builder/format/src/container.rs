//! What stands around the blocks of a disk: headers, tables, checksums.
//!
//! In: the plan of a disk, then its stretches in order, each already compressed. Out: the bytes of a
//! format, front to back.

use std::io::{self, Write};
use std::path::Path;

use mailkiln_image::Guid;
use mailkiln_pin::{Arch, Sha256};

use crate::codec::Block;
use crate::sparse::{Sparse, ZEROS};
use crate::stretch::Stretch;

/// What is known of a disk before its first block is read.
pub(crate) struct Plan<'a> {
    /// The disk.
    pub(crate) disk: &'a Sparse<'a>,
    /// Its length in the format: rounded up to the format's step.
    pub(crate) size: u64,
    /// What the machine is called, where a format says so.
    pub(crate) name: &'a str,
    /// What identifiers are derived from.
    pub(crate) identity: Sha256,
    /// What its root partition is for.
    pub(crate) arch: Option<Arch>,
    /// Where to keep what can only be written later.
    pub(crate) scratch: &'a Path,
}

impl Plan<'_> {
    /// An identifier of the disk: the same for the same disk, another one for each `label`.
    pub(crate) fn guid(&self, label: &str) -> Guid {
        Guid::derived(label, &self.identity)
    }

    /// The numbers of the blocks of `length` bytes that are not holes, ascending.
    pub(crate) fn used(&self, length: u64) -> Vec<u64> {
        let is_used =
            |number: &u64| !self.disk.is_hole(number * length, number.saturating_add(1) * length);
        (0..self.disk.size().div_ceil(length)).filter(is_used).collect()
    }
}

/// A format being written.
pub(crate) trait Container {
    /// Writes a stretch of the disk. `blocks` are what the format's codec made of it; for
    /// [`crate::codec::Codec::Plain`] there are none, and the stretch has the bytes.
    fn take(
        &mut self,
        stretch: &Stretch<'_>,
        blocks: &[Block],
        out: &mut dyn Write,
    ) -> io::Result<()>;

    /// Writes what comes after the last stretch.
    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// Writes `bytes`, and zeros up to `length`.
pub(crate) fn padded(out: &mut dyn Write, bytes: &[u8], length: u64) -> io::Result<()> {
    out.write_all(bytes)?;
    zeros(out, length.saturating_sub(bytes.len() as u64))
}

/// Writes `length` zeros.
pub(crate) fn zeros(out: &mut dyn Write, mut length: u64) -> io::Result<()> {
    while length > 0 {
        let now = length.min(ZEROS.len() as u64);
        out.write_all(&ZEROS[..now as usize])?;
        length -= now;
    }
    Ok(())
}
