//! `mailkiln lock`: pins what images are made from.
//!
//! Without options it pins the units as they are in this program and keeps the packages;
//! `--update` chooses the packages afresh; `--check` only tells whether the lock fits.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use mailkiln_compile::embedded;
use mailkiln_fetch::Fetcher;
use mailkiln_lock::{
    Component, ComponentSource, CratePin, Lock, PatchPin, Scope, SetName, Universes, WantedFile,
    check_scope, complete, same_files, twice, update_only,
};
use mailkiln_pin::{Arch, Pin, Sha256};
use mailkiln_spec::target::builtin_targets;
use mailkiln_unit::Unit;
use serde::Serialize;

use super::lock_audit;
use crate::arguments::LockArguments;
use crate::failure::Failure;
use crate::indexes::{Offer, OfferError};
use crate::pins;
use crate::printer::Printer;
use crate::progress::Bars;
use crate::whole_file;

/// Sets that compile units; nothing of them is in an image.
const COMPILERS: [&str; 2] = ["toolchain", "cross"];
/// Most causes that a failure lists.
const SHOWN: usize = 8;

/// Makes, updates or checks the lock.
pub(super) fn run(arguments: &LockArguments, printer: &Printer) -> Result<(), Failure> {
    let path = &arguments.lock;
    if let Some(file) = &arguments.audit {
        return lock_audit::run(path, file.as_deref(), printer);
    }
    let wanted = WantedFile::own().map_err(|error| Failure::work(&error))?;
    let updating = arguments.update.is_some();
    // A lock that is there, or that has to be there, is read; else one is made.
    let must_exist = arguments.check || matches!(arguments.update, Some(Some(_)));
    let exists = path.exists();
    let old = if must_exist || exists { Some(read(path, exists)?) } else { None };
    let missing = old.as_ref().map(|old| wanted.missing(old)).unwrap_or_default();
    if !updating && arguments.check {
        refuse_lacking(path, missing.clone())?;
    }
    let components = components()?;
    let new = match (&old, &arguments.update) {
        (Some(old), None) if !missing.is_empty() => {
            with_components(&completed(arguments, &wanted, old, printer)?, components)?
        }
        (Some(old), None) => with_components(old, components)?,
        (old, update) => {
            let name = update.as_ref().and_then(Option::as_deref);
            let scope = match (name, arguments.security) {
                (Some(name), _) => Some(Scope::Named(name)),
                (None, true) => Some(Scope::Security),
                (None, false) => None,
            };
            if scope.is_some() {
                refuse_lacking(path, missing.clone())?;
            }
            fresh(arguments, &wanted, components, old.as_ref(), scope, printer)?
        }
    };
    refuse_unbuildable(path, &new)?;
    let report = Report::of(path, old.as_ref(), &new, arguments.check);
    if arguments.check {
        return if report.is_current() { printer.result(&report) } else { Err(report.stale()) };
    }
    if !report.is_current() {
        whole_file::write(path, new.to_string().as_bytes())?;
    }
    printer.result(&report)
}

fn read(path: &Path, exists: bool) -> Result<Lock, Failure> {
    pins::lock(Some(path)).map_err(|failure| match exists {
        true => failure,
        false => failure.with_hint("`mailkiln lock` creates one"),
    })
}

/// The lock with the packages that are wanted by now and that it lacks, from the indexes it was made
/// from: whatever it pins stays as it is.
fn completed(
    arguments: &LockArguments,
    wanted: &WantedFile,
    old: &Lock,
    printer: &Printer,
) -> Result<Lock, Failure> {
    let mirrors = pins::mirrors(arguments.mirror.as_deref(), None, Some(old))?;
    let cache = pins::cache()?;
    let fetcher = Fetcher::new(&cache, &mirrors);
    let offer = Offer::pinned(old, &cache, &fetcher, &Bars::new(printer));
    let offer = offer.map_err(|error| offer_failure(&error))?;
    let mut sets = BTreeMap::new();
    for arch in Arch::ALL {
        let universes = Universes::new(wanted, arch, &offer.packages);
        let universes = universes.map_err(|error| Failure::work(&error))?;
        let solved = wanted.solve(&universes, arch).map_err(|error| Failure::work(&error))?;
        let solved = complete(old, solved, arch);
        sets.extend(solved.into_iter().map(|(name, pins)| ((name, arch), pins)));
    }
    Lock::new(
        old.snapshot,
        old.snapshot_archive.clone(),
        old.suites.clone(),
        old.components.clone(),
        sets,
    )
    .map_err(|error| Failure::work(&error))
}

