//! One pass over a disk, into any number of formats.
//!
//! In: a disk, and the formats with what to write them to. Out: their bytes. The disk is read once; what
//! two formats compress in the same way is compressed once, on all processors, and written in order.
//! Neither the number of threads nor which formats are made together shows in the result.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use mailkiln_image::gpt;
use mailkiln_pin::{Arch, Sha256};

use crate::codec::{Block, Codec, Zeros};
use crate::container::Plan;
use crate::registry::Format;
use crate::sparse::Sparse;
use crate::stretch::Stretch;
use crate::{Range, bmap};

/// Memory that stretches and encoders may take together, in bytes.
const MEMORY: u64 = 256 << 20;

/// Stretches of one piece that wait for each thread, so that none of them does.
const AHEAD: u64 = 4;

/// Bytes at the start of a disk from which it is identified, beside its length: they hold the partition
/// table, whose GUIDs are derived from what is in the partitions.
const FRONT: u64 = 64 << 10;

/// What is made, and what of.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The disk.
    pub disk: &'a Sparse<'a>,
    /// What the machine is called, where a format says so (OVA).
    pub name: &'a str,
    /// A folder for temporary files.
    pub scratch: &'a Path,
    /// How many threads compress; `None` for as many as there are processors.
    pub threads: Option<NonZeroUsize>,
    /// Whether to make the ranges of a block map too.
    pub map: bool,
}

/// Writes a disk in several formats at once; gives the ranges of its block map, if they were asked for.
///
/// # Errors
/// What reading the disk or writing reports; [`io::ErrorKind::InvalidInput`] when a format can't hold
/// such a disk.
pub fn write(job: &Job<'_>, outputs: &mut [(Format, &mut dyn Write)]) -> io::Result<Vec<Range>> {
    let formats: Vec<Format> = outputs.iter().map(|(format, _)| *format).collect();
    let codecs = codecs(&formats, job.map);
    let identity = identity(job.disk)?;
    let arch = arch(job.disk);
    let mut containers = Vec::new();
    for (format, out) in outputs.iter_mut() {
        let size = job.disk.size().next_multiple_of(format.step());
        if size > format.most() {
            let text = format!("{format} holds disks of up to {} GiB", format.most() >> 30);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let Job { disk, name, scratch, .. } = *job;
        let plan = Plan { disk, size, name, identity, arch, scratch };
        containers.push((format.0.start)(&plan, out)?);
    }
    let mut ranges = Vec::new();
    stretches(job, &codecs, |done| {
        ranges.extend(done.ranges);
        for ((format, out), container) in outputs.iter_mut().zip(&mut containers) {
            let place = codecs.iter().position(|codec| *codec == format.0.codec);
            let blocks = place.map_or(&[][..], |place| &done.blocks[place]);
            container.take(&done.stretch, blocks, out)?;
        }
        Ok(())
    })?;
    for ((_, out), container) in outputs.iter_mut().zip(&mut containers) {
        container.finish(out)?;
        out.flush()?;
    }
    Ok(ranges)
}

/// The codecs of some formats, each once.
fn codecs(formats: &[Format], map: bool) -> Vec<Codec> {
    let mut codecs: Vec<Codec> = if map { vec![Codec::Plain] } else { Vec::new() };
    for format in formats {
        if !codecs.contains(&format.0.codec) {
            codecs.push(format.0.codec);
        }
    }
    codecs
}

/// What identifiers in the formats are derived from.
fn identity(disk: &Sparse<'_>) -> io::Result<Sha256> {
    let mut bytes = disk.size().to_le_bytes().to_vec();
    bytes.extend_from_slice(&disk.piece(0, FRONT.min(disk.size()))?);
    Ok(Sha256::of(&bytes))
}

/// For which processor the root file system on the disk is, where the partition table says so.
fn arch(disk: &Sparse<'_>) -> Option<Arch> {
    let table = gpt::read(disk.source()).ok()?;
    let is_there = |arch: &Arch| {
        table.partitions.iter().any(|partition| partition.kind == gpt::kind::root(*arch))
    };
    Arch::ALL.into_iter().find(is_there)
}

/// A stretch that has been through the codecs.
struct Done<'a> {
    stretch: Stretch<'a>,
    /// For each codec what it made.
    blocks: Vec<Vec<Block>>,
    ranges: Vec<Range>,
}

