//! Puts a finished image under its name, with its checksum beside it.
//!
//! In: the assembled disk in a temporary file, the format, the name. Out: `NAME.EXTENSION`,
//! `NAME.EXTENSION.sha256` and, where it can be flashed, `NAME.EXTENSION.bmap`. Each appears under
//! its name only when it is whole; an interrupted run leaves nothing, a killed one a temporary file
//! that the next run in that folder removes.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;
use mailkiln_squashfs::FileSource;
use tempfile::NamedTempFile;

use crate::{Bmap, Format, Hashing, Sparse, write};

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

/// A new file in `folder`, without its final name yet: disks are assembled into it. Readable by
/// whom the umask allows, as any file a program makes; an image holds no secret.
///
/// # Errors
/// [`PublishError`] when the folder can't be written to.
pub fn unnamed(folder: &Path) -> Result<NamedTempFile, PublishError> {
    sweep(folder);
    let make = || loop {
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
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

/// Publishes `disk`, a file made by [`unnamed`] in the same folder, as `FOLDER/NAME.EXTENSION` in each of `formats`, with
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
    let mut published = Vec::new();
    let map = map(&disk, extents, formats)
        .map_err(|error| PublishError { path: disk.path().to_owned(), error })?;
    for format in formats.iter().filter(|format| **format != Format::Img) {
        let (path, failed) = place(folder, name, *format);
        let mut out = unnamed(folder)?;
        let writer = BufWriter::with_capacity(1 << 20, out.as_file_mut());
        let (sha256, size) = convert(&disk, extents, *format, writer).map_err(failed)?;
        let map = if *format == Format::ImgZst { map.as_deref() } else { None };
        published.push(settle(out, Published { path, sha256, size }, map)?);
    }
    if formats.contains(&Format::Img) {
        // The disk is the file already: only its digest is wanting.
        let (path, failed) = place(folder, name, Format::Img);
        let (sha256, size) = convert(&disk, extents, Format::Img, io::sink()).map_err(failed)?;
        published.push(settle(disk, Published { path, sha256, size }, map.as_deref())?);
    }
    Ok(published)
}

/// Where an artifact goes, and what a failure on the way there is.
fn place(
    folder: &Path,
    name: &str,
    format: Format,
) -> (PathBuf, impl FnOnce(io::Error) -> PublishError + use<>) {
    let path = folder.join(format!("{name}.{format}"));
    let named = path.clone();
    (path, move |error| PublishError { path: named, error })
}

/// The text of the block map, where a format has one: a qcow2 is for virtual machines.
fn map(disk: &NamedTempFile, extents: &[Extent], formats: &[Format]) -> io::Result<Option<String>> {
    if formats.iter().all(|format| *format == Format::Qcow2) {
        return Ok(None);
    }
    let source = FileSource::new(disk.reopen()?)?;
    Ok(Some(Bmap::of(&Sparse::new(&source, extents))?.to_xml()))
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

fn convert(
    disk: &NamedTempFile,
    extents: &[Extent],
    format: Format,
    out: impl io::Write,
) -> io::Result<(Sha256, u64)> {
    let source = FileSource::new(disk.reopen()?)?;
    let mut hashing = Hashing::new(out);
    write(format, &Sparse::new(&source, extents), &mut hashing)?;
    let (_, sha256, size) = hashing.finish()?;
    Ok((sha256, size))
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
