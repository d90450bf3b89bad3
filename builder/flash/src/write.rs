//! Writes an image to a target and has it verified.
//!
//! In: an image, a target. Out: the target with the image, or an error and a target that nothing
//! boots from. One thread reads and expands, one hashes, and the caller's writes; what is read is
//! never far ahead of what is written.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use mailkiln_pin::Sha256;
use sha2::Digest as _;

use crate::buffer::Buffer;
use crate::image::Stream;
use crate::plan::{HEAD, Job, PIECE, Piece, Written, pieces, rounded};
use crate::verify::verify;
use crate::{FlashError, Image, Interrupt, Phase, Progress, Target};

/// Pieces between the reader and the writer, in memory.
const BUFFERS: usize = 8;

/// How an image was flashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flashed {
    /// Bytes of the image.
    pub size: u64,
    /// Bytes that were written and compared.
    pub written: u64,
    /// How long it took until everything was on the target.
    pub writing: Duration,
    /// How long it took to read it back.
    pub verifying: Duration,
    /// Whether the kernel has read the new partition table.
    pub rescanned: bool,
}

/// Writes `image` to `target`, reads it back and compares. The first MiB is emptied first and
/// written last, when everything else was found right.
///
/// # Errors
/// [`FlashError`]; when it is no refusal, nothing boots from the target.
pub fn flash(
    image: &mut Image,
    target: &mut dyn Target,
    watch: &dyn Progress,
    stop: &Interrupt,
) -> Result<Flashed, FlashError> {
    let size = image.measure(watch)?;
    let device = target.path().to_owned();
    if stop.asked() {
        return Err(FlashError::Interrupted { device, at: 0 });
    }
    if target.size() < size {
        return Err(FlashError::TooSmall { device, size: target.size(), needed: size });
    }
    let job = Job { image, size, watch, stop };
    let started = Instant::now();
    job.empty_head(target)?;
    let total = job.image.map().map_or(size, mailkiln_format::Bmap::mapped);
    watch.begin(Phase::Writing, total);
    let written = job.write_body(target);
    watch.end();
    let (body, head) = written?;
    job.settle(target)?;
    let writing = started.elapsed();
    let bytes = |pieces: &[Written]| pieces.iter().map(|piece| piece.length as u64).sum::<u64>();
    watch.begin(Phase::Verifying, bytes(&body));
    target.forget();
    let verified = verify(&job, target, &body);
    watch.end();
    if let Err(error) = verified {
        // A card that lies about its size puts what it has no room for at its start.
        let _ = job.empty_head(target);
        return Err(job.blame(error, &body));
    }
    let head = job.write_head(target, head)?;
    let verifying = started.elapsed() - writing;
    let rescanned = target.rescan();
    let written = bytes(&body) + bytes(&head);
    Ok(Flashed { size, written, writing, verifying, rescanned })
}

/// A piece with its bytes.
struct Held {
    piece: Written,
    buffer: Buffer,
}

