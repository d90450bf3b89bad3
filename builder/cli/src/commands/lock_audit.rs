//! `mailkiln lock --audit`: which locked packages have holes that the distribution knows of.
//!
//! In: a lock, and the JSON of Debian's security tracker, downloaded or from a file. Out: what an update
//! would fix, hole by hole, and how many holes have no fix yet. Nothing is written.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use mailkiln_fetch::{Fetcher, Mirrors};
use mailkiln_lock::{Finding, audit};
use serde::Serialize;

use crate::failure::Failure;
use crate::pins;
use crate::printer::Printer;

/// Where Debian's security team publishes what it knows: about 60 MB of JSON.
const TRACKER: &str = "https://security-tracker.debian.org/tracker/data/json";
/// Most bytes of it that are read.
const LARGEST: u64 = 512 << 20;

/// Audits the lock at `path` by the tracker's `file`, or by what is downloaded.
pub(super) fn run(path: &Path, file: Option<&Path>, printer: &Printer) -> Result<(), Failure> {
    let lock = pins::lock(Some(path))?;
    let json = match file {
        Some(file) => fs::read(file).map_err(Failure::file("read", file))?,
        None => download()?,
    };
    let findings = audit(&lock, &json).map_err(|error| Failure::input(&error))?;
    let report = Report::of(path, findings);
    printer.result(&report)?;
    match report.fixed.len() {
        0 => Ok(()),
        holes => Err(Failure::Work {
            message: format!("{holes} known holes of {} are fixed by an update", path.display()),
            causes: Vec::new(),
            hint: Some("run `mailkiln lock --update` and build again".to_owned()),
        }),
    }
}

fn download() -> Result<Vec<u8>, Failure> {
    let cache = pins::cache()?;
    let mirrors = Mirrors::default();
    let found = Fetcher::new(&cache, &mirrors).small(TRACKER, LARGEST);
    let found = found.map_err(|error| {
        Failure::work(&error).with_hint("without a network, name a file that was downloaded before")
    })?;
    found.ok_or_else(|| Failure::Work {
        message: format!("{TRACKER} no longer exists"),
        causes: Vec::new(),
        hint: Some("name a file: `mailkiln lock --audit FILE`".to_owned()),
    })
}

/// What was found.
#[derive(Serialize)]
struct Report {
    lock: PathBuf,
    /// What an update fixes.
    fixed: Vec<Found>,
    /// What nothing fixes yet.
    open: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    source: String,
    version: String,
    packages: Vec<String>,
    hole: String,
    urgency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed: Option<String>,
}

impl Report {
    fn of(lock: &Path, findings: Vec<Finding>) -> Self {
        let found = findings.into_iter().map(|it| Found {
            source: it.source,
            version: it.version,
            packages: it.packages,
            hole: it.hole,
            urgency: it.urgency,
            fixed: it.fixed,
        });
        let (fixed, open) = found.partition(|it| it.fixed.is_some());
        Self { lock: lock.to_owned(), fixed, open }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.fixed {
            let Found { source, version, hole, urgency, fixed, .. } = found;
            let fixed = fixed.as_deref().unwrap_or_default();
            writeln!(f, "  {source} {version}: {hole} ({urgency}), fixed in {fixed}")?;
        }
        let mut open = BTreeMap::<(&str, &str), usize>::new();
        for found in &self.open {
            *open.entry((&found.source, &found.version)).or_default() += 1;
        }
        for ((source, version), holes) in &open {
            writeln!(f, "  {source} {version}: {holes} without a fix; --json names them")?;
        }
        let (lock, fixed, open) = (self.lock.display(), self.fixed.len(), self.open.len());
        write!(f, "{lock}: {fixed} known holes that an update fixes, {open} without a fix")
    }
}
