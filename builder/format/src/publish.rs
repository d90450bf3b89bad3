//! Puts a finished image under its name, with its checksum beside it.
//!
//! In: the assembled disk in a temporary file, the format, the name. Out: `NAME.EXTENSION` and
//! `NAME.EXTENSION.sha256`. Each appears under its name only when it is whole; an interrupted
//! run leaves nothing but a temporary file that is removed.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mailkiln_image::disk::Extent;
use mailkiln_pin::Sha256;
use mailkiln_squashfs::FileSource;
use tempfile::NamedTempFile;

use crate::{Format, Hashing, Sparse};

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

/// A new file in `folder`, without its final name yet: disks are assembled into it. Readable by
/// whom the umask allows, as any file a program makes; an image holds no secret.
///
/// # Errors
/// [`PublishError`] when the folder can't be written to.
pub fn unnamed(folder: &Path) -> Result<NamedTempFile, PublishError> {
    tempfile::Builder::new()
        .prefix(".mailkiln-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|error| PublishError { path: folder.to_owned(), error })
}

/// Publishes `disk`, a file made by [`unnamed`] in the same folder, as `FOLDER/NAME.EXTENSION`.
///
/// `extents` are those of the assembled disk: what lies outside them is zero and is not read.
///
/// # Errors
/// [`PublishError`] names the file that could not be written.
pub fn publish(
    disk: NamedTempFile,
    extents: &[Extent],
    format: Format,
    folder: &Path,
    name: &str,
) -> Result<Published, PublishError> {
    let file = format!("{name}.{format}");
    let path = folder.join(&file);
    let failed = |error| PublishError { path: path.clone(), error };
    let source = disk.reopen().and_then(FileSource::new).map_err(failed)?;
    let sparse = Sparse::new(&source, extents);
    let (out, sha256, size) = match format {
        // The disk is the file already: only its digest is wanting.
        Format::Img => {
            let (_, sha256, size) = convert(format, &sparse, io::sink()).map_err(failed)?;
            (disk, sha256, size)
        }
        _ => {
            let mut out = unnamed(folder)?;
            let writer = BufWriter::with_capacity(1 << 20, out.as_file_mut());
            let (_, sha256, size) = convert(format, &sparse, writer).map_err(failed)?;
            (out, sha256, size)
        }
    };
    persist(out, &path)?;
    let mut sum = unnamed(folder)?;
    let sum_path = folder.join(format!("{file}.sha256"));
    sum.write_all(format!("{sha256}  {file}\n").as_bytes())
        .map_err(|error| PublishError { path: sum_path.clone(), error })?;
    persist(sum, &sum_path)?;
    Ok(Published { path, sha256, size })
}

fn convert<W: io::Write>(
    format: Format,
    disk: &Sparse<'_>,
    out: W,
) -> io::Result<(W, Sha256, u64)> {
    let mut hashing = Hashing::new(out);
    format.write(disk, &mut hashing)?;
    hashing.finish()
}

fn persist(file: NamedTempFile, path: &Path) -> Result<File, PublishError> {
    file.persist(path).map_err(|failed| PublishError { path: path.to_owned(), error: failed.error })
}
