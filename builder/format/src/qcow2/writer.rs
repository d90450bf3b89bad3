//! Writes qcow2: everything is counted first, then written front to back.

use std::io::{self, Write};

use super::{CLUSTER, CLUSTER_BITS, COPIED, HEADER_LEN, MAGIC, VERSION};
use crate::codec::Block;
use crate::container::{Container, Plan, padded};
use crate::stretch::Stretch;

/// Entries of 8 bytes in a cluster.
pub(super) const POINTERS: u64 = CLUSTER / 8;
/// Reference counts of 16 bits in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// log2 of the bits of a reference count.
const COUNT_ORDER: u32 = 4;

/// Where everything goes, in clusters of the file. The header is cluster 0.
pub(crate) struct Layout {
    /// Clusters of the disk that are not holes.
    pub(super) used: Vec<u64>,
    /// Numbers of second-level tables that are needed, ascending.
    tables: Vec<u64>,
    /// Entries of the first-level table.
    pointers: u64,
    pointer_clusters: u64,
    count_tables: u64,
    counts: u64,
    total: u64,
}

impl Layout {
    /// Of a disk of `size` bytes whose clusters `used` are not holes, and take `data` clusters of the file.
    pub(crate) fn new(size: u64, used: Vec<u64>, data: u64) -> Self {
        let clusters = size.div_ceil(CLUSTER);
        let mut tables: Vec<u64> = used.iter().map(|number| number / POINTERS).collect();
        tables.dedup();
        let pointers = clusters.div_ceil(POINTERS);
        let pointer_clusters = pointers.div_ceil(POINTERS).max(1);
        let rest = 1 + pointer_clusters + tables.len() as u64 + data;
        // Reference counts cover themselves, so their number is found by trying.
        let (mut counts, mut count_tables) = (1, 1);
        while rest + counts + count_tables > counts * COUNTS {
            counts += 1;
            count_tables = counts.div_ceil(POINTERS);
        }
        let total = rest + counts + count_tables;
        Self { used, tables, pointers, pointer_clusters, count_tables, counts, total }
    }

    const fn counts_at(&self) -> u64 {
        1 + self.count_tables
    }

    const fn pointers_at(&self) -> u64 {
        self.counts_at() + self.counts
    }

    const fn tables_at(&self) -> u64 {
        self.pointers_at() + self.pointer_clusters
    }

    /// The first cluster of data.
    pub(super) const fn data_at(&self) -> u64 {
        self.tables_at() + self.tables.len() as u64
    }

    /// Bytes of the file.
    pub(crate) const fn length(&self) -> u64 {
        self.total * CLUSTER
    }

    pub(super) fn header(&self, size: u64, features: u64, length: u32) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let word = |out: &mut Vec<u8>, value: u32| out.extend(value.to_be_bytes());
        let long = |out: &mut Vec<u8>, value: u64| out.extend(value.to_be_bytes());
        word(&mut out, VERSION);
        long(&mut out, 0); // backing file: none
        word(&mut out, 0);
        word(&mut out, CLUSTER_BITS);
        long(&mut out, size);
        word(&mut out, 0); // encryption: none
        word(&mut out, self.pointers as u32);
        long(&mut out, self.pointers_at() * CLUSTER);
        long(&mut out, CLUSTER);
        word(&mut out, self.count_tables as u32);
        word(&mut out, 0); // snapshots: none
        long(&mut out, 0);
        for features in [features, 0, 0] {
            long(&mut out, features);
        }
        word(&mut out, COUNT_ORDER);
        word(&mut out, length);
        out
    }

    /// All tables between the header and the data, each padded to whole clusters. `shared` are the
    /// reference counts of the first clusters of data, the others are 1; `entry` gives what the
    /// second-level table says of a used cluster, by its place among them.
    pub(super) fn write_tables(
        &self,
        shared: &[u16],
        entry: impl Fn(u64) -> u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let counts: Vec<u64> = (0..self.counts).map(|n| (self.counts_at() + n) * CLUSTER).collect();
        padded(out, &be_bytes(&counts), self.count_tables * CLUSTER)?;
        let mut counted = vec![1_u16; self.total as usize];
        counted[self.data_at() as usize..][..shared.len()].copy_from_slice(shared);
        let counted: Vec<u8> = counted.iter().flat_map(|count| count.to_be_bytes()).collect();
        padded(out, &counted, self.counts * CLUSTER)?;
        let mut first = vec![0; self.pointers as usize];
        for (place, number) in (self.tables_at()..).zip(&self.tables) {
            first[*number as usize] = (place * CLUSTER) | COPIED;
        }
        padded(out, &be_bytes(&first), self.pointer_clusters * CLUSTER)?;
        let mut place = 0;
        let mut used = self.used.as_slice();
        for number in &self.tables {
            let mut second = vec![0; POINTERS as usize];
            let here = used.partition_point(|cluster| cluster / POINTERS == *number);
            for cluster in &used[..here] {
                second[(cluster % POINTERS) as usize] = entry(place);
                place += 1;
            }
            used = &used[here..];
            padded(out, &be_bytes(&second), CLUSTER)?;
        }
        Ok(())
    }
}

/// Writes what comes before the clusters.
pub(super) fn start(plan: &Plan<'_>, out: &mut dyn Write) -> io::Result<Box<dyn Container>> {
    let used = plan.used(CLUSTER);
    let data = used.len() as u64;
    let layout = Layout::new(plan.disk.size(), used, data);
    Ok(Box::new(Clusters::start(&layout, plan.size, out)?))
}

/// Clusters, one after the other as they are.
pub(crate) struct Clusters;

impl Clusters {
    /// Writes the tables of a disk of `size` bytes, whole sectors.
    pub(crate) fn start(layout: &Layout, size: u64, out: &mut dyn Write) -> io::Result<Self> {
        padded(out, &layout.header(size, 0, HEADER_LEN as u32), CLUSTER)?;
        let data = layout.data_at();
        layout.write_tables(&[], |place| ((data + place) * CLUSTER) | COPIED, out)?;
        Ok(Self)
    }
}

impl Container for Clusters {
    fn take(&mut self, stretch: &Stretch<'_>, _: &[Block], out: &mut dyn Write) -> io::Result<()> {
        stretch.each_block(CLUSTER, |_, cluster| match cluster {
            Some(bytes) => padded(out, bytes, CLUSTER),
            None => Ok(()),
        })
    }

    fn finish(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn be_bytes(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}
