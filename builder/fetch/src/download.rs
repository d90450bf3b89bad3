//! Downloads: what the cache lacks of a lock, fetched from mirrors in parallel.
//!
//! In: pins, mirrors. Out: paths in the cache. Each file is tried at each mirror in turn, taken
//! up where a connection broke, and trusted by its digest alone.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mailkiln_pin::{Archive, Pin, PoolPath, Sha256};

use crate::mirror::without_credentials;
use crate::transport::{Refusal, Transport};
use crate::{Cache, CacheError, FetchError, Incoming, Mirrors, Progress};

/// Downloads at the same time. More would only be unkind to the mirror.
const WORKERS: usize = 6;

/// Pauses before a mirror is asked again.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// A file that is known by size and digest, and where it may be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What users call it: `openssl 3.5.1-1 (amd64)`.
    pub name: String,
    /// Its digest.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// Full addresses, best first.
    pub addresses: Vec<String>,
}

/// Fetches files into a cache.
#[derive(Debug)]
pub struct Fetcher<'a> {
    cache: &'a Cache,
    mirrors: &'a Mirrors,
    transport: Transport,
    pauses: &'a [Duration],
    silent: Mutex<BTreeSet<String>>,
}

impl<'a> Fetcher<'a> {
    /// A fetcher that asks `mirrors` for packages and keeps them in `cache`.
    pub fn new(cache: &'a Cache, mirrors: &'a Mirrors) -> Self {
        Self {
            cache,
            mirrors,
            transport: Transport::default(),
            pauses: &PAUSES,
            silent: Mutex::default(),
        }
    }

    /// The same fetcher with other pauses between attempts. No pause, no second attempt.
    #[must_use]
    pub fn with_pauses(self, pauses: &'a [Duration]) -> Self {
        Self { pauses, ..self }
    }

    /// Makes sure that the cache holds these packages; says where, in the order of `pins`. Needs
    /// no network when they are there.
    ///
    /// # Errors
    ///
    /// [`FetchError::Lost`] with *every* package that no mirror has; other errors with the first
    /// file that they concern.
    pub fn packages(&self, pins: &[Pin], watch: &dyn Progress) -> Result<Vec<PathBuf>, FetchError> {
        let wanted: Vec<_> = pins.iter().map(|pin| self.package(pin)).collect();
        self.files(&wanted, watch)
    }

    /// Makes sure that the cache holds these files; says where, in their order.
    ///
    /// # Errors
    ///
    /// As [`Fetcher::packages`].
    pub fn files(
        &self,
        wanted: &[Wanted],
        watch: &dyn Progress,
    ) -> Result<Vec<PathBuf>, FetchError> {
        let mut missing: Vec<_> =
            wanted.iter().filter(|file| self.cache.blob(&file.sha256).is_none()).collect();
        missing.sort_by_key(|file| file.sha256);
        missing.dedup_by_key(|file| file.sha256);
        // Large files first: a long one that begins last keeps all others waiting.
        missing.sort_by_key(|file| std::cmp::Reverse(file.size));
        if !missing.is_empty() {
            watch.begin(missing.len(), missing.iter().map(|file| file.size).sum());
            let fetched = self.in_parallel(&missing, watch);
            watch.end();
            fetched?;
        }
        Ok(wanted.iter().map(|file| self.cache.blob_path(&file.sha256)).collect())
    }

    /// Reads a file whose digest nothing tells beforehand, such as `InRelease`, from the first
    /// mirror that has it. The caller has to check what comes.
    ///
    /// # Errors
    ///
    /// [`FetchError::TooLarge`] above `limit` bytes.
    pub fn unverified(
        &self,
        archive: Archive,
        path: &str,
        limit: u64,
    ) -> Result<Vec<u8>, FetchError> {
        let mut trials = Trials::default();
        for base in self.mirrors.bases(archive) {
            let address = base.join(path);
            let read = self.whole(&address, limit);
            match read {
                Ok(bytes) if bytes.len() as u64 > limit => {
                    return Err(FetchError::TooLarge { address: shown(&address), limit });
                }
                Ok(bytes) => return Ok(bytes),
                Err(Stop::Refused(refusal)) => trials.add(&address, refusal),
                Err(Stop::Cache(error)) => return Err(error.into()),
            }
        }
        Err(trials.verdict(&format!("{archive}/{path}")))
    }

