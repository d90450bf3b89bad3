//! A writer that computes the SHA-256 of what passes, on a thread of its own.

use std::io::{self, Write};
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

use mailkiln_pin::Sha256;
use sha2::Digest as _;

/// Bytes that are handed to the thread at once.
const BATCH: usize = 1 << 20;

/// Passes bytes on to another writer and hashes them.
#[derive(Debug)]
pub struct Hashing<W> {
    out: W,
    written: u64,
    pending: Vec<u8>,
    work: SyncSender<Vec<u8>>,
    worker: JoinHandle<Sha256>,
}

impl<W: Write> Hashing<W> {
    /// Starts hashing what is written to `out`.
    pub fn new(out: W) -> Self {
        let (work, queue) = mpsc::sync_channel::<Vec<u8>>(4);
        let worker = thread::spawn(move || {
            let mut hasher = sha2::Sha256::new();
            queue.into_iter().for_each(|batch| hasher.update(batch));
            Sha256::from_bytes(hasher.finalize().into())
        });
        Self { out, written: 0, pending: Vec::with_capacity(BATCH), work, worker }
    }

    /// Ends: the output, the digest, and how many bytes there were.
    ///
    /// # Errors
    /// What flushing the output reports.
    pub fn finish(mut self) -> io::Result<(W, Sha256, u64)> {
        self.send()?;
        self.out.flush()?;
        drop(self.work);
        let sha256 = self.worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((self.out, sha256, self.written))
    }

    fn send(&mut self) -> io::Result<()> {
        let batch = std::mem::replace(&mut self.pending, Vec::with_capacity(BATCH));
        self.work.send(batch).map_err(|_| io::Error::other("the thread that hashes has ended"))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        let mut rest = &bytes[..written];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BATCH - self.pending.len()));
            self.pending.extend_from_slice(now);
            rest = later;
            if self.pending.len() == BATCH {
                self.send()?;
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_what_was_written() {
        for size in [0, 1, BATCH - 1, BATCH, 2 * BATCH + 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at / 3) as u8).collect();
            let mut hashing = Hashing::new(Vec::new());
            for part in bytes.chunks(100_003) {
                hashing.write_all(part).unwrap();
            }
            let (out, sha256, written) = hashing.finish().unwrap();
            assert_eq!((sha256, written), (Sha256::of(&bytes), size as u64));
            assert_eq!(out, bytes);
        }
    }
}
