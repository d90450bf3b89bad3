//! What Debian offers today: signed releases and the package indexes that they vouch for.
//!
//! In: suites, mirrors, keys, the time. Out: verified packages of every suite, and what a lock notes
//! about where they came from.

use jiff::Timestamp;
use mailkiln_fetch::{Cache, CacheError, FetchError, Fetcher, Progress, Wanted};
use mailkiln_lock::{
    Expected, InRelease, Index, KeyError, Keyring, Lock, MAX_RELEASE_BYTES, Offered, Package,
    PackagesError, Release, ReleaseError, Suite, Verified, WantedFile, WantedSuite,
};
use mailkiln_pin::{Arch, Archive, BadPackageField, PoolPath, Sha256};

/// The packages of all suites, and where they were read.
#[derive(Debug)]
pub(crate) struct Offer {
    /// For the lock: one entry for each suite.
    pub(crate) suites: Vec<Suite>,
    /// One list for each index, in the order of the suites.
    pub(crate) packages: Vec<Offered>,
}

/// What Debian offers can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfferError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error(transparent)]
    Path(#[from] BadPackageField),
    #[error("suite {suite}: {source}")]
    Packages { suite: String, source: PackagesError },
    #[error("suite {suite} has no index {path}")]
    NoIndex { suite: String, path: String },
}

impl Offer {
    /// Reads every suite. A release older than those that the locks in `seen` were made from is refused.
    pub(crate) fn read(
        wanted: &WantedFile,
        seen: &[&Lock],
        cache: &Cache,
        fetcher: &Fetcher<'_>,
        watch: &dyn Progress,
    ) -> Result<Self, OfferError> {
        let keyring = Keyring::debian()?;
        let mut offer = Self { suites: Vec::new(), packages: Vec::new() };
        for suite in &wanted.suites {
            let release = read_release(suite, seen, &keyring, fetcher)?;
            let indexes = list_indexes(suite, release.release())?;
            let packages =
                read_indexes(&suite.name, suite.archive, &indexes, cache, fetcher, watch)?;
            offer.packages.extend(packages);
            offer.suites.push(Suite {
                name: suite.name.clone(),
                archive: suite.archive,
                date: release.release().date,
                inrelease: release.digest(),
                signed_by: release.signed_by().to_owned(),
                indexes,
            });
        }
        Ok(offer)
    }

    /// Reads the very indexes that `lock` was made from: it holds their digests, which vouch for them
    /// as a signature would.
    pub(crate) fn pinned(
        lock: &Lock,
        cache: &Cache,
        fetcher: &Fetcher<'_>,
        watch: &dyn Progress,
    ) -> Result<Self, OfferError> {
        let mut offer = Self { suites: lock.suites.clone(), packages: Vec::new() };
        for suite in &lock.suites {
            let packages =
                read_indexes(&suite.name, suite.archive, &suite.indexes, cache, fetcher, watch)?;
            offer.packages.extend(packages);
        }
        Ok(offer)
    }

    /// The moment that a lock made from this describes.
    pub(crate) fn date(&self) -> Timestamp {
        self.suites.iter().map(|suite| suite.date).max().unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The packages of a suite's indexes, a list for each.
fn read_indexes(
    suite: &str,
    archive: Archive,
    indexes: &[Index],
    cache: &Cache,
    fetcher: &Fetcher<'_>,
    watch: &dyn Progress,
) -> Result<Vec<Offered>, OfferError> {
    let files = indexes.iter().map(|index| wanted_index(suite, archive, index, fetcher));
    fetcher.files(&files.collect::<Result<Vec<_>, _>>()?, watch)?;
    let read = |index: &Index| {
        let bytes = cache.read_blob(&index.sha256)?;
        let wrong = |source| OfferError::Packages { suite: suite.to_owned(), source };
        let packages = Package::read_index(archive, &bytes).map_err(wrong)?;
        Ok(Offered { suite: suite.to_owned(), packages })
    };
    indexes.iter().map(read).collect()
}

fn read_release(
    suite: &WantedSuite,
    seen: &[&Lock],
    keyring: &Keyring,
    fetcher: &Fetcher<'_>,
) -> Result<InRelease<Verified>, OfferError> {
    let path = format!("dists/{}/InRelease", suite.name);
    let bytes = fetcher.unverified(suite.archive, &path, MAX_RELEASE_BYTES as u64)?;
    let expected = Expected {
        archive: suite.archive,
        codename: &suite.name,
        not_before: newest(seen, &suite.name),
    };
    // The one place where the clock counts: whether a signature is of today.
    Ok(InRelease::parse(&bytes)?.verify(keyring, &expected, Timestamp::now())?)
}

/// The newest date on which any of the locks has seen `suite` signed. A mirror that replays an older one
/// hides fixes, also from someone whose own lock is older than the program.
fn newest(seen: &[&Lock], suite: &str) -> Option<Timestamp> {
    let suites = seen.iter().flat_map(|lock| &lock.suites);
    suites.filter(|known| known.name == suite).map(|known| known.date).max()
}

/// The indexes that are read of a suite: of each component one for each architecture that images
/// are made for.
fn list_indexes(suite: &WantedSuite, release: &Release) -> Result<Vec<Index>, OfferError> {
    let entry = |component: &str, arch: Arch| {
        let path = format!("{component}/binary-{}/Packages.xz", arch.debian());
        match release.files.get(&path) {
            Some((size, sha256)) => Ok(Index { path, size: *size, sha256: *sha256 }),
            None => Err(OfferError::NoIndex { suite: suite.name.clone(), path }),
        }
    };
    let of = |component| Arch::ALL.into_iter().map(move |arch| entry(component, arch));
    suite.components.iter().flat_map(|component| of(component)).collect()
}

/// An index by its digest, which outlives the next update of the mirror, and else by its name.
fn wanted_index(
    suite: &str,
    archive: Archive,
    index: &Index,
    fetcher: &Fetcher<'_>,
) -> Result<Wanted, BadPackageField> {
    let folder = index.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let by_hash = |sha256: &Sha256| format!("dists/{suite}/{folder}/by-hash/SHA256/{sha256}");
    let paths = [by_hash(&index.sha256), format!("dists/{suite}/{}", index.path)];
    let mut addresses = Vec::new();
    for path in paths {
        addresses.extend(fetcher.addresses(&PoolPath::new(archive, &path)?));
    }
    Ok(Wanted {
        name: format!("{suite}'s {}", index.path),
        sha256: index.sha256,
        size: index.size,
        addresses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lock of a year ago must not let a mirror replay a year to a program of today.
    #[test]
    fn the_newer_of_two_dates_counts() {
        let own = crate::pins::lock(None).unwrap();
        let mut older = own.clone();
        for suite in &mut older.suites {
            suite.date = "2025-01-01T00:00:00Z".parse().unwrap();
        }
        for suite in &own.suites {
            for seen in [[&own, &older], [&older, &own]] {
                assert_eq!(newest(&seen, &suite.name), Some(suite.date), "{}", suite.name);
            }
        }
        assert_eq!(newest(&[&own], "sid"), None);
    }
}
