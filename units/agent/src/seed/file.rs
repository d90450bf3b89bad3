//! The file that a seed travels in.
//!
//! In: the bytes of the place, zeros behind the end included. Out: a [`Seed`], or none where there
//! are only zeros. `builder/seed/src/encoding.rs` writes it.

use ring::digest::{SHA256, digest};

use super::{Seed, SeedError};

/// Format and version. What is in front of the version stays.
const MAGIC: &[u8; 16] = b"MAILKILN-SEED-01";
const VERSION_AT: usize = 14;
/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// What stands in for a seed where there is none: a credential can't be left out.
pub const NONE: &[u8] = b"none";

/// Reads the bytes of the place.
///
/// # Errors
/// [`SeedError`] when there is something, and it is no seed that can be used.
pub fn parse(bytes: &[u8]) -> Result<Option<Seed>, SeedError> {
    if bytes == NONE || bytes.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let json = document(bytes)?;
    let seed: Seed = serde_json::from_slice(json)
        // Only the column: the message may quote what stands there.
        .map_err(|error| SeedError::Document(error.column()))?;
    seed.check().map(Some)
}

/// The document, once its digest is right.
fn document(bytes: &[u8]) -> Result<&[u8], SeedError> {
    let (magic, rest) = bytes.split_first_chunk().ok_or(SeedError::Damaged("it is cut off"))?;
    if magic != MAGIC {
        let ours = magic[..VERSION_AT] == MAGIC[..VERSION_AT];
        return Err(if ours { SeedError::Version } else { SeedError::Damaged("its start") });
    }
    let cut = || SeedError::Damaged("its length");
    let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (wanted, rest) = rest.split_first_chunk::<DIGEST>().ok_or_else(cut)?;
    let json = rest.get(..u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
    if digest(&SHA256, json).as_ref() != wanted {
        return Err(SeedError::Damaged("its SHA-256"));
    }
    Ok(json)
}

/// Reads `bytes` as the file, and as the document in it, whose digest a fuzzer would not find.
pub(crate) fn fuzz(bytes: &[u8]) {
    let _ = parse(bytes);
    let mut whole = MAGIC.to_vec();
    whole.extend(u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes());
    whole.extend(digest(&SHA256, bytes).as_ref());
    whole.extend(bytes);
    if let Ok(Some(seed)) = parse(&whole) {
        let _ = seed.network.as_ref().map(super::Network::render);
        for wifi in &seed.wifi {
            assert!(!wifi.file_name().contains('/'), "{wifi:?}");
            assert!(wifi.render().lines().count() == 2, "{wifi:?}");
        }
    }
}
