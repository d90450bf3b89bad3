//! Reads a medium back and compares it with what was sent there.

use std::sync::mpsc;
use std::thread;

use mailkiln_pin::Sha256;

use crate::buffer::Buffer;
use crate::plan::{Job, PIECE, Written, rounded};
use crate::{FlashError, Target};

/// Buffers that are read into while others are hashed.
const BUFFERS: usize = 4;

/// Compares all of `pieces` with the target.
pub(crate) fn verify(
    job: &Job<'_>,
    target: &mut dyn Target,
    pieces: &[Written],
) -> Result<(), FlashError> {
    let device = target.path().to_owned();
    let block = target.block();
    thread::scope(|scope| {
        let (filled, queue) = mpsc::sync_channel::<(Written, Buffer)>(BUFFERS);
        let (free, buffers) = mpsc::channel::<Buffer>();
        for _ in 0..BUFFERS {
            let _ = free.send(Buffer::new(PIECE as usize + rounded(1, block)));
        }
        let compared = scope.spawn(move || {
            for (piece, buffer) in queue {
                if Sha256::of(&buffer[..piece.length]) != piece.sha256 {
                    return Some(piece);
                }
                // The reader has ended when nobody takes it.
                let _ = free.send(buffer);
            }
            None
        });
        let mut broken = None;
        for piece in pieces {
            if job.stop.asked() {
                broken = Some(FlashError::Interrupted { device: device.clone(), at: piece.start });
                break;
            }
            // No buffer comes back once a piece was found to differ.
            let Ok(mut buffer) = buffers.recv() else { break };
            let length = rounded(piece.length, block);
            if let Err(error) = target.read_at(&mut buffer[..length], piece.start) {
                broken = Some(job.read_failed(target, piece.start, error));
                break;
            }
            if filled.send((*piece, buffer)).is_err() {
                break;
            }
            job.watch.advance(piece.length as u64);
        }
        drop(filled);
        let differs = compared.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (differs, broken) {
            (Some(piece), _) => Err(FlashError::Mismatch {
                device,
                start: piece.start,
                end: piece.start + piece.length as u64,
            }),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(()),
        }
    })
}