/// A lock without a package that is wanted by now has to be completed.
fn refuse_lacking(path: &Path, missing: Vec<String>) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Work {
        message: format!("{} lacks packages that images now need", path.display()),
        causes: few(missing),
        hint: Some(
            "run `mailkiln lock`: it adds them from the lock's own snapshot and changes nothing else"
                .to_owned(),
        ),
    })
}

/// The first few of a list, and how many more there are.
fn few(mut list: Vec<String>) -> Vec<String> {
    let more = list.len().saturating_sub(SHOWN);
    list.truncate(SHOWN);
    if more > 0 {
        list.push(format!("and {more} more"));
    }
    list
}

/// The lock with other components.
fn with_components(lock: &Lock, components: Vec<Component>) -> Result<Lock, Failure> {
    let sets = lock.sets().map(|(name, arch, pins)| ((name.clone(), arch), pins.to_vec()));
    Lock::new(
        lock.snapshot,
        lock.snapshot_archive.clone(),
        lock.suites.clone(),
        components,
        sets.collect(),
    )
    .map_err(|error| Failure::work(&error))
}

/// A lock of what Debian offers today; of only one package, if a name is given.
fn fresh(
    arguments: &LockArguments,
    wanted: &WantedFile,
    components: Vec<Component>,
    old: Option<&Lock>,
    scope: Option<Scope<'_>>,
    printer: &Printer,
) -> Result<Lock, Failure> {
    let mirrors = pins::mirrors(arguments.mirror.as_deref(), None, None)?;
    let cache = pins::cache()?;
    let fetcher = Fetcher::new(&cache, &mirrors);
    // Debian never goes back behind the lock that came with this program either: the newer of both
    // dates counts, suite by suite.
    let own = pins::lock(None)?;
    let seen = old.unwrap_or(&own);
    let offer = Offer::read(wanted, &[seen, &own], &cache, &fetcher, &Bars::new(printer));
    let offer = offer.map_err(|error| offer_failure(&error))?;
    let mut sets = BTreeMap::new();
    let mut solved_all = Vec::new();
    for arch in Arch::ALL {
        let universes = Universes::new(wanted, arch, &offer.packages);
        let universes = universes.map_err(|error| Failure::work(&error))?;
        let mut solved = wanted.solve(&universes, arch).map_err(|error| Failure::work(&error))?;
        // Every unit is compiled again when its compiler moves, which takes an hour: only on request.
        let held =
            old.filter(|_| !arguments.toolchain).map(|old| compilers(old, &mut solved, arch));
        if let (Some(scope), Some(old)) = (scope, old) {
            solved_all.extend(solved.values().flatten().cloned());
            let kept = update_only(scope, old, solved, &universes);
            solved = kept.map_err(|error| Failure::input(&error))?;
        }
        solved.extend(held.into_iter().flatten());
        sets.extend(solved.into_iter().map(|(name, pins)| ((name, arch), pins)));
    }
    if let (Some(scope), Some(old)) = (scope, old) {
        check_scope(scope, old, &solved_all).map_err(|error| Failure::input(&error))?;
    }
    if let Some(old) = old {
        sets = same_files(old, sets);
    }
    let archive = arguments.snapshot_archive.clone();
    let archive = archive.or_else(|| seen.snapshot_archive.clone()).or(own.snapshot_archive);
    Lock::new(offer.date(), archive, offer.suites, components, sets)
        .map_err(|error| Failure::work(&error))
}

