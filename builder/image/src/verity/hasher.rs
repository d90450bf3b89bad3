//! Hashes data blocks while they stream past, on as many threads as the machine has.
//!
//! In: the data, written in pieces of any length. Out: the digests in order, grown into a tree.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use mailkiln_pin::Sha256;

use super::{BLOCK, Verity, digest, grow};

/// Data blocks that are handed to a thread at once: 1 MiB.
const BATCH: usize = 256;

type Batch = (usize, Vec<u8>);
type Digests = (usize, Vec<[u8; 32]>);

/// A [`Write`] that hashes what is written to it.
#[derive(Debug)]
pub struct Hasher {
    salt: Sha256,
    pending: Vec<u8>,
    sent: usize,
    work: SyncSender<Batch>,
    workers: Vec<JoinHandle<Vec<Digests>>>,
}

impl Hasher {
    /// Starts hashing with this salt.
    pub fn new(salt: Sha256) -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(8);
        let (work, queue) = mpsc::sync_channel(2 * threads);
        let queue = Arc::new(Mutex::new(queue));
        let workers = (0..threads)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || hash_batches(&salt, &queue))
            })
            .collect();
        Self { salt, pending: Vec::new(), sent: 0, work, workers }
    }

    /// Ends the data and grows the tree. The last block must be whole.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the data is empty or not a multiple of 4096 bytes.
    pub fn finish(mut self) -> io::Result<Verity> {
        if !self.pending.len().is_multiple_of(BLOCK) {
            return Err(not_whole());
        }
        self.send()?;
        drop(self.work);
        let mut batches = Vec::new();
        for worker in self.workers {
            batches.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        batches.sort_by_key(|(number, _)| *number);
        let leaves: Vec<_> = batches.into_iter().flat_map(|(_, digests)| digests).collect();
        if leaves.is_empty() {
            return Err(not_whole());
        }
        Ok(grow(&self.salt, leaves))
    }

    fn send(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let batch = (self.sent, std::mem::take(&mut self.pending));
        self.sent += 1;
        self.work.send(batch).map_err(|_| io::Error::other("the threads that hash have ended"))
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BATCH * BLOCK - self.pending.len();
        let taken = &bytes[..bytes.len().min(room)];
        if self.pending.capacity() == 0 {
            self.pending.reserve_exact(BATCH * BLOCK);
        }
        self.pending.extend_from_slice(taken);
        if self.pending.len() == BATCH * BLOCK {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hash_batches(salt: &Sha256, queue: &Mutex<Receiver<Batch>>) -> Vec<Digests> {
    let mut done = Vec::new();
    loop {
        // The lock is held only while waiting for one batch; hashing happens outside it.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, bytes)) = next else { return done };
        done.push((number, bytes.chunks(BLOCK).map(|block| digest(salt, block)).collect()));
    }
}

fn not_whole() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "dm-verity covers whole blocks: the data must be a multiple of 4096 bytes, and not empty",
    )
}
