//! Writes qcow2 with compressed clusters.
//!
//! In: compressed clusters, in the order of the disk. Out: header and tables, then compressed clusters
//! back to back, then those that do not get smaller. How long they become is known at the end only, so
//! they wait in two temporary files.

use std::io::{self, Write};

use super::writer::Layout;
use super::{CLUSTER, CLUSTER_BITS, COMPRESSED, COMPRESSION_TYPE, COPIED, HEADER_LEN};
use crate::codec::Block;
use crate::container::{Container, Plan, padded, zeros};
use crate::sparse::ZEROS;
use crate::spool::Spool;
use crate::stretch::Stretch;

/// Sectors in which the length of a compressed cluster is counted.
const SECTOR: u64 = 512;

/// Bits of a second-level entry that hold a compressed cluster's offset; its length is above them.
const OFFSET_BITS: u32 = 62 - (CLUSTER_BITS - 8);

/// How clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Raw deflate.
    Zlib,
    /// A zstd frame.
    Zstd,
}

/// Where a cluster waits.
enum Place {
    /// At this offset among the compressed ones, in so many bytes.
    Packed(u64, u64),
    /// In this place among those that are kept as they are.
    Whole(u64),
}

struct Packed {
    compression: Compression,
    size: u64,
    /// Numbers and places of the clusters that are not zero, in the order of the disk.
    used: Vec<u64>,
    places: Vec<Place>,
    packed: Spool,
    whole: Spool,
}

/// Writes nothing yet.
pub(super) fn start(plan: &Plan<'_>, compression: Compression) -> io::Result<Box<dyn Container>> {
    Ok(Box::new(Packed {
        compression,
        size: plan.size,
        used: Vec::new(),
        places: Vec::new(),
        packed: Spool::new(plan.scratch)?,
        whole: Spool::new(plan.scratch)?,
    }))
}

impl Container for Packed {
    fn take(
        &mut self,
        stretch: &Stretch<'_>,
        blocks: &[Block],
        _: &mut dyn Write,
    ) -> io::Result<()> {
        let mut blocks = blocks.iter();
        stretch.each_block(CLUSTER, |at, cluster| {
            let (Some(block), Some(bytes)) = (blocks.next(), cluster) else { return Ok(()) };
            if block.bytes.is_empty() {
                return Ok(());
            }
            self.used.push(at / CLUSTER);
            if block.bytes.len() as u64 >= CLUSTER {
                self.places.push(Place::Whole(self.whole.length() / CLUSTER));
                self.whole.write_all(bytes)?;
                return self.whole.write_all(&ZEROS[..CLUSTER as usize - bytes.len()]);
            }
            self.places.push(Place::Packed(self.packed.length(), block.bytes.len() as u64));
            self.packed.write_all(&block.bytes)
        })
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let packed = self.packed.length().div_ceil(CLUSTER);
        let data = packed + self.whole.length() / CLUSTER;
        let layout = Layout::new(self.size, std::mem::take(&mut self.used), data);
        let (features, length) = match self.compression {
            Compression::Zlib => (0, HEADER_LEN),
            Compression::Zstd => (COMPRESSION_TYPE, HEADER_LEN + 8),
        };
        let mut header = layout.header(self.size, features, length as u32);
        if self.compression == Compression::Zstd {
            // The compression type: 1 is zstd. Seven bytes pad it.
            header.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        }
        padded(out, &header, CLUSTER)?;
        let first = layout.data_at() * CLUSTER;
        let entry = |place: u64| match self.places[place as usize] {
            Place::Whole(number) => (first + (packed + number) * CLUSTER) | COPIED,
            Place::Packed(at, length) => {
                let (start, end) = (first + at, first + at + length);
                let more = (end - 1) / SECTOR - start / SECTOR;
                COMPRESSED | more << OFFSET_BITS | start
            }
        };
        layout.write_tables(&self.shared(packed), entry, out)?;
        self.packed.copy_to(out)?;
        zeros(out, packed * CLUSTER - self.packed.length())?;
        self.whole.copy_to(out)
    }
}

impl Packed {
    /// How many compressed clusters each cluster of the file has a part of.
    fn shared(&self, packed: u64) -> Vec<u16> {
        let mut counts = vec![0; packed as usize];
        for place in &self.places {
            if let Place::Packed(at, length) = *place {
                for count in
                    &mut counts[(at / CLUSTER) as usize..=((at + length - 1) / CLUSTER) as usize]
                {
                    *count += 1;
                }
            }
        }
        counts
    }
}
