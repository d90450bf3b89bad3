//! Disk images as targets expect them: raw, compressed, for QEMU and clouds; and read back.
//!
//! In: an assembled disk and the extents of it that may be other than zero. Out: the same disk
//! as `img`, `img.zst` or `qcow2`, the same bytes whatever the number of threads, with its
//! SHA-256 computed while it is written. The way back takes any of them and gives the disk.

mod hashing;
mod open;
mod publish;
mod qcow2;
mod sparse;
mod zst;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

pub use hashing::Hashing;
pub use open::{BadImage, open};
pub use publish::{PublishError, Published, publish, unnamed};
pub use qcow2::{BadQcow2, Qcow2};
pub use sparse::Sparse;

/// How a disk image is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// The disk itself, byte for byte.
    Img,
    /// The disk in zstd frames; `zstd -d` gives it back.
    ImgZst,
    /// QEMU's format, version 3, not compressed: what is zero takes no room.
    Qcow2,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Img, Self::ImgZst, Self::Qcow2];

    /// The name on the command line, which is the file name's extension too.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Img => "img",
            Self::ImgZst => "img.zst",
            Self::Qcow2 => "qcow2",
        }
    }

    /// Writes `disk` to `out` in this format, front to back.
    ///
    /// # Errors
    /// What reading the disk or writing to `out` reports.
    pub fn write(self, disk: &Sparse<'_>, mut out: impl Write) -> io::Result<()> {
        match self {
            Self::Img => disk.pieces().try_for_each(|piece| out.write_all(&piece?))?,
            Self::ImgZst => zst::write(disk, &mut out)?,
            Self::Qcow2 => qcow2::write(disk, &mut out)?,
        }
        out.flush()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

/// The text is not the name of a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a format; write img, img.zst or qcow2")]
pub struct NotAFormat(String);

impl FromStr for Format {
    type Err = NotAFormat;

    fn from_str(text: &str) -> Result<Self, NotAFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.extension() == text)
            .ok_or_else(|| NotAFormat(text.chars().take(80).collect()))
    }
}

/// Entry points for fuzzing: foreign bytes must neither panic nor allocate without bound.
pub mod fuzz {
    use mailkiln_squashfs::ReadAt as _;

    /// Opens `bytes` as a qcow2 image and reads its first and last megabyte.
    pub fn qcow2(bytes: &[u8]) {
        if let Ok(image) = crate::Qcow2::open(bytes) {
            let length = image.size().min(1 << 20);
            let _ = image.read_vec_at(0, length as usize);
            let _ = image.read_vec_at(image.size() - length, length as usize);
        }
    }
}

#[cfg(test)]
mod tests;
