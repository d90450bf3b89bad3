//! Updating one package and leaving the others as they are pinned.
//!
//! In: a lock, the sets as they would be chosen today, the universe of today. Out: sets in which
//! only the package, those built from the same source, and those that the new ones demand have
//! moved. Pure.
//!
//! Indexes hold only the newest version of a package, so nothing tells what an old one depends
//! on. Three rules stand in for that: packages from one source move together, since they depend on
//! each other's exact version; nothing is dropped that was there and has not moved; and where a package
//! has gone with its source (a soname, a kernel), whatever needs its heir today moves too.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::{Arch, Archive, PackageArch, PackageName, Pin, Sha256};

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

/// What an update is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// A package, or a source package with all that is built from it: `linux` is the kernel, whose
    /// packages hold its version in their names.
    Named(&'a str),
    /// Whatever the security archive has a newer version of.
    Security,
}

impl Scope<'_> {
    /// Whether the scope names this package.
    fn names(self, pin: &Pin) -> bool {
        let Self::Named(name) = self else { return false };
        let signed =
            source(pin).strip_prefix(name).is_some_and(|rest| rest.starts_with("-signed-"));
        pin.name.as_str() == name || source(pin) == name || signed
    }
}

/// The sets for one machine with only what is in `scope` updated. `fresh` is what would be chosen today.
pub fn update_only(
    scope: Scope<'_>,
    old: &Lock,
    fresh: BTreeMap<SetName, Vec<Pin>>,
    universes: &Universes<'_>,
) -> Result<BTreeMap<SetName, Vec<Pin>>, UpdateError> {
    let mut updated = BTreeMap::new();
    for (universe, sets) in universes.groups(fresh) {
        updated.extend(update_group(scope, old, sets, universe)?);
    }
    Ok(updated)
}

/// Refuses the name of a package that neither the lock nor what is chosen today has, on any machine.
pub fn check_scope<'a>(
    scope: Scope<'_>,
    old: &'a Lock,
    fresh: impl IntoIterator<Item = &'a Pin>,
) -> Result<(), UpdateError> {
    let Scope::Named(name) = scope else { return Ok(()) };
    let mut locked = old.sets().flat_map(|(_, _, pins)| pins).chain(fresh);
    match locked.any(|pin| scope.names(pin)) {
        true => Ok(()),
        false => Err(UpdateError::NotLocked(name.to_owned())),
    }
}

/// The sets of `old` with what `solved` has beyond them: nothing that is pinned moves or goes. For a list
/// of wanted packages that has grown; `solved` comes from the indexes that `old` was made from.
pub fn complete(
    old: &Lock,
    solved: BTreeMap<SetName, Vec<Pin>>,
    arch: Arch,
) -> BTreeMap<SetName, Vec<Pin>> {
    let known = pinned(old, &solved);
    let with_known = |(set, pins): (SetName, Vec<Pin>)| {
        let kept = old.packages(&set.0, arch).unwrap_or_default().to_vec();
        let present: BTreeSet<Key<'_>> = kept.iter().map(key).collect();
        let added = pins.iter().filter(|pin| !present.contains(&key(pin)));
        let mut merged: Vec<Pin> =
            added.map(|pin| (*known.get(&key(pin)).unwrap_or(&pin)).clone()).collect();
        merged.extend(kept.iter().cloned());
        merged.sort();
        (set, merged)
    };
    solved.clone().into_iter().map(with_known).collect()
}

