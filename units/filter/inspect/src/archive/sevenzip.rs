//! 7z.

use sevenz_rust2::{ArchiveReader, Password};

use super::Timed;
use crate::limits::Stop;
use crate::report::Class;
use crate::walk::{Walk, Within};

/// The coder AES-256 with SHA-256 (7-Zip's Methods.txt).
const AES: &[u8] = &[0x06, 0xf1, 0x07, 0x01];

/// Where the header of the headers ends, and its parts (7zFormat.txt, SignatureHeader).
const START: std::ops::Range<usize> = 12..32;

/// Hands every file to the walk.
pub(crate) fn walk(walk: &mut Walk<'_>, data: &[u8]) {
    // Without this field the reader would guess where the header is, byte by byte.
    if data.get(START).is_none_or(|start| start.iter().all(|byte| *byte == 0)) {
        return walk.find(Class::Damaged, "it has no header that says where its members are");
    }
    let source = Timed::new(data, walk.budget.deadline);
    let mut archive = match ArchiveReader::new(source, Password::empty()) {
        Ok(archive) => archive,
        // A header that is encrypted itself ends in the description of its coder.
        Err(_)
            if memchr::memmem::rfind(
                data.get(data.len().saturating_sub(256)..).unwrap_or(data),
                AES,
            )
            .is_some() =>
        {
            return walk.find(Class::EncryptedArchive, "even its list of members needs a password");
        }
        Err(error) => return walk.stopped(Some(Stop::Damaged(error.to_string()))),
    };
    archive.set_thread_count(1);
    let coders = archive.archive().blocks.iter().flat_map(|block| &block.coders);
    if coders.into_iter().any(|coder| coder.encoder_method_id() == AES) {
        return locked(walk, &archive);
    }
    let size = data.len() as u64;
    let result = archive.for_each_entries(|entry, reader| {
        if walk.is_over() {
            return Ok(false);
        }
        if entry.is_directory() {
            return Ok(true);
        }
        let (content, stop) = walk.budget.unpack(reader, size);
        // Whatever follows in the same block can only be reached through the rest of this.
        let go_on = stop.is_none();
        walk.member(&[entry.name()], &content, stop, Within::Files);
        Ok(go_on)
    });
    if let Err(error) = result {
        walk.stopped(Some(Stop::Damaged(error.to_string())));
    }
}

fn locked(walk: &mut Walk<'_>, archive: &ArchiveReader<Timed<'_>>) {
    let entries = archive.archive().files.iter().filter(|entry| !entry.is_directory());
    let names: Vec<String> = entries.map(|entry| entry.name().to_owned()).collect();
    for name in &names {
        walk.unopened(name, Within::Files);
    }
    walk.encrypted(&names);
}
