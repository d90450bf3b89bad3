//! The list of disk formats: what each is called, how it is recognised, written and read.
//!
//! In: a name, or the first bytes of a file. Out: the [`Format`]. A format is one module and one line
//! in [`FORMATS`]; commands, help texts, flashing and the conformance tests read this list.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use mailkiln_bytes_at::ReadAt;

use crate::codec::Codec;
use crate::container::{Container, Plan};
use crate::open::{BadFormat, Foreign, Opened};
use crate::{gz, img, oci, ova, qcow2, tar_gz, vhd, vhdx, vmdk, xz, zst};

/// Every format. Where several recognise a file, the first one reads it: the raw disk is last.
static FORMATS: &[&Description] = &[
    &zst::IMG_ZST,
    &xz::IMG_XZ,
    &qcow2::QCOW2,
    &qcow2::QCOW2_ZLIB,
    &qcow2::QCOW2_ZSTD,
    &vhd::VHD,
    &vhd::VHD_DYNAMIC,
    &vhdx::VHDX,
    &vmdk::VMDK,
    &ova::OVA,
    &oci::OCI,
    &tar_gz::TAR_GZ,
    &img::IMG_GZ,
    &img::IMG,
];

/// What a format is. Each module of a format has one of these for each of its formats.
pub(crate) struct Description {
    /// Its name on the command line and in target files.
    pub(crate) name: &'static str,
    /// How its files end, without the first dot. No two formats share it.
    pub(crate) suffix: &'static str,
    /// What it is for, in a few words.
    pub(crate) title: &'static str,
    /// How its files are recognised.
    pub(crate) magic: Magic,
    /// The disk's length is rounded up to a multiple of this, in bytes.
    pub(crate) step: u64,
    /// The longest disk that it can hold, in bytes.
    pub(crate) most: u64,
    /// What QEMU calls it, where QEMU can boot from it.
    pub(crate) qemu: Option<&'static str>,
    /// How the disk is compressed in it, where it can be put on a medium front to back.
    pub(crate) stream: Option<Compression>,
    /// What its blocks are compressed with.
    pub(crate) codec: Codec,
    /// Writes what comes before the first block.
    pub(crate) start: fn(&Plan<'_>, &mut dyn Write) -> io::Result<Box<dyn Container>>,
    /// Opens a file of it as a disk.
    pub(crate) open: fn(Foreign) -> Result<Opened, BadFormat>,
}

/// How a format is recognised.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Magic {
    /// Any file may be of it.
    None,
    /// The file starts with these bytes.
    Start(&'static [u8]),
    /// Its last 512 bytes start with these.
    LastSector(&'static [u8]),
    /// It is a tar archive, and the name of its first member ends with this.
    Tar(&'static str),
    /// The same, compressed with gzip.
    TarGz(&'static str),
}

impl Magic {
    fn is_of(self, file: &dyn ReadAt) -> bool {
        match self {
            Self::None => true,
            Self::Start(bytes) => {
                file.read_vec_at(0, bytes.len()).is_ok_and(|found| found == bytes)
            }
            Self::LastSector(bytes) => {
                let at = file.size().checked_sub(512);
                let found = at.map(|at| file.read_vec_at(at, bytes.len()));
                found.is_some_and(|found| found.is_ok_and(|found| found == bytes))
            }
            Self::Tar(name) => crate::tar::first_name(file).is_some_and(|it| it.ends_with(name)),
            Self::TarGz(name) => {
                let head = gz::head(file);
                head.and_then(|head| crate::tar::first_name(head.as_slice()))
                    .is_some_and(|it| it.ends_with(name))
            }
        }
    }
}

/// How a disk is compressed in a file that holds nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: the file is the disk.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// xz (The .xz File Format).
    Xz,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// A disk format.
#[derive(Clone, Copy)]
pub struct Format(pub(crate) &'static Description);

impl Format {
    /// Every format, in the order of the list.
    pub fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|it| Self(it))
    }

    /// The disk, byte for byte.
    pub const RAW: Self = Self(&img::IMG);

    /// The format that is called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|format| format.name() == name)
    }

    /// The names of all formats, for help texts and errors: `img, img.zst or qcow2`.
    pub fn names() -> String {
        let mut names: Vec<&str> = FORMATS.iter().map(|it| it.name).collect();
        names.sort_unstable();
        let last = names.pop().unwrap_or_default();
        format!("{} or {last}", names.join(", "))
    }

    /// The format of a file, by what is in it; its name does not matter. A file that no format
    /// recognises is a raw disk.
    pub fn of(file: &dyn ReadAt) -> Self {
        Self::all().find(|format| format.0.magic.is_of(file)).unwrap_or(Self::RAW)
    }

    /// The format whose files end as this one does; the longest ending counts.
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let ends = |format: &Self| {
            name.strip_suffix(format.suffix()).is_some_and(|stem| stem.ends_with('.'))
        };
        Self::all().filter(ends).max_by_key(|format| format.suffix().len())
    }

    /// Its name on the command line and in target files.
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// How its files end, without the first dot: `img.zst`.
    pub const fn suffix(self) -> &'static str {
        self.0.suffix
    }

    /// What it is for, in a few words.
    pub const fn title(self) -> &'static str {
        self.0.title
    }

    /// The disk's length is rounded up to a multiple of this many bytes.
    pub const fn step(self) -> u64 {
        self.0.step
    }

    /// Bytes of the longest disk that it can hold.
    pub const fn most(self) -> u64 {
        self.0.most
    }

    /// What QEMU calls it, where QEMU can boot from it.
    pub const fn qemu(self) -> Option<&'static str> {
        self.0.qemu
    }

    /// How the disk is compressed in it, where it can be put on a medium front to back; `None` for
    /// what only virtual machines and clouds read.
    pub const fn stream(self) -> Option<Compression> {
        self.0.stream
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::named(text).ok_or_else(|| UnknownFormat(text.escape_debug().to_string()))
    }
}

/// The text names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{0}`; expected {names}", names = Format::names())]
pub struct UnknownFormat(String);
