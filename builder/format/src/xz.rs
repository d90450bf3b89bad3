//! `img.xz`: the disk as one xz stream of blocks, which every flasher reads.
//!
//! In: blocks. Out: header, blocks, index and footer (The .xz File Format 1.2.1 §2.1).

use std::io::{self, Write};

use crate::codec::{Block, Codec, XZ_CHECK};
use crate::container::{Container, Plan};
use crate::open::{LARGEST_DISK, expand};
use crate::registry::{Compression, Description, Magic};
use crate::stretch::Stretch;

/// First bytes of a stream (§2.1.1.1).
const MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];

/// Last bytes of a stream (§2.1.2.4).
const FOOTER_MAGIC: [u8; 2] = *b"YZ";

/// Stream flags (§2.1.1.2).
const FLAGS: [u8; 2] = [0, XZ_CHECK];

/// The raw disk, compressed with xz.
pub(crate) static IMG_XZ: Description = Description {
    name: "img.xz",
    suffix: "img.xz",
    title: "the disk, compressed with xz: for any flasher",
    magic: Magic::Start(&MAGIC),
    step: 1,
    most: LARGEST_DISK,
    qemu: None,
    stream: Some(Compression::Xz),
    codec: Codec::Xz,
    start,
    open: |file| expand(file, Compression::Xz),
};

#[derive(Default)]
struct Xz {
    /// Unpadded size and uncompressed size of each block.
    index: Vec<(u64, u64)>,
}

fn start(_: &Plan<'_>, out: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    out.write_all(&MAGIC)?;
    out.write_all(&FLAGS)?;
    out.write_all(&crc32fast::hash(&FLAGS).to_le_bytes())?;
    Ok(Box::new(Xz::default()))
}

impl Container for Xz {
    fn take(&mut self, _: &Stretch<'_>, blocks: &[Block], out: &mut dyn Write) -> io::Result<()> {
        for block in blocks {
            out.write_all(&block.bytes)?;
            self.index.push((block.check, block.length));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        // The index (§4): an indicator, the number of records, the records.
        let mut index = vec![0];
        number(&mut index, self.index.len() as u64);
        for (unpadded, length) in &self.index {
            number(&mut index, *unpadded);
            number(&mut index, *length);
        }
        index.resize(index.len().next_multiple_of(4), 0);
        index.extend(crc32fast::hash(&index).to_le_bytes());
        out.write_all(&index)?;
        // The footer (§2.1.2): how long the index is in words, less one.
        let mut footer = (index.len() as u32 / 4 - 1).to_le_bytes().to_vec();
        footer.extend(FLAGS);
        out.write_all(&crc32fast::hash(&footer).to_le_bytes())?;
        out.write_all(&footer)?;
        out.write_all(&FOOTER_MAGIC)
    }
}

/// A multibyte integer (§1.2).
fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
