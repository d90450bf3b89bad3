//! Volumes with first boot data, read as bytes: no mount, no kernel driver, no privilege.
//!
//! In: a device, which may hold anything. Out: files of it, 64 KiB each at most. Every reader is bounded
//! by the number of blocks that it reads, since a directory may lead in a circle.

mod fat;
mod iso9660;
mod udf;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::answers::Answers;
use super::machine::Cloud;
use super::source::{MEDIA, Medium};
use super::{FirstBoot, LARGEST, SourceError};
use crate::seed_place::Volume;

/// Bytes of a directory that are searched.
const LARGEST_DIRECTORY: u64 = 64 << 10;

/// A file system that has been opened.
trait Files {
    /// The volume's label, without blanks at its end.
    fn label(&self) -> &str;

    /// A file by the names that lead to it, in any case; `None` where there is none.
    fn file(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
}

/// The file systems that a volume has: a CD may have two.
fn open<'a>(volume: &'a dyn Volume) -> Vec<Box<dyn Files + 'a>> {
    let mut found: Vec<Box<dyn Files + 'a>> = Vec::new();
    if let Ok(Some(iso)) = iso9660::Iso::open(volume) {
        found.push(Box::new(iso));
    }
    if let Ok(Some(udf)) = udf::Udf::open(volume) {
        found.push(Box::new(udf));
    }
    if let (true, Ok(Some(fat))) = (found.is_empty(), fat::Fat::open(volume)) {
        found.push(Box::new(fat));
    }
    found
}

/// Why a medium that is there is not used.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// It can't be read.
    #[error("cannot read {0} on {1}: {2}; make it anew")]
    Medium(&'static str, PathBuf, #[source] io::Error),
    /// What it says makes no sense.
    #[error("{0} is there, but {1}")]
    Source(&'static str, #[source] SourceError),
}

/// Where a medium may be: CDs, and volumes by the labels that udev has read.
pub(crate) fn places(dev: &Path) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = (0..4).map(|number| dev.join(format!("sr{number}"))).collect();
    for label in MEDIA.iter().flat_map(|medium| medium.labels) {
        for label in [label.to_ascii_lowercase(), label.to_ascii_uppercase()] {
            places.push(dev.join("disk/by-label").join(label));
        }
    }
    places
}

/// Devices that may have a medium. One that this service may not open, or that has no medium, is none.
fn devices(dev: &Path) -> Vec<PathBuf> {
    let mut known: Vec<PathBuf> = Vec::new();
    for path in places(dev) {
        if let Ok(path) = fs::canonicalize(path)
            && !known.contains(&path)
        {
            known.push(path);
        }
    }
    known
}

/// Looks for a medium, and reads the first that is one.
///
/// # Errors
/// [`VolumeError`] for a medium that is there and can't be used.
pub fn find(dev: &Path, cloud: Option<Cloud>) -> Result<Option<FirstBoot>, VolumeError> {
    let opened: Vec<(PathBuf, File)> = devices(dev)
        .into_iter()
        .filter_map(|path| File::open(&path).ok().map(|file| (path, file)))
        .collect();
    for medium in MEDIA.iter().filter(|it| it.cloud.is_none() || it.cloud == cloud) {
        for (path, file) in &opened {
            let answers = answers(file, medium)
                .map_err(|error| VolumeError::Medium(medium.name, path.clone(), error))?;
            if let Some(answers) = answers {
                let found = (medium.parse)(&answers);
                return found.map(Some).map_err(|error| VolumeError::Source(medium.name, error));
            }
        }
    }
    Ok(None)
}

/// The files of a medium, if `volume` is one.
fn answers(volume: &dyn Volume, medium: &Medium) -> io::Result<Option<Answers>> {
    for files in open(volume) {
        let label = files.label();
        let labelled = medium.labels.iter().any(|it| it.eq_ignore_ascii_case(label));
        if !(labelled || medium.labels.is_empty()) || files.file(medium.mark)?.is_none() {
            continue;
        }
        let mut answers = Answers::default();
        for (name, path) in medium.files {
            if let Some(bytes) = files.file(path)? {
                answers.add(name, bytes);
            }
        }
        return Ok(Some(answers));
    }
    Ok(None)
}

/// Refuses a file that nobody would make.
fn within(size: u64) -> io::Result<usize> {
    match usize::try_from(size) {
        Ok(size) if size <= LARGEST => Ok(size),
        _ => Err(bad("a file on it is larger than 64 KiB")),
    }
}

fn bad(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Bytes at an offset.
fn bytes(volume: &dyn Volume, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    volume.read(&mut buffer, at)?;
    Ok(buffer)
}

/// A little-endian number; what is beyond the end is zero.
fn le(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes.get(at..at + length).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Bytes, and zeros behind them.
struct Padded<'a>(&'a [u8]);

impl Volume for Padded<'_> {
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        if at.checked_add(buffer.len() as u64).is_none_or(|end| end > 2 << 20) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let known = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let length = known.len().min(buffer.len());
        buffer[..length].copy_from_slice(&known[..length]);
        buffer[length..].fill(0);
        Ok(())
    }
}

/// Reads `bytes` as the start of a volume, and as what follows the system area of a CD.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut shifted = vec![0; 32 << 10];
    shifted.extend(bytes);
    for bytes in [bytes, &shifted] {
        let volume = Padded(bytes);
        for medium in MEDIA {
            let _ = answers(&volume, medium);
        }
    }
}

#[cfg(test)]
mod tests;
