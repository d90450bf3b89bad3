//! One run: each certificate is looked after, the host's first.
//!
//! A timer starts it every few minutes; nearly always there is nothing to do, and it ends at once. So
//! no process waits in memory for two months, no capability is held, and no port is open but for the
//! seconds of a validation.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mailkiln_store::durable::{self, DurableError};
use mailkiln_store::journal;

use crate::budget;
use crate::clock::{Clock, Seconds};
use crate::key::KeyError;
use crate::layout::Layout;
use crate::lock::{Lock, LockError};
use crate::renewal::{Renewal, in_use};
use crate::request::Request;
use crate::settings::{Certificate, Settings};
use crate::state::State;

/// Well before systemd's patience with the unit is over: what is left waits for the next run.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Why a run could not do its work. What an authority refuses is not among it: that is written down,
/// and tried again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another run is under way.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file could not be kept.
    #[error(transparent)]
    Write(#[from] DurableError),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Nothing,
    /// Somebody else's certificate is in use; it is left alone.
    Foreign,
    /// A certificate was installed.
    Installed,
    /// It did not work; the reason.
    Failed(String),
}

impl Outcome {
    /// Of two certificates, the one that there is more to say about.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (failed @ Self::Failed(_), _) | (_, failed @ Self::Failed(_)) => failed,
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Installed, _) | (_, Self::Installed) => Self::Installed,
            (Self::Foreign, Self::Foreign) => Self::Foreign,
        }
    }
}

/// What asynchronous work runs on: one thread.
///
/// # Errors
/// What the system says.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Does what is due.
///
/// # Errors
/// [`RunError`].
pub fn run(layout: &Layout, settings: &Settings, clock: &dyn Clock) -> Result<Outcome, RunError> {
    durable::make_directory(&layout.directory(), 0o755, None)?;
    let _lock = Lock::take(&layout.lock())?;
    runtime()?.block_on(async {
        let mut outcome = round(layout, settings, clock).await?;
        // Whoever asks while a run is under way has not asked in vain.
        while layout.request().exists() {
            outcome = round(layout, settings, clock).await?;
        }
        Ok(outcome)
    })
}

/// Looks after each certificate once.
async fn round(
    layout: &Layout,
    settings: &Settings,
    clock: &dyn Clock,
) -> Result<Outcome, RunError> {
    let request = Request::take(&layout.request())?;
    let started = Instant::now();
    let certificate = settings.hosts_certificate(still_covered(layout, settings));
    let mut outcome = Renewal::new(layout, settings, &certificate, clock).once(request).await?;
    let (mut untold, mut error) = (Vec::new(), None);
    for certificate in &settings.certificates {
        if started.elapsed() > LONGEST || !budget::allows(&orders(layout, settings), clock.now()) {
            journal::note("the other certificates wait for the next run");
            break;
        }
        match further(layout, settings, certificate, request, clock).await {
            Ok((this, told)) => {
                outcome = outcome.or(this);
                untold.extend(told);
            }
            // The files of one domain are no reason to keep the others waiting.
            Err(failed) => error = error.or(Some(failed)),
        }
    }
    announce(layout, &untold)?;
    error.map_or(Ok(outcome), Err)
}

/// A file of a certificate, and its text once those who use the certificate know it.
type Untold = (PathBuf, String);

async fn further(
    layout: &Layout,
    settings: &Settings,
    certificate: &Certificate,
    request: Option<Request>,
    clock: &dyn Clock,
) -> Result<(Outcome, Option<Untold>), RunError> {
    let layout = layout.of(certificate);
    for directory in layout.further() {
        durable::make_directory(&directory, 0o755, None)?;
    }
    let mut renewal = Renewal::new(&layout, settings, certificate, clock);
    let outcome = renewal.once(request).await?;
    Ok((outcome, renewal.untold))
}

/// Names that the host's certificate of an earlier version may still have to cover.
fn still_covered(layout: &Layout, settings: &Settings) -> BTreeSet<String> {
    let missing = settings
        .certificates
        .iter()
        .filter(|it| in_use(layout, settings, it.name.as_str()).is_none());
    missing.flat_map(|it| it.names.iter().map(ToString::to_string)).collect()
}

/// When orders were made, for any certificate.
fn orders(layout: &Layout, settings: &Settings) -> Vec<Seconds> {
    let further = settings.certificates.iter().map(|it| layout.of(it).state());
    let all = std::iter::once(layout.state()).chain(further);
    all.flat_map(|state| State::read(&state).orders).collect()
}

/// One word to those who use certificates, however many have changed. Only then is it written down that they
/// know, so that a power cut costs a second word and not the first.
fn announce(layout: &Layout, untold: &[Untold]) -> Result<(), DurableError> {
    if untold.is_empty() {
        return Ok(());
    }
    // The host's digest stays the first line. What is written has to differ: the same text would be no change.
    let old = fs::read_to_string(layout.installed()).unwrap_or_default();
    let mut lines = vec![old.lines().next().unwrap_or_default()];
    lines.extend(untold.iter().map(|(_, digest)| digest.as_str()));
    durable::write(&layout.installed(), lines.join("\n").as_bytes(), 0o644, None)?;
    untold.iter().try_for_each(|(path, text)| durable::write(path, text.as_bytes(), 0o644, None))
}
