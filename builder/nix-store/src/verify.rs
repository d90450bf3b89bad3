//! A foreign cache: whether it is whole, and whether what it says is true.
//!
//! In: its files, and the public keys that are trusted. Out: faults. Everything in a cache may be hostile: nothing is read
//! beyond the length that was announced, and no name leads out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};

use nix_archive::nar;
use nix_derivation::{NixHash, StoreDir, StorePath};
use nix_narinfo::{Compression, MAX_NARINFO_SIZE, NarInfo, TrustedPublicKey};

use crate::entry::record_name;
use crate::fault::{Fault, Flaw};
use crate::info::{CacheInfo, INFO_NAME};
use crate::object::{Hashing, NarDigest};

/// What `nix-cache-info` may be long; three lines are usual.
const MAX_INFO_SIZE: u64 = 1 << 16;
/// What `xz` may use to decompress: the dictionary of `xz -9` is 64 MiB.
const XZ_MEMORY: u64 = 128 << 20;

/// The files of a cache.
pub trait CacheFiles {
    /// The names that end in `.narinfo`, sorted.
    ///
    /// # Errors
    /// When the cache can't be listed.
    fn records(&self) -> io::Result<Vec<String>>;

    /// Opens a file by its path in the cache, which has no `..` in it.
    ///
    /// # Errors
    /// When it can't be read.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;
}

/// What reads an archive.
pub type ReadNar<'a> = dyn FnMut(&mut dyn Read) -> Result<(), nar::Error> + 'a;

/// What was verified, and what is wrong.
#[derive(Debug)]
pub struct Verified {
    /// Store paths in the cache.
    pub paths: usize,
    /// Everything that is wrong, in the order of files.
    pub faults: Vec<Fault>,
}

/// Looks at every record and every archive. Every path must be signed by one of `keys`; one with a content address must be
/// at that address too.
///
/// # Errors
/// When the cache can't be listed.
pub fn verify(files: &dyn CacheFiles, keys: &[TrustedPublicKey]) -> io::Result<Verified> {
    let mut faults = Vec::new();
    if let Err(flaw) = check_info(files) {
        faults.push(Fault { place: INFO_NAME.to_owned(), path: None, flaw });
    }
    let names = files.records()?;
    let mut known = BTreeSet::new();
    let mut records = BTreeMap::new();
    for place in &names {
        match read_record(files, place) {
            Ok(info) => {
                known.insert(info.store_path().clone());
                records.insert(place.as_str(), info);
            }
            Err(flaw) => faults.push(Fault { place: place.clone(), path: None, flaw }),
        }
    }
    for (place, info) in &records {
        let path = info.store_path().to_absolute_path();
        let mut fault = |place: &str, flaw| {
            faults.push(Fault { place: place.to_owned(), path: Some(path.clone()), flaw });
        };
        check_record(place, info, keys, &known).into_iter().for_each(|flaw| fault(place, flaw));
        match inside(info.url()) {
            Some(url) => check_file(files, url, info).into_iter().for_each(|flaw| fault(url, flaw)),
            None => fault(place, Flaw::Outside(info.url().to_owned())),
        }
    }
    Ok(Verified { paths: names.len(), faults })
}

fn check_info(files: &dyn CacheFiles) -> Result<(), Flaw> {
    let mut text = String::new();
    let file = files.open(INFO_NAME).map_err(Flaw::NoInfo)?;
    file.take(MAX_INFO_SIZE).read_to_string(&mut text).map_err(Flaw::NoInfo)?;
    CacheInfo::parse(&text).map(drop).map_err(Flaw::Info)
}

fn read_record(files: &dyn CacheFiles, place: &str) -> Result<NarInfo, Flaw> {
    let mut bytes = Vec::new();
    let file = files.open(place).map_err(Flaw::File)?;
    // One byte more than is allowed, so that the parser sees that it is too long.
    file.take(MAX_NARINFO_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(Flaw::File)?;
    NarInfo::parse_in(&StoreDir::default(), &bytes).map_err(Flaw::Record)
}

/// What can be told from the record alone and its neighbours.
fn check_record(
    place: &str,
    info: &NarInfo,
    keys: &[TrustedPublicKey],
    known: &BTreeSet<StorePath>,
) -> Vec<Flaw> {
    let store = StoreDir::default();
    let mut flaws = Vec::new();
    let name = record_name(info);
    if name != place {
        flaws.push(Flaw::Name(name));
    }
    if info.content_address().is_some() && !info.is_content_addressed(&store) {
        flaws.push(Flaw::Address);
    }
    if !info.has_valid_signature(&store, keys) {
        flaws.push(Flaw::Signature);
    }
    let missing = info.references().difference(known);
    flaws.extend(missing.map(|path| Flaw::Reference(path.to_absolute_path())));
    flaws
}

/// Reads the record that is called `place`, and says whether its path may be taken: described by its own record, at its
/// content address if it has one, signed by one of `keys`, its file inside the cache and described whole.
///
/// # Errors
/// The first [`Flaw`].
pub fn trusted_record(
    place: &str,
    bytes: &[u8],
    keys: &[TrustedPublicKey],
) -> Result<NarInfo, Flaw> {
    let info = NarInfo::parse_in(&StoreDir::default(), bytes).map_err(Flaw::Record)?;
    // Whether what it refers to is there is for whoever asks for that too.
    if let Some(flaw) = check_record(place, &info, keys, info.references()).into_iter().next() {
        return Err(flaw);
    }
    if inside(info.url()).is_none() {
        return Err(Flaw::Outside(info.url().to_owned()));
    }
    match (info.file_hash(), info.file_size()) {
        (Some(NixHash::Sha256(_)), Some(_)) => Ok(info),
        _ => Err(Flaw::NoFileDigest),
    }
}

/// Decompresses a file of a cache and reads the archive in it with `read`, which must read to its end. What was read was
/// the archive of the record only if no flaw is returned.
///
/// # Errors
/// A [`Flaw`] of the file or of its content.
pub fn read_archive(
    file: &mut dyn Read,
    info: &NarInfo,
    read: &mut ReadNar<'_>,
) -> Result<(), Flaw> {
    check_unpacked(&unpack(file, info, read)?, info)
}

/// The relative path of a file in the cache, if it is one.
fn inside(url: &str) -> Option<&str> {
    let plain = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':', '\0'])
    };
    url.split('/').all(plain).then_some(url)
}

