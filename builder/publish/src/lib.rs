//! Puts a finished image under its name, with its checksum beside it.
//!
//! In: a disk, the formats, the name. Out: `NAME.SUFFIX`, `NAME.SUFFIX.sha256` and, where it can be
//! flashed, `NAME.SUFFIX.bmap`, all formats in one pass over the disk. Each appears under
//! its name only when it is whole; an interrupted run leaves nothing (its signal handler calls
//! [`remove_unfinished`]), a killed one a temporary file that the next run in that folder removes.

mod sparse_file;

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mailkiln_bytes_at::FileSource;
use mailkiln_format::{Bmap, Format, Hashing, Job, Range, Sparse, write};
use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;
use tempfile::NamedTempFile;

use crate::sparse_file::SparseFile;

/// An image that is under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Where it is.
    pub path: PathBuf,
    /// Digest of the file.
    pub sha256: Sha256,
    /// Length of the file in bytes.
    pub size: u64,
}

/// An image can't be published.
#[derive(Debug, thiserror::Error)]
#[error("can't write {path}: {error}")]
pub struct PublishError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// What the names of unfinished files begin with.
const UNFINISHED: &str = ".mailkiln-";

/// Files of this process that may still be without their final name. Names are random, so that one which has
/// been given away or removed names nothing any more.
static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes every file of this process that has no final name yet. For whoever is about to end it before the
/// work is done: what is written afterwards is lost.
pub fn remove_unfinished() {
    // Kept until the process ends, so that no thread makes another one meanwhile.
    let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    for path in made.iter() {
        let _ = fs::remove_file(path);
    }
    std::mem::forget(made);
}

/// A new file in `folder`, without its final name yet: disks are assembled into it. Readable by
/// whom the umask allows, as any file a program makes; an image holds no secret.
///
/// # Errors
/// [`PublishError`] when the folder can't be written to.
pub fn unnamed(folder: &Path) -> Result<NamedTempFile, PublishError> {
    sweep(folder);
    let make = || loop {
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        made.push(std::path::absolute(file.path()).unwrap_or_else(|_| file.path().to_owned()));
        drop(made);
        // Some network file systems have no locks; then a file that somebody else sweeps is an error later.
        let _ = file.as_file().try_lock();
        if file.as_file().metadata()?.nlink() > 0 {
            return Ok(file);
        }
    };
    make().map_err(|error| PublishError { path: folder.to_owned(), error })
}

