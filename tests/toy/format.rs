//! A toy: a magic number, the length of the disk, the disk.
//!
//! In: a disk. Out: its bytes after a header of one sector.

use std::io::{self, Write};

use mailkiln_bytes_at::{ReadAt as _, Window};

use crate::codec::Codec;
use crate::container::{Container, Plan, padded};
use crate::img::Raw;
use crate::open::{BadFormat, Foreign, LARGEST_DISK, Opened};
use crate::registry::{Description, Magic};

const MAGIC: &[u8; 8] = b"TOY DISK";

/// Bytes of the header.
const HEADER: u64 = 512;

/// The toy.
pub(crate) static TOY: Description = Description {
    name: "toy",
    suffix: "toy",
    title: "a toy: the disk after a header",
    magic: Magic::Start(MAGIC),
    step: 1,
    most: LARGEST_DISK,
    qemu: None,
    stream: None,
    codec: Codec::Plain,
    start,
    open,
};

fn start(plan: &Plan<'_>, out: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    padded(out, &[*MAGIC, plan.size.to_le_bytes()].concat(), HEADER)?;
    Ok(Box::new(Raw))
}

fn open(file: Foreign) -> Result<Opened, BadFormat> {
    let mut size = [0; 8];
    file.source.read_exact_at(&mut size, MAGIC.len() as u64)?;
    let window = Window::new(file.source, HEADER, u64::from_le_bytes(size));
    Ok(Box::new(window.ok_or(BadFormat::Damaged("it is shorter than its disk"))?))
}
