//! An image file: what it is, how large the disk in it is, and its bytes in order.
//!
//! In: a path. Out: the disk's bytes, expanded where the file is compressed. What the file is, its
//! first bytes say, not its name. The block map is `IMAGE.bmap`, or that of the image without the
//! ending of the compression.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use mailkiln_bytes_at::FileSource;
use mailkiln_format::{Bmap, Compression, Format, decoder, read_full};
use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use sha2::Digest as _;

use crate::plan::PIECE;
use crate::table::{FRONT, SECTOR, Table};
use crate::{FlashError, Phase, Progress};

/// Where a boot sector has its mark, and the mark (UEFI 2.10 §5.2.1).
const MARK: (usize, [u8; 2]) = (510, [0x55, 0xaa]);

/// Longest block map that is read, in bytes.
const LONGEST_MAP: u64 = 64 << 20;

/// An image that can be flashed.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    file: File,
    compression: Compression,
    /// Bytes of the disk, as soon as they are known.
    size: Option<u64>,
    map: Option<Bmap>,
    /// What its partition table says, where it has one.
    table: Option<Table>,
}

impl Image {
    /// Opens an image, and its block map if there is one beside it.
    ///
    /// # Errors
    /// [`FlashError`] when it can't be read, is no disk image, or the map can't be used.
    pub fn open(path: &Path) -> Result<Self, FlashError> {
        let file = open(path)?;
        let failed = |error| FlashError::Image { path: path.to_owned(), error };
        let source = file.try_clone().and_then(FileSource::new).map_err(failed)?;
        let format = Format::of(&source);
        let wrong = |why| FlashError::NotAnImage { path: path.to_owned(), why };
        let Some(compression) = format.stream() else {
            return Err(FlashError::OtherFormat { path: path.to_owned(), format });
        };
        let map = find_map(path, compression)?;
        let size = match compression {
            Compression::None => Some(file.metadata().map_err(failed)?.len()),
            _ => map.as_ref().map(|map| map.image_size),
        };
        let mut image = Self { path: path.to_owned(), file, compression, size, map, table: None };
        image.check_map()?;
        let mut front = vec![0; FRONT];
        let length = image.stream()?.read(&mut front)?;
        let (at, mark) = MARK;
        if length < SECTOR as usize || front[at..at + mark.len()] != mark {
            return Err(wrong("it does not begin with a boot sector"));
        }
        image.table = Table::read(&front[..length]);
        image.check_whole()?;
        Ok(image)
    }

    /// A map that is not of this file is not used, and an error, since the file may be the wrong one.
    fn check_map(&mut self) -> Result<(), FlashError> {
        match (&self.map, self.size) {
            (Some(map), Some(size)) if map.image_size != size => {
                Err(FlashError::Misfit { path: self.path.clone(), at: map.image_size.min(size) })
            }
            _ => Ok(()),
        }
    }

    /// The partition table says where the disk ends: an image that ends before was cut short.
    fn check_whole(&self) -> Result<(), FlashError> {
        match (self.table, self.size) {
            (Some(table), Some(size)) if size < table.end => {
                Err(FlashError::Truncated { path: self.path.clone(), size, end: table.end })
            }
            _ => Ok(()),
        }
    }

    /// Bytes that a device has to have for the first boot to find room; `None` where the image says nothing
    /// about it.
    pub fn least_device(&self) -> Option<u64> {
        self.table.and_then(|table| table.least)
    }

    /// Whether the image has a partition table, which counts in sectors of 512 bytes.
    pub(crate) const fn has_table(&self) -> bool {
        self.table.is_some()
    }