/// The same for sets that choose from one universe, in which a package has one version.
fn update_group(
    scope: Scope<'_>,
    old: &Lock,
    fresh: BTreeMap<SetName, Vec<Pin>>,
    universe: &Universe<'_>,
) -> Result<BTreeMap<SetName, Vec<Pin>>, UpdateError> {
    let before = pinned(old, &fresh);
    let today: BTreeMap<Key<'_>, &Pin> =
        fresh.values().flatten().map(|pin| (key(pin), pin)).collect();
    let offered: BTreeMap<Key<'_>, &Package> =
        universe.packages().iter().map(|package| (key(&package.pin), *package)).collect();
    let mut moved: BTreeSet<String> = match scope {
        Scope::Named(_) => {
            let named = before.values().chain(today.values()).filter(|pin| scope.names(pin));
            named.map(|pin| source(pin).to_owned()).collect()
        }
        Scope::Security => today
            .iter()
            .filter(|(key, pin)| {
                pin.path.archive() == Archive::Security && before.get(*key) != Some(*pin)
            })
            // A name that is new comes from a source that the lock has, or with what needs it.
            .filter(|(key, pin)| before.contains_key(*key) || has_source(&before, source(pin)))
            .map(|(_, pin)| source(pin).to_owned())
            .collect(),
    };
    loop {
        let chosen = Chosen::of(&before, &today, &offered, &moved)?;
        let mut more = chosen.outgrown(&before, &offered, &moved)?;
        for package in chosen.fresh.iter().filter_map(|key| offered.get(key)) {
            more.extend(held_back_by(package, &chosen.now)?);
        }
        let count = moved.len();
        moved.extend(more);
        if moved.len() == count {
            return Ok(merge(old, &fresh, &chosen, universe.native()));
        }
    }
}

fn has_source(pins: &BTreeMap<Key<'_>, &Pin>, wanted: &str) -> bool {
    pins.values().any(|pin| source(pin) == wanted)
}

/// What there is once some sources have moved.
struct Chosen<'a> {
    /// Every package.
    now: BTreeMap<Key<'a>, &'a Pin>,
    /// Those of today: of sources that have moved, and what these need.
    fresh: BTreeSet<Key<'a>>,
}

impl<'a> Chosen<'a> {
    fn of(
        before: &BTreeMap<Key<'a>, &'a Pin>,
        today: &BTreeMap<Key<'a>, &'a Pin>,
        offered: &BTreeMap<Key<'a>, &'a Package>,
        moved: &BTreeSet<String>,
    ) -> Result<Self, SolveError> {
        let stays = before.iter().filter(|(_, pin)| !moved.contains(source(pin)));
        let mut chosen =
            Self { now: stays.map(|(key, pin)| (*key, *pin)).collect(), fresh: BTreeSet::new() };
        let moves = |pin: &&&Pin| moved.contains(source(pin));
        let mut queue: Vec<Key<'a>> =
            today.iter().filter(|(_, pin)| moves(pin)).map(|(key, _)| *key).collect();
        while let Some(key) = queue.pop() {
            let Some(pin) = today.get(&key).filter(|_| chosen.fresh.insert(key)) else { continue };
            chosen.now.insert(key, *pin);
            let Some(package) = offered.get(&key) else { continue };
            for field in [&package.relations.pre_depends, &package.relations.depends] {
                for clause in clauses(package, field)? {
                    let names: BTreeSet<&PackageName> =
                        clause.atoms.iter().map(|atom| &atom.name).collect();
                    let serves = |key: &Key<'_>| serves(key, &names, offered);
                    if !chosen.now.keys().any(serves) {
                        queue.extend(today.keys().filter(|key| serves(key)));
                    }
                }
            }
        }
        Ok(chosen)
    }

    /// Sources that have to move as well: those of packages that were not there before, whose sisters are;
    /// and those that may need a package that is gone with a source that has moved (a soname, a kernel).
    fn outgrown(
        &self,
        before: &BTreeMap<Key<'_>, &Pin>,
        offered: &BTreeMap<Key<'_>, &Package>,
        moved: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, SolveError> {
        let fresh = self.fresh.iter().filter_map(|key| self.now.get(key));
        let mut more: BTreeSet<String> = fresh
            .map(|pin| source(pin))
            .filter(|source| has_source(before, source))
            .map(str::to_owned)
            .collect();
        let gone: BTreeSet<&str> = before
            .iter()
            .filter(|(key, pin)| moved.contains(source(pin)) && !self.now.contains_key(*key))
            .map(|(_, pin)| source(pin))
            .collect();
        if gone.is_empty() {
            return Ok(more);
        }
        let heirs: BTreeSet<&PackageName> = self
            .now
            .iter()
            .filter(|(key, pin)| gone.contains(source(pin)) && self.fresh.contains(*key))
            .map(|(key, _)| key.0)
            .collect();
        for (key, pin) in &self.now {
            for package in successors(key, pin, offered) {
                for field in [&package.relations.pre_depends, &package.relations.depends] {
                    let clauses = clauses(package, field)?;
                    let mut atoms = clauses.iter().flat_map(|clause| &clause.atoms);
                    if atoms.any(|atom| heirs.contains(&atom.name)) {
                        more.insert(source(pin).to_owned());
                    }
                }
            }
        }
        Ok(more)
    }
}

/// What a pinned package would be today, which is all that tells what it may need: none if it is today's
/// already, and all of its source if its name is no longer there.
fn successors<'a>(
    key: &Key<'_>,
    pin: &Pin,
    offered: &BTreeMap<Key<'a>, &'a Package>,
) -> Vec<&'a Package> {
    match offered.get(key) {
        Some(package) if package.pin == *pin => Vec::new(),
        Some(package) => vec![*package],
        None => {
            let sisters = offered.values().filter(|package| source(&package.pin) == source(pin));
            sisters.copied().collect()
        }
    }
}

