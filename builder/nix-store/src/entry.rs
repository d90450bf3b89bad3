//! A store path in a cache: its compressed NAR and its signed record.
//!
//! In: a store path and a key. Out: two names with their bytes. See the Nix manual, "Binary Cache Formats".

use std::io::Write as _;

use nix_derivation::{CAHash, NixHash, StoreDir, nixbase32};
use nix_narinfo::{BuildError, Compression, NarInfo, NarInfoBuilder, NixSignature};

use crate::key::SecretKey;
use crate::object::{Hashing, StoreObject};

/// zstd's level: 74 MB of program take 3 seconds and become 19 MB; level 19 takes a minute for 2 MB less.
const LEVEL: i32 = 9;

/// The two files of a store path in a cache, by their names in it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `HASH.narinfo`.
    pub record_name: String,
    /// The record: an ASCII text.
    pub record: Vec<u8>,
    /// `nar/FILEHASH.nar.zst`.
    pub nar_name: String,
    /// The compressed NAR.
    pub nar: Vec<u8>,
}

/// A store path can't be brought into a cache.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Its NAR can't be made.
    #[error("can't archive {path}")]
    Archive {
        /// The store path.
        path: String,
        /// Why.
        source: nix_archive::nar::Error,
    },
    /// Its NAR can't be compressed.
    #[error("can't compress {path}")]
    Compress {
        /// The store path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its record can't be written.
    #[error("can't describe {path}: {source}")]
    Record {
        /// The store path.
        path: String,
        /// Why.
        source: BuildError,
    },
    /// The cache has a record of the same path which says something else.
    #[error(
        "{name} is there already and describes {path} otherwise: choose another folder, or find out with `mailkiln verify nix-cache` who is wrong"
    )]
    Different {
        /// The record's name.
        name: String,
        /// The store path.
        path: String,
    },
}

impl Entry {
    /// Archives, compresses, describes and signs. The same store path and key give the same bytes.
    ///
    /// # Errors
    /// [`EntryError`] names the store path.
    pub fn new(object: &StoreObject, key: &SecretKey) -> Result<Self, EntryError> {
        let path = || object.path().to_absolute_path();
        let nar = compress(object)?;
        let mut hashing = Hashing::new(std::io::sink());
        // Into a sink nothing fails.
        hashing.write_all(&nar).map_err(|source| EntryError::Compress { path: path(), source })?;
        let digest = hashing.digest();
        let nar_name = format!("nar/{}.nar.zst", nixbase32::encode(&digest.sha256));
        let unsigned = NarInfo::builder(
            object.path().clone(),
            nar_name.clone(),
            object.nar_hash(),
            object.nar_size(),
        )
        .compression(Compression::Zstd)
        .references(object.references().iter().cloned())
        .content_address(Some(CAHash::Nar(object.nar_hash())))
        .file_hash(Some(NixHash::Sha256(digest.sha256)))
        .file_size(Some(digest.size));
        let record = signed(unsigned, &[], key)
            .map_err(|source| EntryError::Record { path: path(), source })?;
        let record_name = record_name(&record);
        Ok(Self { record_name, record: record.to_canonical_bytes(), nar_name, nar })
    }
}

/// The record that a cache has already, with this key's signature too; `None` where nothing is to be added.
///
/// # Errors
/// [`EntryError::Different`] when it is no record of the same content.
pub fn add_signature(
    existing: &[u8],
    entry: &Entry,
    key: &SecretKey,
) -> Result<Option<Vec<u8>>, EntryError> {
    let store = StoreDir::default();
    let parse = |bytes| NarInfo::parse_in(&store, bytes).ok();
    let path = |info: Option<NarInfo>| {
        info.map_or_else(String::new, |info| info.store_path().to_absolute_path())
    };
    let ours = parse(&entry.record);
    let Some(theirs) = parse(existing) else {
        return Err(EntryError::Different { name: entry.record_name.clone(), path: path(ours) });
    };
    // The fingerprint is what signatures are of: path, NAR and references.
    let same = ours.as_ref().is_some_and(|ours| {
        ours.fingerprint(&store) == theirs.fingerprint(&store)
            && ours.content_address() == theirs.content_address()
    });
    if !same {
        return Err(EntryError::Different { name: entry.record_name.clone(), path: path(ours) });
    }
    let signature = signature(&theirs, key);
    if theirs.signatures().contains(&signature) {
        return Ok(None);
    }
    let builder = NarInfo::builder(
        theirs.store_path().clone(),
        theirs.url(),
        theirs.nar_hash().clone(),
        theirs.nar_size(),
    )
    .compression(theirs.compression().clone())
    .references(theirs.references().iter().cloned())
    .deriver(theirs.deriver().cloned())
    .content_address(theirs.content_address().cloned())
    .file_hash(theirs.file_hash().cloned())
    .file_size(theirs.file_size())
    .extensions(theirs.extensions().iter().cloned());
    let failed =
        |source| EntryError::Record { path: theirs.store_path().to_absolute_path(), source };
    let record = signed(builder, theirs.signatures(), key).map_err(failed)?;
    Ok(Some(record.to_canonical_bytes()))
}

/// The name of a path's record in a cache.
pub(crate) fn record_name(info: &NarInfo) -> String {
    format!("{}.narinfo", nixbase32::encode(info.store_path().digest()))
}

fn signed(
    builder: NarInfoBuilder,
    others: &[NixSignature],
    key: &SecretKey,
) -> Result<NarInfo, BuildError> {
    let own = signature(&builder.clone().build()?, key);
    builder.signatures(others.iter().cloned().chain([own])).build()
}

fn signature(info: &NarInfo, key: &SecretKey) -> NixSignature {
    use base64::Engine as _;
    let bytes = key.sign(info.fingerprint(&StoreDir::default()).as_bytes());
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    NixSignature { key_name: key.name().to_owned(), encoded }
}

/// One zstd frame with a checksum and the length of what it holds.
fn compress(object: &StoreObject) -> Result<Vec<u8>, EntryError> {
    let path = || object.path().to_absolute_path();
    let failed = |source| EntryError::Compress { path: path(), source };
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    encoder.set_pledged_src_size(Some(object.nar_size())).map_err(failed)?;
    object
        .tree()
        .write_nar(&mut encoder)
        .map_err(|source| EntryError::Archive { path: path(), source })?;
    encoder.finish().map_err(failed)
}
