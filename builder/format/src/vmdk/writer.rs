//! Writes VMDK front to back.

use std::io::{self, Write};

use super::{AT_END, DEFLATE, ENDINGS, FLAGS, GRAIN, GRAINS, MAGIC, SECTOR, VERSION};
use crate::codec::Block;
use crate::container::{Container, Plan, padded};
use crate::stretch::Stretch;

/// Sectors before the first grain, and where among them the descriptor is, and how long.
const OVERHEAD: u64 = 128;
const DESCRIPTOR: (u64, u64) = (1, 20);

/// Types of markers: the end of the file, a table of grains, the table of tables, the last header.
const END: u32 = 0;
const TABLE: u32 = 1;
const DIRECTORY: u32 = 2;
const FOOTER: u32 = 3;

/// Header of zlib for a window of 2^12 bytes and the usual effort (RFC 1950 §2.2).
const ZLIB: [u8; 2] = [0x48, 0x89];

/// The version of virtual hardware that the disk needs at least: ESXi 6.7.
const HARDWARE: u32 = 14;

/// Grains being written.
pub(crate) struct Grains {
    capacity: u64,
    /// Sectors written so far.
    at: u64,
    /// Where the grains of the table that is being filled are, and its number.
    table: Vec<u32>,
    number: u64,
    /// Where the tables are.
    directory: Vec<u32>,
}

impl Grains {
    /// Writes header and descriptor.
    pub(crate) fn start(plan: &Plan<'_>, out: &mut dyn Write) -> io::Result<Self> {
        let capacity = plan.size / SECTOR;
        padded(out, &header(capacity, AT_END), SECTOR)?;
        padded(out, descriptor(plan).as_bytes(), (OVERHEAD - DESCRIPTOR.0) * SECTOR)?;
        let tables = capacity.div_ceil(GRAIN * GRAINS);
        Ok(Self {
            capacity,
            at: OVERHEAD,
            table: vec![0; GRAINS as usize],
            number: 0,
            directory: vec![0; tables as usize],
        })
    }

    fn grain(&mut self, number: u64, block: &Block, out: &mut dyn Write) -> io::Result<()> {
        if number / GRAINS != self.number {
            self.end_table(out)?;
            self.number = number / GRAINS;
        }
        if block.bytes.is_empty() {
            return Ok(());
        }
        let length = ZLIB.len() + block.bytes.len() + 4;
        let mut grain = Vec::with_capacity(length + 12);
        grain.extend((number * GRAIN).to_le_bytes());
        grain.extend((length as u32).to_le_bytes());
        grain.extend(ZLIB);
        grain.extend_from_slice(&block.bytes);
        grain.extend((block.check as u32).to_be_bytes());
        self.table[(number % GRAINS) as usize] = self.sector()?;
        self.put(&grain, out)
    }

    /// Where the next sector is: 32 bits must do.
    fn sector(&self) -> io::Result<u32> {
        u32::try_from(self.at).map_err(|_| io::Error::other("the VMDK would be longer than 2 TiB"))
    }

    /// Writes whole sectors.
    fn put(&mut self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let length = (bytes.len() as u64).next_multiple_of(SECTOR);
        self.at += length / SECTOR;
        padded(out, bytes, length)
    }

    fn marker(&mut self, kind: u32, sectors: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut marker = sectors.to_le_bytes().to_vec();
        marker.extend([0; 4]);
        marker.extend(kind.to_le_bytes());
        self.put(&marker, out)
    }

    /// Writes the table of grains, unless all of them are zero.
    fn end_table(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.table.iter().all(|place| *place == 0) {
            return Ok(());
        }
        let table: Vec<u8> = self.table.iter().flat_map(|place| place.to_le_bytes()).collect();
        self.table.fill(0);
        self.marker(TABLE, table.len() as u64 / SECTOR, out)?;
        self.directory[self.number as usize] = self.sector()?;
        self.put(&table, out)
    }
}

impl Container for Grains {
    fn take(
        &mut self,
        stretch: &Stretch<'_>,
        blocks: &[Block],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let first = stretch.start() / (GRAIN * SECTOR);
        (first..).zip(blocks).try_for_each(|(number, block)| self.grain(number, block, out))
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.end_table(out)?;
        let directory: Vec<u8> =
            self.directory.iter().flat_map(|place| place.to_le_bytes()).collect();
        self.marker(DIRECTORY, (directory.len() as u64).div_ceil(SECTOR), out)?;
        let at = self.at;
        self.put(&directory, out)?;
        self.marker(FOOTER, 1, out)?;
        self.put(&header(self.capacity, at), out)?;
        self.marker(END, 0, out)
    }
}

fn header(capacity: u64, directory: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend(FLAGS.to_le_bytes());
    for number in [capacity, GRAIN, DESCRIPTOR.0, DESCRIPTOR.1] {
        out.extend(number.to_le_bytes());
    }
    out.extend((GRAINS as u32).to_le_bytes());
    for number in [0, directory, OVERHEAD] {
        out.extend(number.to_le_bytes());
    }
    out.push(0); // closed
    out.extend(ENDINGS);
    out.extend(DEFLATE.to_le_bytes());
    out
}

/// The text that describes the disk ("The Descriptor File"). What the file is called is not known
/// here, and readers of a single file ignore it.
fn descriptor(plan: &Plan<'_>) -> String {
    let sectors = plan.size / SECTOR;
    let id = plan.guid("vmdk");
    let [a, b, c, d, ..] = *id.as_bytes();
    // All ones would say that there is none.
    let content = u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff;
    let long: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let cylinders = (sectors / (255 * 63)).clamp(1, 65535);
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={content:08x}\nparentCID=ffffffff\n\
         createType=\"streamOptimized\"\n\n# Extent description\n\
         RDONLY {sectors} SPARSE \"disk.vmdk\"\n\n# The Disk Data Base\n#DDB\n\n\
         ddb.adapterType = \"lsilogic\"\nddb.encoding = \"UTF-8\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"255\"\n\
         ddb.geometry.sectors = \"63\"\nddb.longContentID = \"{long}\"\n\
         ddb.virtualHWVersion = \"{HARDWARE}\"\n"
    )
}