/// Takes the sets that compile out of what was chosen today, and returns them as they are pinned.
fn compilers(
    old: &Lock,
    solved: &mut BTreeMap<SetName, Vec<Pin>>,
    arch: Arch,
) -> BTreeMap<SetName, Vec<Pin>> {
    let held = COMPILERS.map(|set| SetName(set.to_owned())).into_iter().filter_map(|set| {
        let pins = old.packages(&set.0, arch).ok()?.to_vec();
        solved.remove(&set).map(|_| (set, pins))
    });
    held.collect()
}

/// Refuses a lock that `mailkiln build` would refuse: two versions of one package in a set, or a target
/// whose packages are not there.
fn refuse_unbuildable(path: &Path, lock: &Lock) -> Result<(), Failure> {
    let mut causes = twice(lock);
    let targets = builtin_targets().map_err(|error| Failure::work(&error))?;
    for target in &targets {
        let kernel = std::slice::from_ref(&target.kernel.package);
        let named =
            [(target.kernel.set.as_str(), kernel), ("boot", target.boot.packages.as_slice())];
        for (set, packages) in named {
            let pins = lock.packages(set, target.arch).unwrap_or_default();
            let lacking = packages
                .iter()
                .filter(|name| !pins.iter().any(|pin| pin.name.as_str() == name.as_str()));
            causes.extend(
                lacking.map(|name| format!("{} needs {name} in the set {set}", target.name)),
            );
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Failure::Work {
        message: format!("no image can be built from {}", path.display()),
        causes: few(causes),
        hint: Some("run `mailkiln lock --update`, which selects every package again".to_owned()),
    })
}

fn offer_failure(error: &OfferError) -> Failure {
    let message = match error {
        OfferError::Fetch(fetch) => format!("{fetch} [{}]", fetch.code()),
        other => other.to_string(),
    };
    Failure::Work { message, causes: Vec::new(), hint: None }
}

/// Pins of the units whose sources travel in this program.
fn components() -> Result<Vec<Component>, Failure> {
    mailkiln_unit::units().iter().map(component).collect()
}

fn component(wanted: &Unit) -> Result<Component, Failure> {
    let missing = |what: &str| Failure::Work {
        message: format!("unit {}: {what} is not part of this program", wanted.name),
        causes: Vec::new(),
        hint: None,
    };
    let unit = embedded(&wanted.name).ok_or_else(|| missing("its source"))?;
    let cargo_lock =
        unit.files.get(&unit.path("Cargo.lock")).ok_or_else(|| missing("its Cargo.lock"))?;
    let cargo_lock = Sha256::of(cargo_lock);
    let directory = wanted.build.workspace.clone();
    let source = match &wanted.build.upstream {
        None => ComponentSource::Workspace { directory, cargo_lock },
        Some(upstream) => {
            let crates = unit.crates().map_err(|error| Failure::work(&error))?;
            let found = crates.into_iter().find(|one| one.name == *upstream);
            let found = found.ok_or_else(|| missing(&format!("the crate {upstream}")))?;
            let upstream =
                CratePin { name: found.name, version: found.version, sha256: found.sha256 };
            let patches = unit.patches.iter().map(|patch| PatchPin {
                path: patch.path.clone(),
                sha256: Sha256::of(patch.text.as_bytes()),
            });
            let patches = patches.collect();
            ComponentSource::Crate { directory, cargo_lock, upstream, patches }
        }
    };
    Ok(Component { name: wanted.name.clone(), source })
}

/// What a lock pins: by name, what a person tells one pin from another by.
fn contents(lock: &Lock) -> BTreeMap<String, String> {
    let mut pinned = BTreeMap::<String, BTreeMap<String, Vec<String>>>::new();
    for (set, arch, pins) in lock.sets() {
        for pin in pins {
            let versions = pinned.entry(format!("{}:{}", pin.name, pin.arch)).or_default();
            let sets = versions.entry(pin.version.to_string()).or_default();
            sets.push(format!("{set}-{arch}"));
        }
    }
    let packages = pinned.into_iter().map(|(name, versions)| {
        let of =
            |(version, sets): (&String, &Vec<String>)| format!("{version} ({})", sets.join(", "));
        (name, versions.iter().map(of).collect::<Vec<_>>().join(", "))
    });
    let units = lock.components.iter().map(|component| {
        let debug = format!("{:?}", component.source);
        (
            format!("unit {}", component.name),
            Sha256::of(debug.as_bytes()).to_string()[..12].to_owned(),
        )
    });
    packages.chain(units).collect()
}

/// The differences, a line each.
fn changes(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    differ: bool,
) -> Vec<String> {
    let mut changes = Vec::new();
    for (name, now) in after {
        match before.get(name) {
            Some(then) if then == now => {}
            Some(then) => changes.push(format!("{name} {then} -> {now}")),
            None => changes.push(format!("{name} {now} is new")),
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    changes.extend(gone.map(|name| format!("{name} is gone")));
    if changes.is_empty() && differ {
        changes.push("newer indexes of the same packages".to_owned());
    }
    changes
}

/// What has changed.
#[derive(Serialize)]
struct Report {
    path: PathBuf,
    snapshot: String,
    packages: usize,
    checked: bool,
    changes: Vec<String>,
}

impl Report {
    fn of(path: &Path, old: Option<&Lock>, new: &Lock, checked: bool) -> Self {
        let after = contents(new);
        let changes = match old {
            Some(old) => changes(&contents(old), &after, old.to_string() != new.to_string()),
            None => vec!["made afresh".to_owned()],
        };
        let snapshot = new.snapshot.to_string();
        Self {
            path: path.to_owned(),
            snapshot,
            packages: after.keys().filter(|name| name.contains(':')).count(),
            checked,
            changes,
        }
    }

    fn is_current(&self) -> bool {
        self.changes.is_empty()
    }

    fn stale(&self) -> Failure {
        Failure::Work {
            message: format!("{} is not current", self.path.display()),
            causes: few(self.changes.clone()),
            hint: Some("run the command without --check and review the difference".to_owned()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "  {change}")?;
        }
        let state = match (self.changes.len(), self.checked) {
            (0, _) => "is current",
            _ => "written",
        };
        let Self { path, packages, snapshot, .. } = self;
        write!(f, "{} {state}: {packages} packages as of {snapshot}", path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_lock_pins_the_units_as_they_are() {
        let wanted = WantedFile::own().unwrap();
        let own = pins::lock(None).unwrap();
        let current = with_components(&own, components().unwrap()).unwrap();
        let differences = changes(&contents(&own), &contents(&current), own != current);
        assert_eq!(differences, [""; 0], "run `mailkiln lock`");
        assert!(refuse_lacking(Path::new("mailkiln.lock"), wanted.missing(&own)).is_ok());
    }

    #[test]
    fn differences_are_told_by_name() {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned())).collect()
        };
        let before: BTreeMap<_, _> = map(&[("a:all", "1 (image)"), ("b:all", "1 (ssh)")]);
        let after = map(&[("a:all", "2 (image)"), ("c:all", "1 (ssh)")]);
        assert_eq!(
            changes(&before, &after, true),
            ["a:all 1 (image) -> 2 (image)", "c:all 1 (ssh) is new", "b:all is gone"]
        );
        assert_eq!(changes(&before, &before, false), [""; 0]);
        assert_eq!(changes(&before, &before, true).len(), 1);
    }

    #[test]
    fn long_lists_are_cut() {
        let list: Vec<_> = (0..20).map(|number| number.to_string()).collect();
        let cut = few(list.clone());
        assert_eq!((cut.len(), cut[SHOWN].as_str()), (SHOWN + 1, "and 12 more"));
        assert_eq!(few(list[..SHOWN].to_vec()), list[..SHOWN]);
    }
}
