//! `.deb` files: an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`.
//!
//! In: the bytes of a file that nobody vouches for beyond its hash. Out: its control files and
//! a walk over its members. Format: deb(5), version 2.0. Stricter than dpkg: nothing after the
//! end, no member twice, no way out of the root.

mod ar;
mod members;

use std::collections::BTreeMap;
use std::io::Read;

pub use members::{Member, MemberKind, Members};

/// Most bytes that a package may unpack to, headers included.
const MOST_UNPACKED: u64 = 4 << 30;
/// Most bytes of control files; systemd's, among the largest, have 0.3 MB.
const MOST_CONTROL: u64 = 64 << 20;
/// Most memory for decompression; `xz -9` wants 65 MiB, `zstd --ultra -22` 128 MiB and some.
const MOST_MEMORY: u64 = 256 << 20;

/// Why a file is not a package that can be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The outer archive is not a package's.
    #[error("it is not a Debian package: {0}")]
    NotADeb(&'static str),
    /// The compression is unknown.
    #[error("its member `{0}` is compressed in a way that is not supported (xz, zst and gz are)")]
    Compression(String),
    /// An inner archive ends early, is damaged, or holds too much.
    #[error("its {part} is damaged: {why}")]
    Damaged {
        /// `control.tar` or `data.tar`.
        part: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A member can't be part of an image.
    #[error("its member `{path}` can't be unpacked: {why}")]
    Member {
        /// The member's path, escaped for printing.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// A package whose outer frame is sound.
#[derive(Debug, Clone, Copy)]
pub struct Deb<'a> {
    control: ar::Part<'a>,
    data: ar::Part<'a>,
}

impl<'a> Deb<'a> {
    /// Reads the outer archive.
    ///
    /// # Errors
    /// [`DebError::NotADeb`] when the three members are not there, in order and alone.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DebError> {
        let [version, control, data] = ar::parts(bytes)?;
        if version.name != "debian-binary" || !version.bytes.starts_with(b"2.") {
            return Err(DebError::NotADeb("it is not of format 2"));
        }
        if !control.name.starts_with("control.tar") || !data.name.starts_with("data.tar") {
            return Err(DebError::NotADeb("control.tar and data.tar are expected, in this order"));
        }
        Ok(Self { control, data })
    }

    /// The regular files of `control.tar`: `control`, `conffiles`, `md5sums` and scripts, which
    /// nobody runs.
    ///
    /// # Errors
    /// [`DebError`] when the archive is damaged.
    pub fn control_files(&self) -> Result<BTreeMap<String, Vec<u8>>, DebError> {
        let mut members = Members::new(decompress(self.control)?, "control.tar", MOST_CONTROL);
        let mut files = BTreeMap::new();
        while let Some(member) = members.next()? {
            if member.kind == MemberKind::File {
                files.insert(member.path.as_str().to_owned(), members.content()?);
            }
        }
        Ok(files)
    }

    /// The members of `data.tar`, in the archive's order.
    ///
    /// # Errors
    /// [`DebError::Compression`] for a way of compressing that deb(5) does not have.
    pub fn data(&self) -> Result<Members<Box<dyn Read + 'a>>, DebError> {
        Ok(Members::new(decompress(self.data)?, "data.tar", MOST_UNPACKED))
    }
}

fn decompress(part: ar::Part<'_>) -> Result<Box<dyn Read + '_>, DebError> {
    let unsupported = || DebError::Compression(part.name.to_owned());
    let (_, suffix) = part.name.split_once(".tar").ok_or_else(unsupported)?;
    Ok(match suffix {
        "" => Box::new(part.bytes),
        ".xz" => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                MOST_MEMORY,
                liblzma::stream::CONCATENATED,
            );
            let stream = stream.map_err(|_| unsupported())?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(part.bytes, stream))
        }
        ".zst" => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(part.bytes).map_err(|_| unsupported())?;
            decoder.window_log_max(MOST_MEMORY.ilog2() - 1).map_err(|_| unsupported())?;
            Box::new(decoder)
        }
        ".gz" => Box::new(flate2::bufread::MultiGzDecoder::new(part.bytes)),
        _ => return Err(unsupported()),
    })
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
