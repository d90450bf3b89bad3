//! Opens an image file of any format as the disk it holds.
//!
//! In: a path. Out: random access to the disk. What the file is, its content says, not its
//! name. A compressed image is expanded into a temporary file without a name.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use mailkiln_bytes_at::{FileSource, ReadAt, Window};

use crate::registry::{Compression, Format};
use crate::sparse::is_zero;

/// A compressed image may expand to this much that is not zero, and no more.
const MOST_BYTES: u64 = 16 << 30;

/// An image may hold a disk of this size, and no larger one.
pub(crate) const LARGEST_DISK: u64 = 2 << 40;

/// Window that zstd may ask for: what `zstd -d` allows, 2^27 bytes.
const WINDOW_LOG: u32 = 27;

/// Memory that an xz stream may ask for, in bytes: more than `xz -9` needs.
const XZ_MEMORY: u64 = 256 << 20;

/// Bytes that are expanded at once.
const PIECE: usize = 64 << 10;

/// An open disk.
pub type Opened = Box<dyn ReadAt + Send + Sync>;

/// A foreign file, before anything is known of it.
pub(crate) struct Foreign {
    /// Its bytes.
    pub(crate) source: Opened,
}

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
    /// It is damaged, or uses what only other programs read.
    #[error("can't read {path} as {format}: {error}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it was taken for.
        format: Format,
        /// What is wrong.
        error: BadFormat,
    },
}

/// Why a file can't be read in its format.
#[derive(Debug, thiserror::Error)]
pub enum BadFormat {
    /// The medium failed, or the file ends too early.
    #[error("{0}; if it was copied, copy it again")]
    Io(#[from] io::Error),
    /// Numbers that no such file can have.
    #[error("it is damaged: {0}; copy or build it again")]
    Damaged(&'static str),
    /// Something that this reader does not know.
    #[error("it {0}; convert it with `qemu-img convert -O raw`")]
    Unsupported(&'static str),
}

/// Opens the disk in the image file at `path`, whatever its format.
///
/// # Errors
/// [`BadImage`] when the file can't be read or is damaged.
pub fn open(path: &Path) -> Result<Opened, BadImage> {
    open_with_format(path).map(|(_, disk)| disk)
}

/// As [`open`], with the format that was found.
///
/// # Errors
/// [`BadImage`] when the file can't be read or is damaged.
pub fn open_with_format(path: &Path) -> Result<(Format, Opened), BadImage> {
    let failed = |error| BadImage::Io { path: path.to_owned(), error };
    let source = File::open(path).and_then(FileSource::new).map_err(failed)?;
    let format = Format::of(&source);
    let error = |error| BadImage::Format { path: path.to_owned(), format, error };
    let foreign = Foreign { source: Box::new(source) };
    Ok((format, (format.0.open)(foreign).map_err(error)?))
}

/// The bytes of `input`, expanded.
///
/// # Errors
/// When the library that expands can't be set up.
pub fn decoder<'a>(
    compression: Compression,
    input: impl io::BufRead + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_auto_decoder(XZ_MEMORY, flags)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// A foreign file as a stream, expanded.
pub(crate) fn stream(file: Foreign, compression: Compression) -> io::Result<Box<dyn Read + Send>> {
    let input = BufReader::with_capacity(1 << 18, Sequential { source: file.source, at: 0 });
    decoder(compression, input)
}

/// Opens a disk that is compressed front to back.
pub(crate) fn expand(file: Foreign, compression: Compression) -> Result<Opened, BadFormat> {
    let mut out = Scratch::new()?;
    let mut stream = stream(file, compression)?;
    out.fill(0, &mut *stream, u64::MAX)?;
    let size = out.end;
    Ok(Box::new(out.finish(size)?))
}

/// A temporary file without a name that a foreign disk is expanded into, within bounds.
pub(crate) struct Scratch {
    file: File,
    written: u64,
    /// Offset of the byte after the last that was given.
    pub(crate) end: u64,
}

impl Scratch {
    /// An empty one.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, written: 0, end: 0 })
    }

    /// Puts up to `length` bytes of `input` at `at`, as far as they go.
    pub(crate) fn fill(&mut self, at: u64, input: &mut dyn Read, length: u64) -> io::Result<()> {
        let mut input = input.take(length);
        let mut buffer = vec![0; PIECE];
        self.end = at;
        loop {
            let length = read_full(&mut input, &mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            let piece = &buffer[..length];
            if !is_zero(piece) {
                self.file.seek(SeekFrom::Start(self.end))?;
                self.file.write_all(piece)?;
                self.written += length as u64;
            }
            self.end += length as u64;
            if self.written > MOST_BYTES || self.end > LARGEST_DISK {
                return Err(io::Error::other("it expands to more than a Mailkiln image holds"));
            }
        }
    }

    /// The disk of `size` bytes.
    pub(crate) fn finish(self, size: u64) -> io::Result<FileSource> {
        if size > LARGEST_DISK {
            return Err(io::Error::other("it expands to more than a Mailkiln image holds"));
        }
        self.file.set_len(size)?;
        FileSource::new(self.file)
    }
}

/// Reads a source front to back.
struct Sequential {
    source: Opened,
    at: u64,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = (self.source.size() - self.at).min(buffer.len() as u64) as usize;
        self.source.read_exact_at(&mut buffer[..length], self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

/// A member of an archive, as a file of its own.
pub(crate) fn member(file: Foreign, ending: &str) -> Result<Foreign, BadFormat> {
    let members = crate::tar::members(&*file.source)?;
    let member = members.into_iter().find(|member| member.name.ends_with(ending));
    let member = member.ok_or(BadFormat::Damaged("the archive holds no disk"))?;
    let window = Window::new(file.source, member.start, member.size);
    let window = window.ok_or(BadFormat::Damaged("its disk reaches beyond its end"))?;
    Ok(Foreign { source: Box::new(window) })
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
