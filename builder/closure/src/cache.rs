//! Binary caches: records walked from reference to reference, archives fetched, everything checked.
//!
//! A path is taken from the first cache that has a record of it which a trusted key signed. Archives are kept in the cache
//! of downloads by the digest that their record gives, so that an interrupted fetch is taken up where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use mailkiln_fetch::{Base, FetchError, Fetcher, Progress, Wanted};
use mailkiln_nix_store::{
    CacheInfo, Fault, Flaw, INFO_NAME, MAX_NARINFO_SIZE, NarInfo, NixHash, Shape, StorePath,
    TrustedPublicKey, each_file, read_archive, trusted_record,
};
use mailkiln_pin::Sha256;
use nix_archive::nar::REFERENCE_LENGTH;

use crate::closure::{Closure, Object, Source};
use crate::error::ClosureError;
use crate::parallel;

/// Records that are asked for at the same time: they are small, and each waits for an answer.
const WORKERS: usize = 12;
/// What `nix-cache-info` may be long.
const MAX_INFO_SIZE: u64 = 1 << 16;

/// Binary caches, in the order in which they are asked, and who may sign.
#[derive(Debug)]
pub struct Caches<'a> {
    /// Their addresses.
    pub bases: &'a [Base],
    /// Keys that may sign.
    pub keys: &'a [TrustedPublicKey],
    /// What fetches.
    pub fetcher: &'a Fetcher<'a>,
}

/// An archive that is on this machine.
#[derive(Debug)]
pub(crate) struct Fetched {
    cache: String,
    file: PathBuf,
    record: NarInfo,
}

/// A record, and the cache that has it.
struct Recorded<'a> {
    base: &'a Base,
    record: NarInfo,
}

impl Caches<'_> {
    /// The closure of `top`: every record is signed, every archive is what its record says.
    ///
    /// # Errors
    /// [`ClosureError`] names path, cache and cure.
    pub fn closure(&self, top: &StorePath, watch: &dyn Progress) -> Result<Closure, ClosureError> {
        self.bases.iter().try_for_each(|base| self.check_info(base))?;
        let records = self.records(top)?;
        let wanted: Vec<Wanted> = records.iter().filter_map(wanted).collect();
        let files = self.fetcher.files(&wanted, watch);
        let files = files.map_err(|source| fetch_failed(top.to_absolute_path(), source))?;
        let fetched: Vec<Fetched> = records
            .into_iter()
            .zip(files)
            .map(|(Recorded { base, record }, file)| Fetched {
                cache: base.to_string(),
                file,
                record,
            })
            .collect();
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let objects = parallel::each(&fetched, workers, Fetched::object)?;
        let by_path = fetched.into_iter().map(|one| (one.record.store_path().clone(), one));
        Ok(Closure::new(top.clone(), objects, Source::Fetched(by_path.collect())))
    }

    /// Whether there is a cache for `/nix/store` at an address.
    fn check_info(&self, base: &Base) -> Result<(), ClosureError> {
        let wrong = |why: String| ClosureError::NoCache { cache: base.to_string(), why };
        let read = self.fetcher.small(&base.join(INFO_NAME), MAX_INFO_SIZE);
        let bytes = read.map_err(|source| fetch_failed(base.to_string(), source))?;
        let bytes = bytes.ok_or_else(|| wrong(format!("it has no {INFO_NAME}")))?;
        let info = CacheInfo::parse(&String::from_utf8_lossy(&bytes));
        info.map(drop).map_err(|error| wrong(format!("{INFO_NAME}: {error}")))
    }

    /// Records of `top` and of all that it refers to, in the order of their paths.
    fn records(&self, top: &StorePath) -> Result<Vec<Recorded<'_>>, ClosureError> {
        let mut known: BTreeMap<StorePath, Recorded<'_>> = BTreeMap::new();
        let mut wave = vec![(top.clone(), None)];
        while !wave.is_empty() {
            let found = parallel::each(&wave, WORKERS, |(path, referrer)| {
                self.record(path, referrer.as_ref())
            })?;
            for recorded in found {
                known.insert(recorded.record.store_path().clone(), recorded);
            }
            let mut next: BTreeMap<&StorePath, &StorePath> = BTreeMap::new();
            for (path, recorded) in &known {
                let missing = recorded.record.references().iter();
                next.extend(
                    missing.filter(|name| !known.contains_key(name)).map(|name| (name, path)),
                );
            }
            wave = next.into_iter().map(|(name, by)| (name.clone(), Some(by.clone()))).collect();
        }
        Ok(known.into_values().collect())
    }

    /// The record of a path: the first that is sound. A cache that can't be reached is passed over, as Nix does. Where no
    /// record is sound, the first that was there says why; where none was there, the first cache that failed.
    fn record(
        &self,
        path: &StorePath,
        referrer: Option<&StorePath>,
    ) -> Result<Recorded<'_>, ClosureError> {
        let place = format!("{}.narinfo", &path.to_basename()[..REFERENCE_LENGTH]);
        let whole = path.to_absolute_path();
        let (mut tried, mut refused, mut failed) = (Vec::new(), None, None);
        for base in self.bases {
            let read = self.fetcher.small(&base.join(&place), MAX_NARINFO_SIZE as u64);
            let bytes = match read {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    tried.push(format!("{base}: not there"));
                    continue;
                }
                Err(source) => {
                    failed.get_or_insert(fetch_failed(whole.clone(), source));
                    continue;
                }
            };
            let flaw = match trusted_record(&place, &bytes, self.keys) {
                Ok(record) if record.store_path() == path => return Ok(Recorded { base, record }),
                Ok(record) => Flaw::Other(record.store_path().to_absolute_path()),
                Err(flaw) => flaw,
            };
            let fault = Box::new(Fault { place: place.clone(), path: Some(whole.clone()), flaw });
            refused.get_or_insert(ClosureError::Refused { cache: base.to_string(), fault });
        }
        let referrer = referrer.map(StorePath::to_absolute_path);
        let absent = ClosureError::NotInCache { path: whole, referrer, tried };
        Err(refused.or(failed).unwrap_or(absent))
    }
}

