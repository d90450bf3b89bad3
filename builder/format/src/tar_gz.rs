//! `tar.gz`, as Google Compute Engine takes it: an archive of GNU's old format with one member.
//!
//! In: a disk with holes. Out: a sparse `disk.raw` whose length is whole GiB (Compute Engine, "Manually
//! import boot disks": `--format=oldgnu`, whole GiB, one member of this name). What is stored is whole MiB of the
//! disk, so that the parts are those of `img.gz`, and are deflated once for both.

use std::io::{self, Write};

use crate::codec::{Block, Codec};
use crate::container::{Container, Plan};
use crate::gz::Member;
use crate::open::{BadFormat, Foreign, LARGEST_DISK, Opened, Scratch, stream};
use crate::registry::{Compression, Description, Magic};
use crate::sparse::PIECE;
use crate::stretch::Stretch;
use crate::tar;

/// What the member is called.
const NAME: &str = "disk.raw";

/// An archive ends with two blocks of zeros.
const END: u64 = 2 * tar::BLOCK;

/// Parts of a sparse file that are read: a disk of 2 TiB in pieces of 4 MiB.
const MOST_PARTS: usize = 1 << 19;

/// For Google Compute Engine.
pub(crate) static TAR_GZ: Description = Description {
    name: "tar.gz",
    suffix: "tar.gz",
    title: "Google Compute Engine: disk.raw of whole GiB",
    magic: Magic::TarGz(NAME),
    step: 1 << 30,
    most: LARGEST_DISK,
    qemu: None,
    stream: None,
    codec: Codec::Gzip,
    start,
    open,
};

struct Archive {
    member: Member,
    stored: u64,
}

fn start(plan: &Plan<'_>, out: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    let end = plan.disk.size();
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for number in plan.used(PIECE) {
        let start = number * PIECE;
        let length = (start + PIECE).min(end) - start;
        match parts.last_mut().filter(|(at, length)| at + length == start) {
            Some((_, last)) => *last += length,
            None => parts.push((start, length)),
        }
    }
    let stored = parts.iter().map(|(_, length)| length).sum();
    if parts.last().is_none_or(|(at, length)| at + length < plan.size) {
        // Where the file ends with a hole, an empty part says how long it is.
        parts.push((plan.size, 0));
    }
    let mut member = Member::start(out)?;
    member.add_plain(&tar::sparse_header(NAME, plan.size, &parts), out)?;
    Ok(Box::new(Archive { member, stored }))
}

impl Container for Archive {
    fn take(
        &mut self,
        stretch: &Stretch<'_>,
        blocks: &[Block],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        for (at, block) in (stretch.start()..).step_by(PIECE as usize).zip(blocks) {
            if !stretch.is_hole(at, at + block.length) {
                self.member.add(block, out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let padding = self.stored.next_multiple_of(tar::BLOCK) - self.stored;
        self.member.add_plain(&vec![0; (padding + END) as usize], out)?;
        self.member.finish(out)
    }
}

fn open(file: Foreign) -> Result<Opened, BadFormat> {
    let mut stream = stream(file, Compression::Gzip)?;
    let layout = tar::read_sparse(&mut *stream, MOST_PARTS)?;
    let mut out = Scratch::new()?;
    for (offset, length) in layout.parts {
        out.fill(offset, &mut *stream, length)?;
        if out.end != offset + length {
            return Err(BadFormat::Damaged("the archive ends too early"));
        }
    }
    // The rest is read too: only then is the checksum known to be right.
    io::copy(&mut stream, &mut io::sink())?;
    Ok(Box::new(out.finish(layout.size)?))
}
