//! An image in parts, several on their way at once.
//!
//! One thread reads the file from beginning to end and hashes it; workers send what they are handed. So the digest of
//! what was really sent is known before an upload is completed, and memory holds `threads` + 2 parts.

use std::fs::File;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use bytes::Bytes;
use ring::digest::{Context, SHA256};

use crate::artifact::Artifact;
use crate::error::UploadError;
use crate::progress::Progress;

/// A piece of the image.
#[derive(Debug, Clone)]
pub struct Part {
    /// Counted from 0.
    pub index: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Part {
    /// Whether it is zeros throughout.
    pub fn is_zero(&self) -> bool {
        self.bytes.iter().all(|&byte| byte == 0)
    }
}

/// Sends every part that `wanted` names, `threads` at a time.
///
/// # Errors
/// The first error of `send`; [`UploadError::Changed`] when the file is not what its digest says.
pub fn send_parts(
    artifact: &Artifact,
    size: u64,
    threads: usize,
    progress: &dyn Progress,
    wanted: impl Fn(u64) -> bool,
    send: impl Fn(Part) -> Result<(), UploadError> + Sync,
) -> Result<(), UploadError> {
    progress.begin(artifact.size);
    let failed = AtomicBool::new(false);
    let first: Mutex<Option<UploadError>> = Mutex::new(None);
    let (hand_out, hand_in) = mpsc::sync_channel::<Part>(1);
    let hand_in = Mutex::new(hand_in);
    let read = thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let next = hand_in.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(part) = next else { return };
                    if failed.load(Ordering::Relaxed) {
                        continue;
                    }
                    let length = part.bytes.len() as u64;
                    match send(part) {
                        Ok(()) => progress.advance(length),
                        Err(error) => {
                            failed.store(true, Ordering::Relaxed);
                            first
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .get_or_insert(error);
                        }
                    }
                }
            });
        }
        let read = read(artifact, size, &failed, |part| {
            if wanted(part.index) {
                // Workers receive until this end is dropped.
                let _ = hand_out.send(part);
            } else {
                progress.advance(part.bytes.len() as u64);
            }
        });
        drop(hand_out);
        read
    });
    progress.end();
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => read,
    }
}

/// Reads the file in parts and checks its digest at its end.
fn read(
    artifact: &Artifact,
    size: u64,
    stop: &AtomicBool,
    mut hand_out: impl FnMut(Part),
) -> Result<(), UploadError> {
    let path = &artifact.path;
    let mut file = File::open(path).map_err(UploadError::file("read", path))?;
    let mut whole = Context::new(&SHA256);
    let (mut index, mut offset) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        (&mut file).take(size).read_to_end(&mut bytes).map_err(UploadError::file("read", path))?;
        if bytes.is_empty() {
            return check(artifact, &hex(whole.finish().as_ref()));
        }
        whole.update(&bytes);
        let length = bytes.len() as u64;
        hand_out(Part { index, offset, bytes: bytes.into() });
        index += 1;
        offset += length;
    }
    Ok(())
}

/// Compares the digest of what was read with the one that the upload began with.
///
/// # Errors
/// [`UploadError::Changed`].
pub fn check(artifact: &Artifact, found: &str) -> Result<(), UploadError> {
    let wanted = artifact.sha256.to_string();
    if found == wanted {
        return Ok(());
    }
    Err(UploadError::Changed { path: artifact.path.clone(), wanted, found: found.to_owned() })
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::artifact::sample;
    use crate::progress::Silent;

    #[test]
    fn every_part_is_sent_once_whatever_the_threads() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|it| (it % 251) as u8).collect();
        let image = sample(folder.path(), &bytes);
        for threads in [1, 4] {
            let sent = Mutex::new(BTreeMap::new());
            send_parts(
                &image,
                4096,
                threads,
                &Silent::default(),
                |index| index != 3,
                |part| {
                    assert!(sent.lock().unwrap().insert(part.offset, part.bytes).is_none());
                    Ok(())
                },
            )
            .unwrap();
            let sent = sent.into_inner().unwrap();
            assert!(!sent.contains_key(&(3 * 4096)));
            assert_eq!(sent.len(), 24);
            for (offset, part) in sent {
                let offset = usize::try_from(offset).unwrap();
                assert_eq!(part, bytes[offset..offset + part.len()]);
            }
        }
    }

    #[test]
    fn an_altered_file_and_a_failed_part_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let image = sample(folder.path(), &[7; 10_000]);
        let silent = Silent::default();
        let refused = send_parts(
            &image,
            1000,
            4,
            &silent,
            |_| true,
            |part| match part.index {
                2 => Err(UploadError::answer("part 2", "no")),
                _ => Ok(()),
            },
        );
        assert!(matches!(refused, Err(UploadError::Answer { .. })));
        std::fs::write(&image.path, [8; 10_000]).unwrap();
        let changed = send_parts(&image, 1000, 2, &silent, |_| true, |_| Ok(()));
        assert!(matches!(changed, Err(UploadError::Changed { .. })));
    }
}