    /// Reads a small file whose digest nothing tells beforehand, such as a record of a Nix binary cache. `None` where the
    /// server is well and has no such file. The caller has to check what comes.
    ///
    /// # Errors
    ///
    /// [`FetchError::Unreachable`] with what the server answered, [`FetchError::TooLarge`] above `limit` bytes.
    pub fn small(&self, address: &str, limit: u64) -> Result<Option<Vec<u8>>, FetchError> {
        match self.whole(address, limit) {
            Ok(bytes) if bytes.len() as u64 > limit => {
                Err(FetchError::TooLarge { address: shown(address), limit })
            }
            Ok(bytes) => Ok(Some(bytes)),
            Err(Stop::Refused(Refusal::Missing)) => Ok(None),
            Err(Stop::Cache(error)) => Err(error.into()),
            Err(Stop::Refused(refusal)) => {
                let mut trials = Trials::default();
                trials.add(address, refusal);
                Err(trials.verdict(&shown(address)))
            }
        }
    }

    /// All of a file; of a longer one than `limit`, one byte more than that.
    fn whole(&self, address: &str, limit: u64) -> Result<Vec<u8>, Stop> {
        self.patiently(address, || {
            let stream = self.transport.open(address, 0)?;
            let mut bytes = Vec::new();
            let mut body = stream.body.take(limit.saturating_add(1));
            body.read_to_end(&mut bytes).map_err(|error| Refusal::Temporary(error.to_string()))?;
            Ok(bytes)
        })
    }

    /// A file of which only address and digest are known, as a [`Wanted`]: its size is what the
    /// server says. `address` is `http://`, `https://` or `file://`.
    ///
    /// # Errors
    ///
    /// [`FetchError::Unreachable`] or [`FetchError::Lost`] with what the server answered.
    pub fn at(&self, address: &str, sha256: Sha256) -> Result<Wanted, FetchError> {
        let name = shown(address);
        let asked = self.patiently(address, || {
            self.transport.open(address, 0)?.length.ok_or_else(|| {
                Refusal::Permanent("the server does not say how long the file is".to_owned()).into()
            })
        });
        match asked {
            Ok(size) => Ok(Wanted { name, sha256, size, addresses: vec![address.to_owned()] }),
            Err(Stop::Cache(error)) => Err(error.into()),
            Err(Stop::Refused(refusal)) => {
                let mut trials = Trials::default();
                trials.add(address, refusal);
                Err(trials.verdict(&name))
            }
        }
    }

    /// Where the mirrors should have a package, as a [`Wanted`].
    pub fn package(&self, pin: &Pin) -> Wanted {
        Wanted {
            name: pin.to_string(),
            sha256: pin.sha256,
            size: pin.size,
            addresses: self.addresses(&pin.path),
        }
    }

    /// Where the mirrors should have a file of an archive, best first.
    pub fn addresses(&self, path: &PoolPath) -> Vec<String> {
        self.mirrors.bases(path.archive()).map(|base| base.join(path.path())).collect()
    }

