//! Disk images as targets expect them: raw, compressed, for QEMU and clouds; and read back.
//!
//! In: an assembled disk and the extents of it that may be other than zero. Out: the same disk
//! as `img`, `img.zst` or `qcow2`, the same bytes whatever the number of threads, with its
//! SHA-256 computed while it is written, and a map of the blocks that a medium needs. The way back takes any of them and gives the disk.

mod bmap;
mod hashing;
mod open;
mod publish;
mod qcow2;
mod sparse;
mod zst;

use std::io::{self, Write};

pub use bmap::{BadBmap, Bmap, Range};
pub use hashing::Hashing;
pub use mailkiln_spec::target::Format;
pub use open::{BadImage, open, read_full};
pub use publish::{PublishError, Published, publish, unnamed, write_beside};
pub use qcow2::{BadQcow2, Qcow2};
pub use sparse::Sparse;

/// Writes `disk` to `out` in `format`, front to back. qcow2 is version 3, not compressed: what is zero takes no room.
///
/// # Errors
/// What reading the disk or writing to `out` reports.
pub fn write(format: Format, disk: &Sparse<'_>, mut out: impl Write) -> io::Result<()> {
    match format {
        Format::Img => disk.pieces().try_for_each(|piece| out.write_all(&piece?))?,
        Format::ImgZst => zst::write(disk, &mut out)?,
        Format::Qcow2 => qcow2::write(disk, &mut out)?,
    }
    out.flush()
}

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use mailkiln_squashfs::ReadAt as _;

    /// Reads a block map; what it says is written as it was read.
    pub fn bmap(bytes: &[u8]) {
        if let Ok(bmap) = crate::Bmap::parse(&String::from_utf8_lossy(bytes)) {
            assert_eq!(
                crate::Bmap::parse(&bmap.to_xml()),
                Ok(bmap),
                "a map reads as it was written"
            );
        }
    }

    /// Opens a qcow2 image, given as [`mailkiln_image::fuzz::records`], and reads its first and last
    /// megabyte.
    pub fn qcow2(bytes: &[u8]) {
        if let Ok(image) = crate::Qcow2::open(mailkiln_image::fuzz::Sparse::read(bytes)) {
            let length = image.size().min(1 << 20);
            let _ = image.read_vec_at(0, length as usize);
            let _ = image.read_vec_at(image.size() - length, length as usize);
        }
    }
}

#[cfg(test)]
mod tests;