impl Job<'_> {
    /// Overwrites the partition table that is there, so that a target that is written in part looks
    /// like nothing that boots.
    fn empty_head(&self, target: &mut dyn Target) -> Result<(), FlashError> {
        let length = HEAD.min(target.size());
        target
            .write_at(&Buffer::new(length as usize), 0)
            .and_then(|()| target.sync())
            .map_err(|error| self.write_failed(target, 0, error))
    }

    /// Writes all pieces but those of the head. Out: what was written, and the head.
    fn write_body(&self, target: &mut dyn Target) -> Result<(Vec<Written>, Vec<Held>), FlashError> {
        let block = target.block();
        let skip_zeros = target.is_blank();
        let stream = self.image.stream()?;
        thread::scope(|scope| {
            let (free, buffers) = mpsc::channel();
            let (filled, to_hash) = mpsc::sync_channel(BUFFERS);
            let (hashed, to_write) = mpsc::sync_channel(BUFFERS);
            for _ in 0..BUFFERS {
                let _ = free.send(Buffer::new(PIECE as usize + rounded(1, block)));
            }
            scope.spawn(|| self.read(stream, buffers, filled));
            scope.spawn(|| self.hash(to_hash, hashed));
            // `to_write` and `free` end with this call, and then the threads do.
            self.write(target, to_write, free, skip_zeros)
        })
    }

    /// The first thread: reads the pieces of the image.
    fn read(
        &self,
        mut stream: Stream,
        buffers: Receiver<Buffer>,
        filled: SyncSender<Result<(Piece, Buffer), FlashError>>,
    ) {
        let mut scratch = vec![0; PIECE as usize];
        let mut read = || {
            for piece in pieces(self.size, self.image.map()) {
                stream.skip_to(piece.start, &mut scratch)?;
                // Whoever no longer takes pieces has told why.
                let Ok(mut buffer) = buffers.recv() else { return Ok(()) };
                stream.read_exact(&mut buffer[..piece.length])?;
                buffer[piece.length..].fill(0);
                if filled.send(Ok((piece, buffer))).is_err() {
                    return Ok(());
                }
            }
            stream.skip_to(self.size, &mut scratch)?;
            stream.check_end()
        };
        if let Err(error) = read() {
            let _ = filled.send(Err(error));
        }
    }

    /// The second thread: tells what each piece must be when it is read back. A piece that is a range
    /// of the block map is not hashed, since the map says it, and hashing is slower than a fast disk;
    /// whether it was the image or the medium that did not keep to the map, [`Self::blame`] finds out.
    /// Others are hashed, and compared with the map.
    fn hash(
        &self,
        to_hash: Receiver<Result<(Piece, Buffer), FlashError>>,
        hashed: SyncSender<Result<Held, FlashError>>,
    ) {
        // The digest of a range of several pieces, and where it began.
        let mut range: Option<(u64, sha2::Sha256)> = None;
        for filled in to_hash {
            let held = filled.and_then(|(piece, buffer)| {
                let bytes = &buffer[..piece.length];
                let sha256 = match piece.ends {
                    // The head is the last to be written, and must be right then.
                    Some(known) if range.is_none() && piece.start >= HEAD => known,
                    _ => {
                        let sha256 = Sha256::of(bytes);
                        self.check_range(&piece, bytes, sha256, &mut range)?;
                        sha256
                    }
                };
                let piece = Written { start: piece.start, length: piece.length, sha256 };
                Ok(Held { piece, buffer })
            });
            let ended = held.is_err();
            if hashed.send(held).is_err() || ended {
                return;
            }
        }
    }

    fn check_range(
        &self,
        piece: &Piece,
        bytes: &[u8],
        sha256: Sha256,
        range: &mut Option<(u64, sha2::Sha256)>,
    ) -> Result<(), FlashError> {
        if self.image.map().is_none() {
            return Ok(());
        }
        let (start, found) = match (range.take(), piece.ends) {
            (None, Some(_)) => (piece.start, sha256),
            (begun, ends) => {
                let (start, mut hasher) =
                    begun.unwrap_or_else(|| (piece.start, sha2::Sha256::new()));
                hasher.update(bytes);
                if ends.is_none() {
                    *range = Some((start, hasher));
                    return Ok(());
                }
                (start, Sha256::from_bytes(hasher.finalize().into()))
            }
        };
        match piece.ends {
            Some(wanted) if wanted != found => {
                Err(FlashError::Misfit { path: self.image.path().to_owned(), at: start })
            }
            _ => Ok(()),
        }
    }

    /// The caller's thread: writes them, and keeps those of the head.
    fn write(
        &self,
        target: &mut dyn Target,
        to_write: Receiver<Result<Held, FlashError>>,
        free: Sender<Buffer>,
        skip_zeros: bool,
    ) -> Result<(Vec<Written>, Vec<Held>), FlashError> {
        let (mut body, mut head) = (Vec::new(), Vec::new());
        let block = target.block();
        for held in to_write {
            let held = held?;
            let Written { start, length, .. } = held.piece;
            if self.stop.asked() {
                return Err(FlashError::Interrupted {
                    device: target.path().to_owned(),
                    at: start,
                });
            }
            self.watch.advance(length as u64);
            if start < HEAD {
                // Its buffer is kept, so the reader gets another one.
                let _ = free.send(Buffer::new(held.buffer.len()));
                head.push(held);
                continue;
            }
            let bytes = &held.buffer[..length];
            if !skip_zeros || !is_zero(bytes) || Sha256::of(bytes) != held.piece.sha256 {
                target
                    .write_at(&held.buffer[..rounded(length, block)], start)
                    .map_err(|error| self.write_failed(target, start, error))?;
                body.push(held.piece);
            }
            let _ = free.send(held.buffer);
        }
        Ok((body, head))
    }

    /// Whether a medium that differs from the block map does so because the image does.
    fn blame(&self, error: FlashError, body: &[Written]) -> FlashError {
        let FlashError::Mismatch { start, .. } = error else { return error };
        if self.image.map().is_none() {
            return error;
        }
        let Some(piece) = body.iter().find(|piece| piece.start == start) else { return error };
        match self.hash_again(start) {
            Ok(sha256) if sha256 == piece.sha256 => error,
            Ok(_) => FlashError::Misfit { path: self.image.path().to_owned(), at: start },
            Err(damaged) => damaged,
        }
    }

    /// The digest of the piece of the image that begins at `start`.
    fn hash_again(&self, start: u64) -> Result<Sha256, FlashError> {
        let (mut scratch, mut bytes) = (vec![0; PIECE as usize], vec![0; PIECE as usize]);
        let mut stream = self.image.stream()?;
        let mut length = 0;
        for piece in pieces(self.size, self.image.map()) {
            if piece.start > start {
                break;
            }
            stream.skip_to(piece.start, &mut scratch)?;
            length = piece.length;
            stream.read_exact(&mut bytes[..length])?;
        }
        Ok(Sha256::of(&bytes[..length]))
    }

    /// Waits until everything is on the medium.
    fn settle(&self, target: &mut dyn Target) -> Result<(), FlashError> {
        self.watch.begin(Phase::Settling, 0);
        let synced = target.sync();
        self.watch.end();
        synced.map_err(|error| self.write_failed(target, self.size, error))
    }

    /// Writes the head, and empties it again should it not be right. Not to be interrupted.
    fn write_head(
        &self,
        target: &mut dyn Target,
        head: Vec<Held>,
    ) -> Result<Vec<Written>, FlashError> {
        let done = self.try_head(target, &head);
        if done.is_err() {
            // The medium is broken: that it can't be emptied either is no news.
            let _ = self.empty_head(target);
        }
        done.map(|()| head.into_iter().map(|held| held.piece).collect())
    }

    fn try_head(&self, target: &mut dyn Target, head: &[Held]) -> Result<(), FlashError> {
        let block = target.block();
        for Held { piece, buffer } in head {
            target
                .write_at(&buffer[..rounded(piece.length, block)], piece.start)
                .map_err(|error| self.write_failed(target, piece.start, error))?;
        }
        target.sync().map_err(|error| self.write_failed(target, 0, error))?;
        target.forget();
        let unstoppable = Interrupt::default();
        let job = Job { stop: &unstoppable, watch: &crate::Silent, ..*self };
        let pieces: Vec<_> = head.iter().map(|held| held.piece).collect();
        verify(&job, target, &pieces)
    }

    /// What an error of a write means.
    fn write_failed(&self, target: &dyn Target, at: u64, error: io::Error) -> FlashError {
        let device = target.path().to_owned();
        match error.kind() {
            _ if is_gone(&error) || !target.is_present() => FlashError::Vanished { device, at },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                FlashError::Full { device, at }
            }
            io::ErrorKind::FileTooLarge => FlashError::Full { device, at },
            _ => FlashError::Write { device, at, error },
        }
    }

    /// What an error of a read means.
    pub(crate) fn read_failed(&self, target: &dyn Target, at: u64, error: io::Error) -> FlashError {
        let device = target.path().to_owned();
        match is_gone(&error) || !target.is_present() {
            true => FlashError::Vanished { device, at },
            false => FlashError::ReadBack { device, at, error },
        }
    }
}

/// What the kernel says of a device that was pulled out: ENODEV or ENXIO. Often it says EIO, and
/// then only the missing entry in `/sys` tells.
fn is_gone(error: &io::Error) -> bool {
    use nix::errno::Errno;
    error.raw_os_error().is_some_and(|code| {
        [Errno::ENODEV, Errno::ENXIO].into_iter().any(|errno| errno as i32 == code)
    })
}

fn is_zero(bytes: &[u8]) -> bool {
    // Sixteen at once: bytes one by one would be slower than the disk.
    let (chunks, rest) = bytes.as_chunks::<16>();
    chunks.iter().all(|chunk| u128::from_ne_bytes(*chunk) == 0)
        && rest.iter().all(|&byte| byte == 0)
}
