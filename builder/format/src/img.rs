//! `img`: the disk, byte for byte; and `img.gz`: the same as one gzip member.
//!
//! In: a disk. Out: its bytes.

use std::io::{self, Write};

use crate::codec::{Block, Codec};
use crate::container::{Container, Plan};
use crate::gz::Member;
use crate::open::{BadFormat, Foreign, LARGEST_DISK, Opened, expand};
use crate::registry::{Compression, Description, Magic};
use crate::stretch::Stretch;

/// The raw disk.
pub(crate) static IMG: Description = Description {
    name: "img",
    suffix: "img",
    title: "the disk, byte for byte",
    magic: Magic::None,
    step: 1,
    most: LARGEST_DISK,
    qemu: Some("raw"),
    stream: Some(Compression::None),
    codec: Codec::Plain,
    start: |_, _| Ok(Box::new(Raw)),
    open: open_raw,
};

/// The raw disk, compressed with gzip.
pub(crate) static IMG_GZ: Description = Description {
    name: "img.gz",
    suffix: "img.gz",
    title: "the disk, compressed with gzip",
    magic: Magic::Start(&crate::gz::MAGIC),
    step: 1,
    most: LARGEST_DISK,
    qemu: None,
    stream: Some(Compression::Gzip),
    codec: Codec::Gzip,
    start: start_gz,
    open: |file| expand(file, Compression::Gzip),
};

/// Writes the bytes of a disk.
pub(crate) struct Raw;

impl Container for Raw {
    fn take(&mut self, stretch: &Stretch<'_>, _: &[Block], out: &mut dyn Write) -> io::Result<()> {
        stretch.pieces().try_for_each(|piece| out.write_all(&piece?.1))
    }

    fn finish(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn open_raw(file: Foreign) -> Result<Opened, BadFormat> {
    Ok(file.source)
}

fn start_gz(_: &Plan<'_>, out: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    Ok(Box::new(Gz(Member::start(out)?)))
}

struct Gz(Member);

impl Container for Gz {
    fn take(&mut self, _: &Stretch<'_>, blocks: &[Block], out: &mut dyn Write) -> io::Result<()> {
        blocks.iter().try_for_each(|block| self.0.add(block, out))
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.0.finish(out)
    }
}