    /// The digest in `IMAGE.sha256`, as `sha256sum` writes it; `None` where there is no such file.
    ///
    /// # Errors
    /// [`FlashError::DigestFile`] when it holds no digest, [`FlashError::Image`] when it can't be read.
    pub fn digest_beside(&self) -> Result<Option<Sha256>, FlashError> {
        let mut name = self.path.clone().into_os_string();
        name.push(".sha256");
        let path = PathBuf::from(name);
        let mut text = String::new();
        match File::open(&path) {
            Ok(file) => file.take(4096).read_to_string(&mut text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error),
        }
        .map_err(|error| FlashError::Image { path: path.clone(), error })?;
        let digest = text.split_whitespace().next().and_then(|word| word.parse().ok());
        digest.map(Some).ok_or(FlashError::DigestFile { path })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is compressed.
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Bytes of the disk, where that is known without expanding it.
    pub const fn known_size(&self) -> Option<u64> {
        self.size
    }

    /// What has to be written, where that is known.
    pub const fn map(&self) -> Option<&Bmap> {
        self.map.as_ref()
    }

    /// Whether `other` is this very file.
    pub fn is(&self, other: &std::fs::Metadata) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        self.file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (other.dev(), other.ino()))
    }

    /// Checks that the file has the digest `wanted`.
    ///
    /// # Errors
    /// [`FlashError::Digest`] when it has not.
    pub fn check_digest(&self, wanted: Sha256, watch: &dyn Progress) -> Result<(), FlashError> {
        let failed = |error| FlashError::Image { path: self.path.clone(), error };
        watch.begin(Phase::Checking, self.file.metadata().map_err(failed)?.len());
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; PIECE as usize];
        let mut at = 0;
        loop {
            let length = self.file.read_at(&mut buffer, at).map_err(failed)?;
            if length == 0 {
                break;
            }
            hasher.update(&buffer[..length]);
            at += length as u64;
            watch.advance(length as u64);
        }
        watch.end();
        let found = Sha256::from_bytes(hasher.finalize().into());
        if found == wanted {
            return Ok(());
        }
        Err(FlashError::Digest { path: self.path.clone(), wanted, found })
    }

    /// Bytes of the disk. A compressed image without a map is expanded once to find them, and so
    /// known to be whole before anything is written.
    ///
    /// # Errors
    /// [`FlashError::Damaged`] when it can't be expanded.
    pub fn measure(&mut self, watch: &dyn Progress) -> Result<u64, FlashError> {
        if let Some(size) = self.size {
            return Ok(size);
        }
        watch.begin(Phase::Checking, 0);
        let mut stream = self.stream()?;
        let mut buffer = vec![0; PIECE as usize];
        let mut size = 0;
        loop {
            let length = stream.read(&mut buffer)?;
            size += length as u64;
            watch.advance(length as u64);
            if length < buffer.len() {
                break;
            }
        }
        watch.end();
        self.size = Some(size);
        self.check_whole()?;
        Ok(size)
    }

    /// The disk's bytes from the start.
    pub(crate) fn stream(&self) -> Result<Stream, FlashError> {
        let failed = |error| FlashError::Image { path: self.path.clone(), error };
        // A file of its own: where one reads must not matter to the other.
        let packed = || open(&self.path).map(|file| BufReader::with_capacity(1 << 18, file));
        let source = match self.compression {
            Compression::None => Source::Plain(self.file.try_clone().map_err(failed)?),
            compression => Source::Packed(decoder(compression, packed()?).map_err(failed)?),
        };
        Ok(Stream { path: self.path.clone(), source, at: 0 })
    }
}

fn open(path: &Path) -> Result<File, FlashError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FlashError::NoImage { path: path.to_owned() },
        _ => FlashError::Image { path: path.to_owned(), error },
    };
    // Looked at before it is opened: opening a pipe waits for who writes into it, for ever if need be.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let why =
            "it is not a plain file; the image is read twice, so write a pipe into a file first";
        return Err(FlashError::NotAnImage { path: path.to_owned(), why });
    }
    File::open(path).map_err(failed)
}