    fn in_parallel(&self, missing: &[&Wanted], watch: &dyn Progress) -> Result<(), FetchError> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let errors = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..WORKERS.min(missing.len()) {
                scope.spawn(|| {
                    while !failed.load(Ordering::Relaxed)
                        && let Some(file) = missing.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        if let Err(error) = self.fetch(file, watch) {
                            // A lost package does not stop the others: all lost ones are named.
                            let lost = matches!(error, FetchError::Lost { .. });
                            failed.fetch_or(!lost, Ordering::Relaxed);
                            if let Ok(mut errors) = errors.lock() {
                                errors.push((file.name.clone(), error));
                            }
                        }
                    }
                });
            }
        });
        let mut errors = errors.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        errors.sort_by(|(a, _), (b, _)| a.cmp(b));
        FetchError::summary(errors.into_iter().map(|(_, error)| error))
    }

    fn fetch(&self, file: &Wanted, watch: &dyn Progress) -> Result<(), FetchError> {
        watch.start(&file.name);
        let mut meter = Meter { watch, reported: 0 };
        let mut trials = Trials::default();
        for address in &file.addresses {
            let fetched = self.patiently(address, || self.receive(file, address, &mut meter));
            match fetched {
                Ok(()) => {
                    watch.finish(&file.name);
                    return Ok(());
                }
                Err(Stop::Refused(refusal)) => trials.add(address, refusal),
                Err(Stop::Cache(error @ CacheError::Altered { .. })) => {
                    trials.altered = Some(error)
                }
                Err(Stop::Cache(error)) => return Err(error.into()),
            }
        }
        Err(trials.verdict(&file.name))
    }

    /// One attempt at one address, from where the last one stopped.
    fn receive(&self, file: &Wanted, address: &str, meter: &mut Meter<'_>) -> Result<(), Stop> {
        let Some(mut incoming) = self.cache.receive(file.sha256, file.size)? else {
            meter.report(file.size);
            return Ok(());
        };
        let source = shown(address);
        let what = format!("{} from {source}", file.name);
        let resumed = incoming.received() > 0;
        let result = self.pour(&mut incoming, file, address, &what, meter);
        match result.and_then(|()| incoming.publish(&what).map_err(Stop::from)) {
            // The fault may be in the part that lay here. It is gone now, so begin afresh.
            Err(Stop::Cache(CacheError::Altered { .. })) if resumed => {
                meter.report(0);
                Err(Stop::Refused(Refusal::Temporary("the resumed file did not fit".to_owned())))
            }
            other => other.map(drop),
        }
    }

    fn pour(
        &self,
        incoming: &mut Incoming,
        file: &Wanted,
        address: &str,
        what: &str,
        meter: &mut Meter<'_>,
    ) -> Result<(), Stop> {
        if incoming.received() == file.size && file.size > 0 {
            return Ok(());
        }
        let mut stream = self.transport.open(address, incoming.received())?;
        if stream.start != incoming.received() {
            incoming.restart()?;
        }
        meter.report(incoming.received());
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = stream
                .body
                .read(&mut buffer)
                .map_err(|error| Refusal::Temporary(error.to_string()))?;
            if count == 0 {
                break;
            }
            incoming.append(what, &buffer[..count])?;
            meter.report(incoming.received());
        }
        if incoming.received() < file.size {
            let text = format!("it ended after {} of {} bytes", incoming.received(), file.size);
            return Err(Refusal::Temporary(text).into());
        }
        Ok(())
    }

    /// Tries again after a pause what may go better then. A server that stayed silent through all
    /// pauses is asked only once for each further file.
    fn patiently<T>(
        &self,
        address: &str,
        mut attempt: impl FnMut() -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let host = host(address);
        let pauses = if self.silent.lock().is_ok_and(|silent| silent.contains(&host)) {
            &[]
        } else {
            self.pauses
        };
        for pause in pauses {
            match attempt() {
                Err(Stop::Refused(Refusal::Temporary(reason))) => {
                    tracing::info!(address = shown(address), reason, "trying again");
                    thread::sleep(*pause);
                }
                done => return done,
            }
        }
        let last = attempt();
        if matches!(last, Err(Stop::Refused(Refusal::Temporary(_))))
            && let Ok(mut silent) = self.silent.lock()
        {
            silent.insert(host);
        }
        last
    }
}

/// Why an attempt ended.
enum Stop {
    Refused(Refusal),
    Cache(CacheError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<CacheError> for Stop {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// Tells how much of a file is here, as differences.
struct Meter<'a> {
    watch: &'a dyn Progress,
    reported: u64,
}

impl Meter<'_> {
    fn report(&mut self, received: u64) {
        match received.checked_sub(self.reported) {
            Some(0) => {}
            Some(more) => self.watch.advance(more),
            None => self.watch.retract(self.reported - received),
        }
        self.reported = received;
    }
}

/// What each address of a file answered.
#[derive(Default)]
struct Trials {
    refusals: Vec<(String, Refusal)>,
    altered: Option<CacheError>,
}

impl Trials {
    fn add(&mut self, address: &str, refusal: Refusal) {
        self.refusals.push((shown(address), refusal));
    }

    /// One server that is well and lacks the file outweighs others that can't be reached: asking
    /// those again would hardly help.
    fn verdict(self, name: &str) -> FetchError {
        if let Some(error) = self.altered {
            return error.into();
        }
        let name = name.to_owned();
        if self.refusals.is_empty() {
            return FetchError::NoMirror { name };
        }
        let tried = self.refusals.iter().map(|(address, refusal)| match refusal {
            Refusal::Missing => format!("{address}: not there"),
            Refusal::Temporary(reason) | Refusal::Permanent(reason) => {
                format!("{address}: {reason}")
            }
        });
        let tried = tried.collect();
        if self.refusals.iter().any(|(_, refusal)| *refusal == Refusal::Missing) {
            FetchError::Lost { names: vec![name], tried }
        } else {
            FetchError::Unreachable { name, tried }
        }
    }
}

/// Scheme and host of an address; all of `file://` is one.
fn host(address: &str) -> String {
    address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

fn shown(address: &str) -> String {
    without_credentials(address)
}
