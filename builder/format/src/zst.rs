//! `img.zst`: the disk as zstd frames, each of the same length of disk.
//!
//! In: frames. Out: a file that any zstd joins to the disk again (RFC 8878 §3).

use std::io::{self, Write};

use crate::codec::{Block, Codec};
use crate::container::Container;
use crate::open::{LARGEST_DISK, expand};
use crate::registry::{Compression, Description, Magic};
use crate::stretch::Stretch;

/// The raw disk, compressed with zstd.
pub(crate) static IMG_ZST: Description = Description {
    name: "img.zst",
    suffix: "img.zst",
    title: "the disk, compressed with zstd",
    magic: Magic::Start(&[0x28, 0xb5, 0x2f, 0xfd]),
    step: 1,
    most: LARGEST_DISK,
    qemu: None,
    stream: Some(Compression::Zstd),
    codec: Codec::ZstdFrames,
    start: |_, _| Ok(Box::new(Frames)),
    open: |file| expand(file, Compression::Zstd),
};

struct Frames;

impl Container for Frames {
    fn take(&mut self, _: &Stretch<'_>, blocks: &[Block], out: &mut dyn Write) -> io::Result<()> {
        blocks.iter().try_for_each(|block| out.write_all(&block.bytes))
    }

    fn finish(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