/// The map beside an image: `disk.img.zst.bmap`, or `disk.img.bmap` for `disk.img.zst`.
fn find_map(path: &Path, compression: Compression) -> Result<Option<Bmap>, FlashError> {
    let mut names = vec![path.as_os_str().to_owned()];
    if compression != Compression::None {
        names.push(path.with_extension("").into_os_string());
    }
    for mut name in names {
        name.push(".bmap");
        let path = PathBuf::from(name);
        let failed = |error| FlashError::Image { path: path.clone(), error };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        let mut text = Vec::new();
        file.take(LONGEST_MAP + 1).read_to_end(&mut text).map_err(failed)?;
        let map = Bmap::parse(&String::from_utf8_lossy(&text));
        return map.map(Some).map_err(|error| FlashError::Map { path: path.clone(), error });
    }
    Ok(None)
}

/// The bytes of a disk in order.
pub(crate) struct Stream {
    path: PathBuf,
    source: Source,
    at: u64,
}

enum Source {
    Plain(File),
    Packed(Box<dyn Read + Send>),
}

impl Stream {
    /// Fills the buffer as far as the disk goes.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FlashError> {
        let path = &self.path;
        let length = match &mut self.source {
            Source::Plain(file) => read_full(&mut At(file, self.at), buffer)
                .map_err(|error| FlashError::Image { path: path.clone(), error })?,
            Source::Packed(decoder) => read_full(decoder, buffer)
                .map_err(|error| FlashError::Damaged { path: path.clone(), error })?,
        };
        self.at += length as u64;
        Ok(length)
    }

    /// Fills the buffer; the disk must go that far.
    pub(crate) fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), FlashError> {
        if self.read(buffer)? == buffer.len() {
            return Ok(());
        }
        let error = io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early");
        Err(FlashError::Damaged { path: self.path.clone(), error })
    }

    /// Goes on to the byte `to`. All that is passed has to be zero: a block map leaves out nothing
    /// else.
    pub(crate) fn skip_to(&mut self, to: u64, buffer: &mut [u8]) -> Result<(), FlashError> {
        while self.at < to {
            if let Source::Plain(file) = &self.source {
                self.at = data_from(file, self.at).min(to);
            }
            let from = self.at;
            let length = (to - from).min(buffer.len() as u64) as usize;
            self.read_exact(&mut buffer[..length])?;
            if let Some(place) = buffer[..length].iter().position(|&byte| byte != 0) {
                return Err(FlashError::Misfit {
                    path: self.path.clone(),
                    at: from + place as u64,
                });
            }
        }
        Ok(())
    }

    /// Whether the disk has ended.
    pub(crate) fn check_end(&mut self) -> Result<(), FlashError> {
        match self.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(FlashError::Misfit { path: self.path.clone(), at: self.at - 1 }),
        }
    }
}

/// Where the next bytes are that were written to a sparse file.
pub(crate) fn data_from(file: &File, at: u64) -> u64 {
    let Ok(offset) = i64::try_from(at) else { return at };
    match lseek(file, offset, Whence::SeekData) {
        Ok(found) => u64::try_from(found).unwrap_or(at),
        // Nothing comes any more.
        Err(Errno::ENXIO) => u64::MAX,
        // The file system does not know: everything may be data.
        Err(_) => at,
    }
}

/// What of a file of `size` bytes was written to it, as far as its file system knows; the rest is zero.
pub fn data_extents(file: &File, size: u64) -> Vec<Extent> {
    let mut extents = Vec::new();
    let mut at = data_from(file, 0);
    while at < size {
        let offset = i64::try_from(at).unwrap_or(i64::MAX);
        let hole = lseek(file, offset, Whence::SeekHole).ok();
        // Where it does not know, everything may be data.
        let end = hole.and_then(|end| u64::try_from(end).ok()).unwrap_or(size).clamp(at + 1, size);
        extents.push(Extent { offset: at, length: end - at });
        at = data_from(file, end).max(end);
    }
    extents
}

/// A file, read from an offset on.
struct At<'a>(&'a File, u64);

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.0.read_at(buffer, self.1)?;
        self.1 += length as u64;
        Ok(length)
    }
}
