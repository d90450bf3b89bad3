//! `img.zst`: the disk as zstd frames, each of the same length of disk.
//!
//! In: a disk. Out: frames that any zstd joins to the disk again (RFC 8878 §3). Every frame is
//! made by one thread from its own bytes alone, so neither the number of threads nor their
//! order shows in the result.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use zstd::zstd_safe::CParameter;

use crate::sparse::Sparse;

/// Bytes of disk that one frame holds, and the window in which repetitions are found. The boot
/// partition comes first and holds kernel and initrd twice (for UEFI and for a BIOS), which
/// together fit one frame, so the second copy costs nothing. `zstd -d` takes windows of up to
/// 128 MiB without being asked.
const FRAME_LOG: u32 = 25;
const FRAME: u64 = 1 << FRAME_LOG;

/// Almost everything on the disk is compressed already; higher levels find nothing more.
const LEVEL: i32 = 3;

/// Each thread needs some 80 MiB: input window, tables, and the frame it waits to hand over.
const MOST_THREADS: usize = 4;

/// Writes `disk` as frames.
pub(crate) fn write(disk: &Sparse<'_>, out: &mut dyn Write) -> io::Result<()> {
    let frames = disk.size().div_ceil(FRAME);
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.min(MOST_THREADS).min(frames.max(1) as usize);
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // No room in the channel: a thread keeps its frame until the writer has taken it.
        let (done, finished) = mpsc::sync_channel(0);
        for _ in 0..threads {
            let (done, next, stop) = (done.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= frames || done.send((number, frame(disk, number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let result = join(finished, out);
        stop.store(true, Ordering::Relaxed);
        result
    })
}

/// Writes frames in their order, whichever comes first.
fn join(finished: Receiver<(u64, io::Result<Vec<u8>>)>, out: &mut dyn Write) -> io::Result<()> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, frame) in finished {
        early.insert(number, frame?);
        while let Some(frame) = early.remove(&next) {
            out.write_all(&frame)?;
            next += 1;
        }
    }
    Ok(())
}

fn frame(disk: &Sparse<'_>, number: u64) -> io::Result<Vec<u8>> {
    let start = number * FRAME;
    let end = (start + FRAME).min(disk.size());
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.set_parameter(CParameter::WindowLog(FRAME_LOG))?;
    encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(end - start))?;
    for piece in disk.pieces_of(start, end) {
        encoder.write_all(&piece?)?;
    }
    encoder.finish()
}
