//! Opens an image file of any format as the disk it holds.
//!
//! In: a path. Out: random access to the disk. What the file is, its first bytes say, not its
//! name. A compressed image is expanded into a temporary file without a name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use mailkiln_squashfs::{FileSource, ReadAt};

use crate::qcow2::{self, BadQcow2, Qcow2};

/// First bytes of a zstd frame (RFC 8878 §3.1.1).
const ZSTD_MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// A compressed image may expand to this much that is not zero, and no more.
const MOST_BYTES: u64 = 16 << 30;

/// A compressed image may hold a disk of this size, and no larger one.
const LARGEST_DISK: u64 = 2 << 40;

/// Window that zstd may ask for: what `zstd -d` allows, 2^27 bytes.
const WINDOW_LOG: u32 = 27;

/// An image file can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum BadImage {
    /// The file can't be read.
    #[error("can't read {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is qcow2, but not readable.
    #[error("can't read {path}: {error}")]
    Qcow2 {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: BadQcow2,
    },
    /// It is compressed, and damaged or too large.
    #[error("can't expand {path}: {error}; get the image again")]
    Zstd {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
}

/// Opens the disk in the image file at `path`: `img`, `img.zst` or `qcow2`.
///
/// # Errors
/// [`BadImage`] when the file can't be read or is damaged.
pub fn open(path: &Path) -> Result<Box<dyn ReadAt + Send + Sync>, BadImage> {
    let failed = |error| BadImage::Io { path: path.to_owned(), error };
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = Vec::new();
    Read::take(&file, 4).read_to_end(&mut magic).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if magic == ZSTD_MAGIC {
        let error = |error| BadImage::Zstd { path: path.to_owned(), error };
        return Ok(Box::new(expand(file).map_err(error)?));
    }
    let source = FileSource::new(file).map_err(failed)?;
    if magic == qcow2::MAGIC {
        let error = |error| BadImage::Qcow2 { path: path.to_owned(), error };
        return Ok(Box::new(Qcow2::open(source).map_err(error)?));
    }
    Ok(Box::new(source))
}

fn expand(file: File) -> io::Result<FileSource> {
    let mut decoder = zstd::Decoder::new(file)?;
    decoder.window_log_max(WINDOW_LOG)?;
    let mut out = tempfile::tempfile()?;
    let mut buffer = vec![0; 1 << 16];
    let (mut size, mut written) = (0, 0);
    loop {
        let length = read_full(&mut decoder, &mut buffer)?;
        if length == 0 {
            break;
        }
        let piece = &buffer[..length];
        if piece.iter().any(|&byte| byte != 0) {
            out.seek(SeekFrom::Start(size))?;
            out.write_all(piece)?;
            written += length as u64;
        }
        size += length as u64;
        if written > MOST_BYTES || size > LARGEST_DISK {
            return Err(io::Error::other("it expands to more than a Mailkiln image holds"));
        }
    }
    out.set_len(size)?;
    FileSource::new(out)
}

/// Reads until the buffer is full or the input ends; gives how many bytes there were.
///
/// # Errors
/// What reading reports, but for interruptions.
pub fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