/// Whether a package has one of the names, or provides it.
fn serves(
    key: &Key<'_>,
    names: &BTreeSet<&PackageName>,
    offered: &BTreeMap<Key<'_>, &Package>,
) -> bool {
    let provides = |package: &&Package| {
        // A relation that can't be read was an error when the universe was made.
        let provided = clauses(package, &package.relations.provides).unwrap_or_default();
        provided.iter().flat_map(|clause| &clause.atoms).any(|atom| names.contains(&atom.name))
    };
    names.contains(key.0) || offered.get(key).is_some_and(provides)
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
    fresh: &BTreeMap<SetName, Vec<Pin>>,
    chosen: &Chosen<'_>,
    arch: Arch,
) -> BTreeMap<SetName, Vec<Pin>> {
    let stays = |pin: &&Pin| chosen.now.get(&key(pin)) == Some(pin);
    let is_fresh = |pin: &&Pin| chosen.fresh.contains(&key(pin));
    let merged = fresh.iter().map(|(set, pins)| {
        let kept = old.packages(&set.0, arch).unwrap_or_default().iter().filter(stays);
        let mut merged: Vec<Pin> = kept.chain(pins.iter().filter(is_fresh)).cloned().collect();
        merged.sort();
        merged.dedup();
        (set.clone(), merged)
    });
    merged.collect()
}

/// The sets with the old pin of every file that `old` pins already. A point release takes files over from the security
/// archive: the same file then has another place in the indexes, and sets that were not chosen afresh know the old one.
pub fn same_files(
    old: &Lock,
    mut sets: BTreeMap<(SetName, Arch), Vec<Pin>>,
) -> BTreeMap<(SetName, Arch), Vec<Pin>> {
    fn file(pin: &Pin) -> (&PackageName, PackageArch, &str, Sha256) {
        (&pin.name, pin.arch, pin.version.as_str(), pin.sha256)
    }
    let known: BTreeMap<_, &Pin> =
        old.sets().flat_map(|(_, _, pins)| pins).map(|pin| (file(pin), pin)).collect();
    for pin in sets.values_mut().flatten() {
        if let Some(same) = known.get(&file(pin)) {
            pin.path = same.path.clone();
        }
    }
    sets
}

/// Packages of which a set has two versions under names that differ in their version only: a lock that an
/// image can't be built from. `SET-MACHINE: NAME and NAME`.
pub fn twice(lock: &Lock) -> Vec<String> {
    let mut twice = Vec::new();
    for (set, arch, pins) in lock.sets() {
        let mut by_name = BTreeMap::<(String, &str, PackageArch), Vec<&Pin>>::new();
        for pin in pins {
            let without: String = pin
                .name
                .as_str()
                .chars()
                .filter(|c| !c.is_ascii_digit() && !".+".contains(*c))
                .collect();
            by_name.entry((without, source(pin), pin.arch)).or_default().push(pin);
        }
        for pins in by_name.values() {
            let versions: BTreeSet<&str> = pins.iter().map(|pin| pin.version.as_str()).collect();
            if versions.len() > 1 {
                let names: Vec<String> =
                    pins.iter().map(|pin| format!("{} {}", pin.name, pin.version)).collect();
                twice.push(format!("{set}-{arch}: {}", names.join(" and ")));
            }
        }
    }
    twice
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