/// What went wrong, in words for caches in place of those for mirrors of packages.
fn fetch_failed(path: String, source: FetchError) -> ClosureError {
    match source {
        FetchError::Unreachable { name: what, tried } => ClosureError::Unreachable { what, tried },
        FetchError::Lost { names, tried } => {
            ClosureError::Unreachable { what: names.join(", "), tried }
        }
        source => ClosureError::Fetch { path, source: Box::new(source) },
    }
}

/// What is to be fetched for a record. Records that do not say how long their file is were refused.
fn wanted(Recorded { base, record }: &Recorded<'_>) -> Option<Wanted> {
    let Some(NixHash::Sha256(digest)) = record.file_hash() else { return None };
    Some(Wanted {
        name: record.store_path().to_basename(),
        sha256: Sha256::from_bytes(*digest),
        size: record.file_size()?,
        addresses: vec![base.join(record.url())],
    })
}

impl Fetched {
    /// What is in the archive, which is compared with its record.
    fn object(&self) -> Result<Object, ClosureError> {
        let mut shape = None;
        self.read(&mut |nar| {
            shape = Some(Shape::read(nar)?);
            Ok(())
        })?;
        let path = self.record.store_path().clone();
        let (Some(shape), NixHash::Sha256(digest)) = (shape, self.record.nar_hash()) else {
            return Err(self.refuse(Flaw::NarDiffers("digest")));
        };
        Ok(Object {
            path,
            nar_sha256: Sha256::from_bytes(*digest),
            nar_size: self.record.nar_size(),
            references: self.record.references().iter().cloned().collect::<BTreeSet<_>>(),
            shape,
        })
    }

    /// Every file of the archive.
    pub(crate) fn each(
        &self,
        visit: &mut dyn FnMut(&str, u64, &mut dyn Read) -> io::Result<()>,
    ) -> Result<(), ClosureError> {
        self.read(&mut |nar| each_file(nar, visit))
    }

    fn read(&self, read: &mut mailkiln_nix_store::ReadNar<'_>) -> Result<(), ClosureError> {
        let failed = |source| ClosureError::File { path: self.file.clone(), source };
        let mut file = File::open(&self.file).map_err(failed)?;
        read_archive(&mut file, &self.record, read).map_err(|flaw| self.refuse(flaw))
    }

    fn refuse(&self, flaw: Flaw) -> ClosureError {
        let place = self.record.url().to_owned();
        let path = Some(self.record.store_path().to_absolute_path());
        let fault = Box::new(Fault { place, path, flaw });
        ClosureError::Refused { cache: self.cache.clone(), fault }
    }
}
