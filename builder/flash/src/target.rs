//! What an image is written to: a block device, or a plain file in its place.
//!
//! In: bytes and offsets. Out: bytes that have been on the medium. A device is opened for this
//! program alone and written around the system's memory (`O_DIRECT`), so that what is shown as
//! written is written, and what is read back comes from the medium.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag, PosixFadviseAdvice, posix_fadvise};

use crate::image::data_from;
use crate::{FlashError, rescan};

/// Something that holds a disk. Tests have their own, which break.
pub trait Target {
    /// What people call it.
    fn path(&self) -> &Path;
    /// Bytes that it holds.
    fn size(&self) -> u64;
    /// Bytes of a block: offsets and lengths are multiples of it, but for the end of a plain file.
    fn block(&self) -> usize;
    /// Whether all of it is known to be zero.
    fn is_blank(&self) -> bool;
    /// Whether it is still there, for an error to be explained.
    fn is_present(&self) -> bool;
    /// Writes all of `bytes` at the offset `at`.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Has everything that was written on the medium.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;
    /// Forgets what the system's memory holds of it, so that what is read next comes from the medium.
    fn forget(&mut self);
    /// Fills `bytes` from the offset `at`.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&mut self, bytes: &mut [u8], at: u64) -> io::Result<()>;
    /// Has the kernel read the partition table anew; whether it did.
    fn rescan(&mut self) -> bool;
}

/// What a medium is.
#[derive(Debug)]
enum Kind {
    /// A block device, with blocks of so many bytes and the place where the kernel says what has its
    /// number.
    Device { block: usize, entry: PathBuf },
    /// A plain file in place of a device. It keeps its length.
    File { blank: bool },
}

/// A block device or a plain file, open for this program alone.
#[derive(Debug)]
pub struct Medium {
    path: PathBuf,
    file: Flock<File>,
    size: u64,
    kind: Kind,
}

impl Medium {
    /// Opens a block device with blocks of `block` bytes. `aligned` says that every offset will be a
    /// multiple of that.
    ///
    /// # Errors
    /// [`FlashError`] when somebody else uses it, or it can't be written to.
    pub fn device(path: &Path, block: usize, aligned: bool) -> Result<Self, FlashError> {
        let device = || path.to_owned();
        // With O_EXCL the kernel refuses a block device that is mounted, or held by another one.
        let open = |more: OFlag| {
            let flags = OFlag::O_EXCL | OFlag::O_CLOEXEC | more;
            OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path)
        };
        let opened = if aligned { open(OFlag::O_DIRECT) } else { open(OFlag::empty()) };
        let (opened, block) = match opened {
            // There are drivers that can't.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => (open(OFlag::empty()), 1),
            other => (other, if aligned { block } else { 1 }),
        };
        let file = opened.map_err(|error| opening(path, error))?;
        let failed = |error| FlashError::Open { device: device(), error };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.file_type().is_block_device() {
            return Err(FlashError::NotADevice { device: device() });
        }
        let number = metadata.rdev();
        let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
        let entry = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
        let size = io::Seek::seek(&mut &file, io::SeekFrom::End(0)).map_err(failed)?;
        let kind = Kind::Device { block, entry };
        Ok(Self { path: device(), file: lock(path, file)?, size, kind })
    }

    /// Opens a file that exists.
    ///
    /// # Errors
    /// [`FlashError`] when it can't be written to, or another one of us is about to.
    pub fn file(path: &Path) -> Result<Self, FlashError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = lock(path, file.map_err(|error| opening(path, error))?)?;
        let failed = |error| FlashError::Open { device: path.to_owned(), error };
        let size = file.metadata().map_err(failed)?.len();
        let kind = Kind::File { blank: data_from(&file, 0) == u64::MAX };
        Ok(Self { path: path.to_owned(), file, size, kind })
    }
}

impl Target for Medium {
    fn path(&self) -> &Path {
        &self.path
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn block(&self) -> usize {
        match self.kind {
            Kind::Device { block, .. } => block,
            Kind::File { .. } => 1,
        }
    }

    fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::File { blank: true })
    }

    fn is_present(&self) -> bool {
        match &self.kind {
            Kind::Device { entry, .. } => entry.exists(),
            Kind::File { .. } => true,
        }
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn forget(&mut self) {
        // Advice only: where it is not taken, what is read back was at least synced before.
        let _ = posix_fadvise(&*self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }

    fn read_at(&mut self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    fn rescan(&mut self) -> bool {
        match self.kind {
            // Where we may not, udev does it as soon as the device is closed.
            Kind::Device { .. } => rescan::rescan(&self.file).is_ok(),
            Kind::File { .. } => true,
        }
    }
}

/// A lock that keeps udev from looking into the device while it is half written, and others of us
/// away from it (systemd's "Locking Block Device Access").
fn lock(path: &Path, file: File) -> Result<Flock<File>, FlashError> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| FlashError::Busy { device: path.to_owned() })
}

fn opening(path: &Path, error: io::Error) -> FlashError {
    let device = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => FlashError::NoDevice { device },
        io::ErrorKind::PermissionDenied => FlashError::Denied { device },
        io::ErrorKind::ResourceBusy => FlashError::Busy { device },
        io::ErrorKind::ReadOnlyFilesystem => FlashError::WriteProtected { device },
        _ => FlashError::Open { device, error },
    }
}
