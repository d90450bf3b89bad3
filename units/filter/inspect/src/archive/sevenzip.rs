//! 7z.

use std::io::Read;

use sevenz_rust2::{Archive, ArchiveEntry, BlockDecoder, Password};

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
        return walk.find(Class::Ambiguous, "it has no header that says where its members are");
    }
    let source = Timed::new(data, walk.budget.deadline);
    let mut source = source;
    let archive = match Archive::read(&mut source, &Password::empty()) {
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
        Err(error) => return walk.stopped(Some(Stop::Unseen(error.to_string()))),
    };
    let mut seen = vec![false; archive.files.len()];
    let mut encrypted = Vec::new();
    for block in 0..archive.blocks.len() {
        if walk.is_over() {
            return;
        }
        members(walk, &archive, block, &mut source, data.len() as u64, &mut seen, &mut encrypted);
    }
    // Names stand in the header, whether the content could be reached or not.
    for (entry, is_seen) in archive.files.iter().zip(seen) {
        if !is_seen && !entry.is_directory() {
            walk.only_named(entry.name());
        }
    }
    walk.encrypted(&encrypted);
}

/// The members of one block: what one chain of coders has packed. Blocks fail one by one.
fn members(
    walk: &mut Walk<'_>,
    archive: &Archive,
    block: usize,
    source: &mut Timed<'_>,
    size: u64,
    seen: &mut [bool],
    encrypted: &mut Vec<String>,
) {
    let of_block =
        |index: usize| archive.stream_map.file_block_index.get(index) == Some(&Some(block));
    let names = archive.files.iter().enumerate().filter(|(index, _)| of_block(*index));
    let coders = archive.blocks.get(block).map(|block| block.coders.as_slice()).unwrap_or_default();
    if coders.iter().any(|coder| coder.encoder_method_id() == AES) {
        encrypted.extend(names.map(|(_, entry)| entry.name().to_owned()));
        return;
    }
    let mut index = archive.stream_map.block_first_file_index.get(block).copied().unwrap_or(0);
    let password = Password::empty();
    let decoder = BlockDecoder::new(1, block, archive, &password, source);
    let result = decoder.for_each_entries(&mut |entry: &ArchiveEntry, reader: &mut dyn Read| {
        if walk.is_over() {
            return Ok(false);
        }
        if let Some(seen) = seen.get_mut(index) {
            *seen = true;
        }
        index += 1;
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
        walk.stopped(Some(Stop::Unseen(error.to_string())));
    }
}
