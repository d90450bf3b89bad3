//! Writes qcow2: everything is counted first, then written front to back.

use std::io::{self, Write};

use super::{CLUSTER_BITS, COPIED, HEADER_LEN, MAGIC, VERSION};
use crate::sparse::Sparse;

const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of 8 bytes in a cluster.
const POINTERS: u64 = CLUSTER / 8;
/// Reference counts of 16 bits in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// log2 of the bits of a reference count.
const COUNT_ORDER: u32 = 4;

/// Where everything goes, in clusters of the file. The header is cluster 0.
struct Layout {
    /// Clusters of the disk that are not holes.
    used: Vec<u64>,
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
    fn new(disk: &Sparse<'_>) -> Self {
        let clusters = disk.size().div_ceil(CLUSTER);
        let used: Vec<u64> = (0..clusters)
            .filter(|number| !disk.is_hole(number * CLUSTER, (number + 1) * CLUSTER))
            .collect();
        let mut tables: Vec<u64> = used.iter().map(|number| number / POINTERS).collect();
        tables.dedup();
        let pointers = clusters.div_ceil(POINTERS);
        let pointer_clusters = pointers.div_ceil(POINTERS).max(1);
        let rest = 1 + pointer_clusters + tables.len() as u64 + used.len() as u64;
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

    const fn data_at(&self) -> u64 {
        self.tables_at() + self.tables.len() as u64
    }

    fn header(&self, size: u64) -> Vec<u8> {
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
        for _ in 0..3 {
            long(&mut out, 0); // features: none
        }
        word(&mut out, COUNT_ORDER);
        word(&mut out, HEADER_LEN as u32);
        out
    }

    /// All tables between the header and the data, each padded to whole clusters.
    fn write_tables(&self, out: &mut dyn Write) -> io::Result<()> {
        let counts: Vec<u64> = (0..self.counts).map(|n| (self.counts_at() + n) * CLUSTER).collect();
        padded(out, &be_bytes(&counts), self.count_tables)?;
        padded(out, &1_u16.to_be_bytes().repeat(self.total as usize), self.counts)?;
        let mut first = vec![0; self.pointers as usize];
        for (place, number) in (self.tables_at()..).zip(&self.tables) {
            first[*number as usize] = (place * CLUSTER) | COPIED;
        }
        padded(out, &be_bytes(&first), self.pointer_clusters)?;
        let mut place = self.data_at();
        let mut used = self.used.as_slice();
        for number in &self.tables {
            let mut second = vec![0; POINTERS as usize];
            let here = used.partition_point(|cluster| cluster / POINTERS == *number);
            for cluster in &used[..here] {
                second[(cluster % POINTERS) as usize] = (place * CLUSTER) | COPIED;
                place += 1;
            }
            used = &used[here..];
            padded(out, &be_bytes(&second), 1)?;
        }
        Ok(())
    }
}

/// Writes `disk` as a qcow2 image whose size is rounded up to whole sectors.
pub(crate) fn write(disk: &Sparse<'_>, out: &mut dyn Write) -> io::Result<()> {
    let layout = Layout::new(disk);
    padded(out, &layout.header(disk.size().next_multiple_of(512)), 1)?;
    layout.write_tables(out)?;
    for number in &layout.used {
        let start = number * CLUSTER;
        let end = (start + CLUSTER).min(disk.size());
        padded(out, &disk.piece(start, end)?, 1)?;
    }
    Ok(())
}

fn be_bytes(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn padded(out: &mut dyn Write, bytes: &[u8], clusters: u64) -> io::Result<()> {
    static ZEROS: [u8; CLUSTER as usize] = [0; CLUSTER as usize];
    out.write_all(bytes)?;
    let mut gap = (clusters * CLUSTER) as usize - bytes.len();
    while gap > 0 {
        let now = gap.min(ZEROS.len());
        out.write_all(&ZEROS[..now])?;
        gap -= now;
    }
    Ok(())
}