/// Removes what killed runs have left in `folder`. A run that lives holds a lock on its file; one that
/// has made it and not locked it yet finds it gone, and makes another.
fn sweep(folder: &Path) {
    // Nothing here is needed: what can't be read or removed is left.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        if ours && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Publishes `disk`, a file made by [`unnamed`] in the same folder, as `FOLDER/NAME.SUFFIX` in each of `formats`, with
/// its digest beside it, and its block map beside what can be flashed.
///
/// `extents` are those of the assembled disk: what lies outside them is zero and is not read.
///
/// # Errors
/// [`PublishError`] names the file that could not be written.
pub fn publish(
    disk: NamedTempFile,
    extents: &[Extent],
    formats: &[Format],
    folder: &Path,
    name: &str,
) -> Result<Vec<Published>, PublishError> {
    let failed = |error| PublishError { path: disk.path().to_owned(), error };
    let source = disk.reopen().and_then(FileSource::new).map_err(failed)?;
    let sparse = Sparse::new(&source, extents);
    // The disk is the raw file already: only its digest is wanting.
    publish_as(&sparse, Some(disk), formats, folder, name)
}

/// Publishes a disk that is somewhere else, in the same way but for the block map: which of its zeros a used
/// medium needs is not known.
///
/// # Errors
/// [`PublishError`] names the file that could not be written.
pub fn publish_copy(
    disk: &Sparse<'_>,
    formats: &[Format],
    folder: &Path,
    name: &str,
) -> Result<Vec<Published>, PublishError> {
    publish_as(disk, None, formats, folder, name)
}

/// An artifact on its way.
struct Artifact {
    format: Format,
    path: PathBuf,
    /// `None` where the file has its content already.
    file: Option<NamedTempFile>,
}

fn publish_as(
    disk: &Sparse<'_>,
    mut raw: Option<NamedTempFile>,
    formats: &[Format],
    folder: &Path,
    name: &str,
) -> Result<Vec<Published>, PublishError> {
    let mut artifacts = Vec::new();
    for &format in formats {
        let path = folder.join(format!("{name}.{}", format.suffix()));
        let is_there = format == Format::RAW && raw.is_some();
        let file = if is_there { None } else { Some(unnamed(folder)?) };
        artifacts.push(Artifact { format, path, file });
    }
    let map = raw.is_some() && artifacts.iter().any(|it| it.format.stream().is_some());
    let job = Job { disk, name, scratch: folder, threads: None, map };
    let written = write_files(&job, &artifacts).map_err(|error| {
        // Which of them it was does not show: the first stands for all.
        let path = artifacts.first().map_or_else(|| folder.to_owned(), |it| it.path.clone());
        PublishError { path, error }
    })?;
    let map = map.then(|| Bmap::of_ranges(disk.size(), written.ranges).to_xml());
    let mut published = Vec::new();
    for (artifact, (sha256, size)) in artifacts.into_iter().zip(written.sums) {
        let Artifact { format, path, file } = artifact;
        let Some(file) = file.or_else(|| raw.take()) else { continue };
        let map = map.as_deref().filter(|_| format.stream().is_some());
        published.push(settle(file, Published { path, sha256, size }, map)?);
    }
    Ok(published)
}

/// What a pass has given.
struct Written {
    /// Digest and length of each artifact.
    sums: Vec<(Sha256, u64)>,
    ranges: Vec<Range>,
}

/// Writes all artifacts in one pass.
fn write_files(job: &Job<'_>, artifacts: &[Artifact]) -> io::Result<Written> {
    let mut files: Vec<Option<SparseFile<'_>>> = artifacts
        .iter()
        .map(|artifact| artifact.file.as_ref().map(|file| SparseFile::new(file.as_file())))
        .collect();
    let mut hashing: Vec<Hashing<BufWriter<Box<dyn io::Write + '_>>>> = files
        .iter_mut()
        .map(|file| {
            let out: Box<dyn io::Write + '_> = match file {
                Some(file) => Box::new(file),
                None => Box::new(io::sink()),
            };
            Hashing::new(BufWriter::with_capacity(1 << 20, out))
        })
        .collect();
    let mut outputs: Vec<(Format, &mut dyn io::Write)> = artifacts
        .iter()
        .zip(&mut hashing)
        .map(|(artifact, out)| (artifact.format, out as &mut dyn io::Write))
        .collect();
    let ranges = write(job, &mut outputs)?;
    drop(outputs);
    let finish = |out: Hashing<_>| out.finish().map(|(_, sha256, size)| (sha256, size));
    let sums = hashing.into_iter().map(finish).collect::<io::Result<_>>()?;
    files.iter().flatten().try_for_each(SparseFile::finish)?;
    Ok(Written { sums, ranges })
}

/// Gives an artifact its name, then its block map and its digest a file each.
fn settle(
    file: NamedTempFile,
    published: Published,
    map: Option<&str>,
) -> Result<Published, PublishError> {
    persist(file, &published.path)?;
    if let Some(map) = map {
        write_beside(&published.path, "bmap", map.as_bytes())?;
    }
    let name = published.path.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("{}  {name}\n", published.sha256);
    write_beside(&published.path, "sha256", text.as_bytes())?;
    Ok(published)
}

/// Writes `ARTIFACT.EXTENSION`, whole or not at all.
///
/// # Errors
/// [`PublishError`] names the file that could not be written.
pub fn write_beside(
    artifact: &Path,
    extension: &str,
    text: &[u8],
) -> Result<PathBuf, PublishError> {
    let name = artifact.file_name().unwrap_or_default().to_string_lossy();
    let path = artifact.with_file_name(format!("{name}.{extension}"));
    let mut file = unnamed(artifact.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text).map_err(|error| PublishError { path: path.clone(), error })?;
    persist(file, &path)?;
    Ok(path)
}

/// Gives a file its name once it is on the medium, and the name after it: else a power cut may leave an
/// empty image beside a digest that is right (fsync(2), "Description").
fn persist(file: NamedTempFile, path: &Path) -> Result<File, PublishError> {
    let failed = |error| PublishError { path: path.to_owned(), error };
    file.as_file().sync_all().map_err(failed)?;
    let file = file.persist(path).map_err(|it| failed(it.error))?;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(file)
}