/// Sends the disk through the codecs, and hands it on in order.
fn stretches<'a>(
    job: &Job<'a>,
    codecs: &[Codec],
    mut commit: impl FnMut(Done<'a>) -> io::Result<()>,
) -> io::Result<()> {
    let unit = codecs.iter().map(|codec| codec.unit()).max().unwrap_or(1);
    let size = job.disk.size();
    let count = size.div_ceil(unit);
    let (threads, ahead) = bounds(job, codecs, unit, count);
    let keep = is_kept(codecs);
    let zeros = Zeros::default();
    let encode = |number: u64| {
        let start = number * unit;
        let stretch = Stretch::new(job.disk, start, (start + unit).min(size), keep);
        let blocks = codecs.iter().map(|codec| codec.encode(&stretch, &zeros));
        let blocks = blocks.collect::<io::Result<_>>()?;
        let ranges = if job.map { bmap::ranges(&stretch)? } else { Vec::new() };
        Ok(Done { stretch, blocks, ranges })
    };
    let (work, queue) = mpsc::channel::<u64>();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        let (done, finished) = mpsc::channel();
        for _ in 0..threads {
            let (done, queue, encode) = (done.clone(), &queue, &encode);
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(number) = next else { return };
                    if done.send((number, encode(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        in_order(work, &finished, count, ahead, &mut commit)
    })
}

/// Threads, and stretches on their way at once.
fn bounds(job: &Job<'_>, codecs: &[Codec], unit: u64, count: u64) -> (u64, u64) {
    let available = job.threads.or_else(|| thread::available_parallelism().ok());
    let available = available.map_or(1, NonZeroUsize::get) as u64;
    // What a codec makes may be as long as the stretch; for one of its own units its memory includes that.
    let made = |codec: &&Codec| **codec != Codec::Plain;
    let results = unit * codecs.iter().filter(made).count() as u64;
    let longer =
        unit * codecs.iter().filter(made).filter(|codec| codec.unit() < unit).count() as u64;
    let kept = if is_kept(codecs) { unit } else { 0 };
    let each = kept + longer + codecs.iter().map(|codec| codec.memory()).sum::<u64>();
    let threads = available.min(MEMORY / each.max(1)).clamp(1, count.max(1));
    let ahead = MEMORY.saturating_sub(threads * each) / (kept + results).max(1);
    (threads, threads + ahead.min(threads * AHEAD))
}

/// Whether pieces are kept. Frames of zstd are so large that this doubles the memory, and they alone read each piece
/// once.
fn is_kept(codecs: &[Codec]) -> bool {
    codecs != [Codec::ZstdFrames]
}

/// Keeps `ahead` stretches on their way, and commits them in order, whichever is ready first.
fn in_order<'a>(
    work: Sender<u64>,
    finished: &Receiver<(u64, io::Result<Done<'a>>)>,
    count: u64,
    ahead: u64,
    commit: &mut impl FnMut(Done<'a>) -> io::Result<()>,
) -> io::Result<()> {
    let ended = |_| io::Error::other("the threads that compress have ended");
    for number in 0..ahead.min(count) {
        work.send(number).map_err(ended)?;
    }
    let mut early = BTreeMap::new();
    let mut next = 0;
    while next < count {
        let (number, done) = finished
            .recv()
            .map_err(|_| io::Error::other("the threads that compress have ended"))?;
        early.insert(number, done?);
        while let Some(done) = early.remove(&next) {
            commit(done)?;
            if next + ahead < count {
                work.send(next + ahead).map_err(ended)?;
            }
            next += 1;
        }
    }
    Ok(())
}