/// Unpacks the file and compares it with its record.
fn check_file(files: &dyn CacheFiles, url: &str, info: &NarInfo) -> Vec<Flaw> {
    let read = || -> Result<(NarDigest, NarDigest), Flaw> {
        let file = files.open(url).map_err(Flaw::File)?;
        let mut file = Hashing::new(BufReader::new(file));
        let unpacked = unpack(&mut file, info, &mut |nar| check_nar(nar));
        // The digest is that of the whole file, also where what is in it ended before or is broken.
        io::copy(&mut file, &mut io::sink()).map_err(Flaw::File)?;
        let found = file.digest();
        check_packed(&found, info)?;
        Ok((found, unpacked?))
    };
    let nar = match read() {
        Ok((_, nar)) => nar,
        Err(flaw) => return vec![flaw],
    };
    let mut flaws: Vec<Flaw> = check_unpacked(&nar, info).err().into_iter().collect();
    // A content address of another kind than the archive's digest is tied to it by the signature alone.
    if let Some(nix_derivation::CAHash::Nar(address)) = info.content_address()
        && !info.references().contains(info.store_path())
        && address != info.nar_hash()
    {
        flaws.push(Flaw::Address);
    }
    flaws
}

/// What the record says of the archive in the file.
fn check_unpacked(found: &NarDigest, info: &NarInfo) -> Result<(), Flaw> {
    if found.size != info.nar_size() {
        return Err(Flaw::NarDiffers("length"));
    }
    if NixHash::Sha256(found.sha256) != *info.nar_hash() {
        return Err(Flaw::NarDiffers("digest"));
    }
    Ok(())
}

/// What the record says of the file as it is.
fn check_packed(found: &NarDigest, info: &NarInfo) -> Result<(), Flaw> {
    let (Some(hash), Some(size)) = (info.file_hash(), info.file_size()) else {
        return Err(Flaw::NoFileDigest);
    };
    if found.size != size {
        return Err(Flaw::FileDiffers("length"));
    }
    if NixHash::Sha256(found.sha256) != *hash {
        return Err(Flaw::FileDiffers("digest"));
    }
    Ok(())
}

/// Reads the archive in the file with `read`; of a longer one than announced, one byte more than that.
fn unpack(file: &mut dyn Read, info: &NarInfo, read: &mut ReadNar<'_>) -> Result<NarDigest, Flaw> {
    let limit = info.nar_size().saturating_add(1);
    let mut bounded = |reader: Box<dyn Read + '_>| {
        let mut nar = Hashing::new(BufReader::new(reader).take(limit));
        match read(&mut nar) {
            // Cut off by the limit, it is too long before it is anything else.
            Err(_) | Ok(()) if nar.digest().size == limit => Err(Flaw::NarDiffers("length")),
            Err(nar::Error::Io(error)) => Err(Flaw::File(error)),
            Err(error) => Err(Flaw::Nar(error)),
            Ok(()) => Ok(nar.digest()),
        }
    };
    match info.compression() {
        Compression::None => bounded(Box::new(file)),
        Compression::Zstd => bounded(Box::new(zstd::Decoder::new(file).map_err(Flaw::File)?)),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_auto_decoder(XZ_MEMORY, 0)
                .map_err(|error| Flaw::File(error.into()))?;
            bounded(Box::new(liblzma::read::XzDecoder::new_stream(file, stream)))
        }
        other => Err(Flaw::Compression(other.to_string())),
    }
}

/// Reads a NAR to its end. Names that lead elsewhere, unsorted names, bytes after the end and nesting beyond what Nix
/// takes are errors of the format.
pub(crate) fn check_nar(reader: &mut dyn Read) -> Result<(), nar::Error> {
    nar::decode_events_reader(reader, |_| Ok(()))
}
