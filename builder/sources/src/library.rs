//! Layers and packs of packages, unpacked once and kept in the cache.
//!
//! In: pins whose files the cache holds. Out: their layers and packs, in the order of the pins.
//! The key of a layer is what it depends on: the package's digest, the format's number, the
//! pruning rules and the parameters of the pack. What is missing is unpacked by several threads.

use std::fs;
use std::io::{self, BufWriter};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use mailkiln_fetch::{Cache, CacheError};
use mailkiln_pin::{Pin, Sha256};
use mailkiln_squashfs::{Pack, PackError, PackWriter, Params};
use mailkiln_tree::Contents;

use crate::layer::{BadLayer, FORMAT, Layer};
use crate::prune::Policy;
use crate::unpack::{UnpackError, unpack_deb};

/// The cache's name for what is kept here.
const KIND: &str = "layer";
const INDEX: &str = "index";
const PACK: &str = "pack";

/// Told about unpacking, from several threads at once.
pub trait Progress: Sync {
    /// So many packages, of so many bytes, have to be unpacked.
    fn begin(&self, packages: usize, bytes: u64) {
        let _ = (packages, bytes);
    }

    /// A package of so many bytes is unpacked.
    fn unpacked(&self, name: &str, bytes: u64) {
        let _ = (name, bytes);
    }

    /// All are, or one has failed.
    fn end(&self) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Why a package's layer can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The package can't be unpacked.
    #[error("{package} can't be unpacked: {source}")]
    Unpack {
        /// Which package.
        package: String,
        /// Why.
        source: UnpackError,
    },
    /// A cached layer is damaged.
    #[error("{path}: {source}; delete the folder, the next build makes it again")]
    Layer {
        /// The index.
        path: PathBuf,
        /// What is wrong.
        source: BadLayer,
    },
    /// A file of the cache can't be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pack can't be used.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The cache itself fails.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Makes and finds layers.
#[derive(Debug, Clone, Copy)]
pub struct Library<'a> {
    cache: &'a Cache,
    policy: &'a Policy,
    params: Params,
}

/// Layers with the packs of their contents.
#[derive(Debug)]
pub struct Unpacked {
    /// One layer for each pin, in the pins' order.
    pub layers: Vec<Layer>,
    /// Their packs, in the same order.
    pub packs: Vec<Pack>,
}

impl Contents for Unpacked {
    fn read(&self, sha256: &Sha256) -> io::Result<Vec<u8>> {
        read_packed(&self.packs, sha256)
    }
}

/// Reads a content from the first of `packs` that holds it.
///
/// # Errors
/// When none holds it, or the pack can't be read.
pub fn read_packed(packs: &[Pack], sha256: &Sha256) -> io::Result<Vec<u8>> {
    let pack = packs.iter().find(|pack| pack.contains(sha256)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no pack holds {sha256}"))
    })?;
    pack.read(sha256).map_err(io::Error::other)
}

impl<'a> Library<'a> {
    /// A library in `cache` of layers pruned by `policy`, packed with `params`.
    pub fn new(cache: &'a Cache, policy: &'a Policy, params: Params) -> Self {
        Self { cache, policy, params }
    }

    /// The layers of `pins`. Packages whose layers are not cached are unpacked; their files
    /// must be in the cache.
    ///
    /// # Errors
    /// [`LibraryError`] of the first package, in the order of the pins, that fails.
    pub fn layers(&self, pins: &[Pin], progress: &dyn Progress) -> Result<Unpacked, LibraryError> {
        let mut folders: Vec<Option<PathBuf>> =
            pins.iter().map(|pin| self.cache.derived(KIND, &self.key(pin))).collect();
        // The largest first: it takes as long as all others together.
        let mut missing: Vec<usize> =
            (0..pins.len()).filter(|index| folders[*index].is_none()).collect();
        missing.sort_by_key(|index| std::cmp::Reverse(pins[*index].size));
        if !missing.is_empty() {
            progress.begin(missing.len(), missing.iter().map(|index| pins[*index].size).sum());
            let made = self.unpack_all(pins, &missing, progress);
            progress.end();
            for (index, folder) in made? {
                folders[index] = Some(folder);
            }
        }
        let mut unpacked = Unpacked { layers: Vec::new(), packs: Vec::new() };
        for folder in folders.into_iter().flatten() {
            unpacked.layers.push(read_index(&folder)?);
            unpacked.packs.push(Pack::open(&folder.join(PACK))?);
        }
        Ok(unpacked)
    }

    /// The key under which the layer of a package is kept.
    fn key(&self, pin: &Pin) -> Sha256 {
        let Params { block_size, level } = self.params;
        let (sha256, policy) = (pin.sha256, self.policy.digest());
        Sha256::of(format!("layer {FORMAT} {sha256} {policy} {block_size} {level}\n").as_bytes())
    }

    fn unpack_all(
        &self,
        pins: &[Pin],
        missing: &[usize],
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, PathBuf)>, LibraryError> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        let work = || {
            while let Some(index) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = self.unpack(&pins[*index], progress);
                if result.is_err() {
                    // The others see that nothing is left to do.
                    next.store(missing.len(), Ordering::Relaxed);
                }
                results.lock().unwrap_or_else(PoisonError::into_inner).push((*index, result));
            }
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(missing.len());
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(index, result)| Ok((index, result?))).collect()
    }

    fn unpack(&self, pin: &Pin, progress: &dyn Progress) -> Result<PathBuf, LibraryError> {
        let deb = self.cache.read_blob(&pin.sha256)?;
        let folder = self.cache.publish_derived_directory(KIND, &self.key(pin), |folder| {
            self.write_layer(pin, &deb, folder)
        })?;
        progress.unpacked(pin.name.as_str(), pin.size);
        Ok(folder)
    }

    fn write_layer(&self, pin: &Pin, deb: &[u8], folder: &Path) -> Result<(), LibraryError> {
        let package = || pin.to_string();
        let (index, pack) = (folder.join(INDEX), folder.join(PACK));
        let file = fs::File::create(&pack).map_err(at(&pack))?;
        let mut writer = PackWriter::new(BufWriter::new(file), self.params).map_err(at(&pack))?;
        let layer = unpack_deb(deb, self.policy, &mut writer)
            .and_then(|layer| match layer.package.name == pin.name {
                true => Ok(layer),
                false => Err(UnpackError::Control(format!("it is of {}", layer.package.name))),
            })
            .map_err(|source| LibraryError::Unpack { package: package(), source })?;
        writer.finish().map_err(at(&pack))?;
        let bytes = layer.encode().map_err(io::Error::from).map_err(at(&index))?;
        fs::write(&index, bytes).map_err(at(&index))
    }
}

fn read_index(folder: &Path) -> Result<Layer, LibraryError> {
    let path = folder.join(INDEX);
    let bytes = fs::read(&path).map_err(at(&path))?;
    Layer::decode(&bytes).map_err(|source| LibraryError::Layer { path, source })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> LibraryError + use<> {
    let path = path.to_owned();
    move |source| LibraryError::Io { path, source }
}

#[cfg(test)]
mod tests;
