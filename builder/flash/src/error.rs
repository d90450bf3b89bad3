//! Why an image was not flashed, and what to do about it.

use std::io;
use std::path::PathBuf;

use mailkiln_format::{BadBmap, Format};
use mailkiln_pin::Sha256;
use mailkiln_spec::display_size;

/// An image was not flashed.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// There is no such image.
    #[error("there is no image {path}: `mailkiln build --target TARGET` makes one")]
    NoImage {
        /// The file.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{path} is not a disk image: {why}")]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What is missing in it, and what to do.
        why: &'static str,
    },
    /// It is an image for something that has no media to write to.
    #[error(
        "{path} can't be flashed: it is a {format} ({title}), which only virtual machines and clouds \
         read; `mailkiln convert {path} --format img.zst` makes an image for media", title = format.title()
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// What it is.
        format: Format,
    },
    /// Its block map can't be used.
    #[error("can't use the block map {path}: {error}; without the file the whole image is written")]
    Map {
        /// The `.bmap` file.
        path: PathBuf,
        /// What is wrong.
        error: BadBmap,
    },
    /// Image and block map are not of the same build.
    #[error(
        "{path} is not the image that its block map describes: they differ at byte {at}; get both \
         again, or remove the map"
    )]
    Misfit {
        /// The image.
        path: PathBuf,
        /// Where, in bytes of the expanded image.
        at: u64,
    },
    /// The image can't be read.
    #[error("can't read {path}: {error}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The image can't be expanded.
    #[error("{path} is damaged: {error}; download it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        error: io::Error,
    },
    /// The image is not the one that was asked for.
    #[error("{path} has SHA-256 {found}, not {wanted}: download it again")]
    Digest {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: Sha256,
        /// What there is.
        found: Sha256,
    },
    /// The file beside the image holds no digest.
    #[error("{path} holds no SHA-256: download it again, or remove it")]
    DigestFile {
        /// The `.sha256` file.
        path: PathBuf,
    },
    /// The image ends before its own disk does.
    #[error(
        "{path} is cut short: it has {size} bytes, and its partition table speaks of {end}; download it again"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes of the expanded image.
        size: u64,
        /// Bytes that there should be.
        end: u64,
    },
    /// The device's sectors are not those of the image's partition table.
    #[error(
        "{device} has sectors of {block} bytes, and the image's partition table counts in 512: no partition would be \
         found. Take a device with sectors of 512 bytes; many NVMe disks can be set to them: nvme format --lbaf"
    )]
    Sectors {
        /// The device.
        device: PathBuf,
        /// Bytes of its sectors.
        block: usize,
    },
    /// The image fits, and what its first boot makes does not.
    #[error(
        "{device} holds {}, and the appliance needs {}: its first boot makes a second system partition and /var \
         beside the image; take a larger one",
        display_size(*size), display_size(*least)
    )]
    NoRoomToGrow {
        /// The device.
        device: PathBuf,
        /// Bytes that it holds.
        size: u64,
        /// Bytes that are needed.
        least: u64,
    },
    /// There is no such device.
    #[error(
        "there is no {device}: `mailkiln flash IMAGE` lists removable devices; a plain file has to \
         be made first, with its full size: truncate -s 8G FILE"
    )]
    NoDevice {
        /// What was named.
        device: PathBuf,
    },
    /// It can't be written to as a disk is.
    #[error("{device} is neither a block device nor a plain file")]
    NotADevice {
        /// What was named.
        device: PathBuf,
    },
    /// It is only a part of a disk.
    #[error("{device} is a partition, and an image has partitions itself: name the disk, {disk}")]
    Partition {
        /// What was named.
        device: PathBuf,
        /// The disk that it is a part of.
        disk: PathBuf,
    },
    /// This machine runs from it.
    #[error("{device} is the disk that this machine runs from: {place} is on it. Name another one")]
    SystemDisk {
        /// The device.
        device: PathBuf,
        /// A mount point.
        place: String,
    },
    /// Somebody uses it.
    #[error("{device} is in use: {uses}")]
    InUse {
        /// The device.
        device: PathBuf,
        /// By whom, and what to do.
        uses: String,
    },
    /// Somebody has it open for himself alone.
    #[error(
        "{device} is in use: another program has it open for itself alone (`lsof {device}` may name \
         it); try again when it has ended"
    )]
    Busy {
        /// The device.
        device: PathBuf,
    },
    /// It can't be written to.
    #[error("{device} is write-protected: is there a switch on the card or its adapter?")]
    WriteProtected {
        /// The device.
        device: PathBuf,
    },
    /// The image does not fit.
    #[error("{device} is too small: it has {} and the image needs {}", display_size(*size), display_size(*needed))]
    TooSmall {
        /// The device.
        device: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The image's size in bytes.
        needed: u64,
    },
    /// The image would be written onto itself.
    #[error("{device} is the image itself: name another file")]
    Itself {
        /// The file.
        device: PathBuf,
    },
    /// The user may not write to it.
    #[error(
        "you may not write to {device}: become a member of the group that owns it (`ls -l {device}`; \
         often `disk`), or run the command with sudo"
    )]
    Denied {
        /// The device.
        device: PathBuf,
    },
    /// It can't be opened.
    #[error("can't open {device}: {error}")]
    Open {
        /// The device.
        device: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The system's lists of devices can't be read.
    #[error("can't read {path}: {error}")]
    System {
        /// A file or folder of `/sys` or `/proc`.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The device is gone.
    #[error(
        "{device} has gone away at byte {at}: was it pulled out? Nothing boots from it now; plug it in \
         again and run the same command"
    )]
    Vanished {
        /// The device.
        device: PathBuf,
        /// Where, in bytes from the device's start.
        at: u64,
    },
    /// There is no more room.
    #[error(
        "no room is left for {device} at byte {at}: for a file, free some space on its disk; a device \
         that says so holds less than it claims, and has to be replaced"
    )]
    Full {
        /// The device.
        device: PathBuf,
        /// Where, in bytes from the device's start.
        at: u64,
    },
    /// The device does not take the bytes.
    #[error(
        "can't write to {device} at byte {at}: {error}. Nothing boots from it now; try another port, then \
         another medium"
    )]
    Write {
        /// The device.
        device: PathBuf,
        /// Where, in bytes from the device's start.
        at: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The device does not give the bytes back.
    #[error(
        "can't read {device} back at byte {at}: {error}. Nothing boots from it now; try another port, \
         then another medium"
    )]
    ReadBack {
        /// The device.
        device: PathBuf,
        /// Where, in bytes from the device's start.
        at: u64,
        /// What the system said.
        error: io::Error,
    },
    /// The device gives other bytes back.
    #[error(
        "{device} does not hold what was written to it: the bytes {start} to {} have another SHA-256. \
         Nothing boots from it now; the medium is worn out, or holds less than it claims: take another one",
        end - 1
    )]
    Mismatch {
        /// The device.
        device: PathBuf,
        /// First byte of the piece that differs.
        start: u64,
        /// The byte behind it.
        end: u64,
    },
    /// Somebody pressed Ctrl-C.
    #[error(
        "interrupted at byte {at}: nothing boots from {device} now, since its first MiB is written last; run \
         the same command again"
    )]
    Interrupted {
        /// The device.
        device: PathBuf,
        /// Where, in bytes from the device's start.
        at: u64,
    },
    /// The system refused something that every system has.
    #[error("can't {action}: {error}")]
    Resources {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

impl FlashError {
    /// Whether what was asked for is wrong, rather than the work having failed. Nothing was written
    /// then.
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NoImage { .. }
                | Self::NotAnImage { .. }
                | Self::OtherFormat { .. }
                | Self::Map { .. }
                | Self::NoDevice { .. }
                | Self::NotADevice { .. }
                | Self::Partition { .. }
                | Self::SystemDisk { .. }
                | Self::InUse { .. }
                | Self::Busy { .. }
                | Self::WriteProtected { .. }
                | Self::TooSmall { .. }
                | Self::NoRoomToGrow { .. }
                | Self::Sectors { .. }
                | Self::Truncated { .. }
                | Self::DigestFile { .. }
                | Self::Digest { .. }
                | Self::Itself { .. }
        )
    }
}
