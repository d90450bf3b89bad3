//! Updating one package and leaving the others as they are pinned.
//!
//! In: a lock, the sets as they would be chosen today, the universe of today. Out: sets in which
//! only the package, those built from the same source, and those that the new ones demand have
//! moved. Pure.
//!
//! Indexes hold only the newest version of a package, so nothing tells what an old one depends
//! on. Two rules stand in for that: packages from one source move together, since they depend on
//! each other's exact version, and nothing is dropped that was there and has not moved.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::{Arch, PackageArch, PackageName, Pin};

use crate::relation::{Atom, parse_version};
use crate::solve::{SolveError, Universe, clauses};
use crate::{Lock, Package, SetName, Universes};

/// The package to update is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Neither the lock nor what is wanted has it.
    #[error("`{0}` is not in the lock: `mailkiln lock --update` without a name updates everything")]
    NotLocked(String),
    /// A relation that can't be read.
    #[error(transparent)]
    Solve(#[from] SolveError),
}

type Key<'a> = (&'a PackageName, PackageArch);

/// The sets for one machine with only `name` updated. `fresh` is what would be chosen today.
pub fn update_only(
    name: &str,
    old: &Lock,
    fresh: BTreeMap<SetName, Vec<Pin>>,
    universes: &Universes<'_>,
) -> Result<BTreeMap<SetName, Vec<Pin>>, UpdateError> {
    let locked = old.sets().flat_map(|(_, _, pins)| pins).chain(fresh.values().flatten());
    if !locked.into_iter().any(|pin| pin.name.as_str() == name) {
        return Err(UpdateError::NotLocked(name.to_owned()));
    }
    let mut updated = BTreeMap::new();
    for (universe, sets) in universes.groups(fresh) {
        updated.extend(update_group(name, old, sets, universe)?);
    }
    Ok(updated)
}

/// The same for sets that choose from one universe, in which a package has one version.
fn update_group(
    name: &str,
    old: &Lock,
    fresh: BTreeMap<SetName, Vec<Pin>>,
    universe: &Universe<'_>,
) -> Result<BTreeMap<SetName, Vec<Pin>>, UpdateError> {
    let before = pinned(old, &fresh);
    let today: BTreeMap<Key<'_>, &Pin> =
        fresh.values().flatten().map(|pin| (key(pin), pin)).collect();
    let named = before.values().chain(today.values()).filter(|pin| pin.name.as_str() == name);
    let mut moved: BTreeSet<String> = named.map(|pin| source(pin).to_owned()).collect();
    let offered: BTreeMap<Key<'_>, &Package> =
        universe.packages().iter().map(|package| (key(&package.pin), *package)).collect();
    loop {
        let now: BTreeMap<Key<'_>, &Pin> = today
            .iter()
            .map(|(key, pin)| match before.get(key) {
                Some(known) if !moved.contains(source(pin)) => (*key, *known),
                _ => (*key, *pin),
            })
            .collect();
        let fresh_ones = now.iter().filter(|(key, pin)| today.get(*key) == Some(*pin));
        let mut more = BTreeSet::new();
        for package in fresh_ones.filter_map(|(key, _)| offered.get(key)) {
            more.extend(held_back_by(package, &now)?);
        }
        let count = moved.len();
        moved.extend(more);
        if moved.len() == count {
            return Ok(merge(old, fresh, &moved, universe.native()));
        }
    }
}

/// Sources whose pinned version is not what a new package demands.
fn held_back_by(
    package: &Package,
    now: &BTreeMap<Key<'_>, &Pin>,
) -> Result<BTreeSet<String>, SolveError> {
    let relations = &package.relations;
    let pinned = |atom: &Atom| -> Vec<&Pin> {
        now.values().filter(|pin| pin.name == atom.name).copied().collect()
    };
    let admits = |atom: &Atom, pin: &Pin| {
        parse_version(pin.version.as_str()).is_some_and(|version| atom.admits(&version))
    };
    let mut sources = BTreeSet::new();
    for field in [&relations.pre_depends, &relations.depends] {
        for clause in clauses(package, field)? {
            let candidates: Vec<_> = clause
                .atoms
                .iter()
                .flat_map(|atom| pinned(atom).into_iter().map(move |pin| (atom, pin)))
                .collect();
            if !candidates.iter().any(|(atom, pin)| admits(atom, pin)) {
                sources.extend(candidates.iter().map(|(_, pin)| source(pin).to_owned()));
            }
        }
    }
    for field in [&relations.conflicts, &relations.breaks] {
        for atom in clauses(package, field)?.iter().flat_map(|clause| &clause.atoms) {
            let refused = pinned(atom).into_iter().filter(|pin| admits(atom, pin));
            let others = refused.filter(|pin| pin.name != package.pin.name);
            sources.extend(others.map(|pin| source(pin).to_owned()));
        }
    }
    Ok(sources)
}

/// The sets of today with the old pins of all that has not moved.
fn merge(
    old: &Lock,
    fresh: BTreeMap<SetName, Vec<Pin>>,
    moved: &BTreeSet<String>,
    arch: Arch,
) -> BTreeMap<SetName, Vec<Pin>> {
    let stays = |pin: &&Pin| !moved.contains(source(pin));
    let mut known = pinned(old, &fresh);
    known.retain(|_, pin| stays(&*pin));
    let merged = fresh.into_iter().map(|(set, pins)| {
        let kept = old.packages(&set.0, arch).unwrap_or_default().iter().filter(stays);
        let mut merged: Vec<Pin> = kept.cloned().collect();
        merged.extend(
            pins.into_iter()
                .map(|pin| known.get(&key(&pin)).map_or(pin.clone(), |pin| (*pin).clone())),
        );
        merged.sort();
        merged.dedup();
        (set, merged)
    });
    merged.collect()
}

/// What `old` pins in the sets that are in `fresh`.
fn pinned<'a>(old: &'a Lock, fresh: &BTreeMap<SetName, Vec<Pin>>) -> BTreeMap<Key<'a>, &'a Pin> {
    let same = old.sets().filter(|(name, _, _)| fresh.contains_key(*name));
    same.flat_map(|(_, _, pins)| pins).map(|pin| (key(pin), pin)).collect()
}

fn key(pin: &Pin) -> Key<'_> {
    (&pin.name, pin.arch)
}

/// The folder of the pool that a package lies in, which archives name after its source package.
fn source(pin: &Pin) -> &str {
    let folder = pin.path.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    folder.rsplit_once('/').map_or(folder, |(_, name)| name)
}
