//! The universe in the solver's words.
//!
//! In: a [`Universe`] and excluded names. Out: names, candidates and clauses for `resolvo`. Every
//! package is a name with one candidate; an alternative or a virtual package is a union of
//! several such names. Pure.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use mailkiln_pin::PackageName;
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, DenseIndex as _, Dependencies,
    DependencyProvider, Interner, KnownDependencies, NameId, SolvableId, SolverCache, StringId,
    VersionSetId, VersionSetUnionId,
};

use crate::Package;
use crate::relation::Clause;
use crate::solve::{SolveError, Universe, clauses};

/// Answers the solver's questions about a universe.
#[derive(Debug)]
pub(crate) struct Provider<'a> {
    universe: &'a Universe<'a>,
    /// Names that nobody has to provide.
    excluded: &'a BTreeSet<PackageName>,
    interned: RefCell<Interned>,
}

/// What the solver has been told numbers for.
#[derive(Debug, Default)]
struct Interned {
    sets: Vec<Set>,
    set_ids: BTreeMap<Set, VersionSetId>,
    unions: Vec<Vec<VersionSetId>>,
    /// Relations that nothing fulfils; their names follow those of the packages.
    missing: Vec<String>,
    strings: Vec<String>,
}

/// A name, and whether its one candidate is meant or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Set {
    name: usize,
    admits: bool,
}

impl<'a> Provider<'a> {
    pub(crate) fn new(universe: &'a Universe<'a>, excluded: &'a BTreeSet<PackageName>) -> Self {
        Self { universe, excluded, interned: RefCell::default() }
    }

    /// Requirements on packages by their index.
    pub(crate) fn require(
        &self,
        packages: impl Iterator<Item = usize>,
    ) -> Vec<ConditionalRequirement> {
        packages.map(|name| self.set(Set { name, admits: true }).into()).collect()
    }

    /// The index of a package that was chosen.
    pub(crate) fn index(&self, id: SolvableId) -> usize {
        id.to_index()
    }

    fn package(&self, name: usize) -> Option<&'a Package> {
        self.universe.packages().get(name).copied()
    }

    fn set(&self, set: Set) -> VersionSetId {
        let mut interned = self.interned.borrow_mut();
        if let Some(id) = interned.set_ids.get(&set) {
            return *id;
        }
        let id = VersionSetId::from_index(interned.sets.len());
        interned.sets.push(set);
        interned.set_ids.insert(set, id);
        id
    }

    fn string(&self, text: String) -> StringId {
        let mut interned = self.interned.borrow_mut();
        interned.strings.push(text);
        StringId::from_index(interned.strings.len() - 1)
    }

    /// What the clause demands, or `None` when an excluded package stands for it.
    fn requirement(&self, speaker: &Package, clause: &Clause) -> Option<ConditionalRequirement> {
        let is_excluded = |name: &PackageName| self.excluded.contains(name);
        if clause.atoms.iter().any(|atom| is_excluded(&atom.name)) {
            return None;
        }
        let arch = speaker.arch_on(self.universe.native());
        let mut names = Vec::new();
        for atom in &clause.atoms {
            for index in self.universe.matching(atom, arch) {
                if self.package(index).is_some_and(|package| is_excluded(&package.pin.name)) {
                    return None;
                }
                if !names.contains(&index) {
                    names.push(index);
                }
            }
        }
        if names.is_empty() {
            let atoms: Vec<_> = clause.atoms.iter().map(ToString::to_string).collect();
            let mut interned = self.interned.borrow_mut();
            names.push(self.universe.packages().len() + interned.missing.len());
            interned.missing.push(atoms.join(" | "));
        }
        let sets: Vec<_> =
            names.into_iter().map(|name| self.set(Set { name, admits: true })).collect();
        if let [only] = sets[..] {
            return Some(only.into());
        }
        let mut interned = self.interned.borrow_mut();
        interned.unions.push(sets);
        Some(VersionSetUnionId::from_index(interned.unions.len() - 1).into())
    }

    fn known(&self, index: usize, package: &Package) -> Result<KnownDependencies, SolveError> {
        let relations = &package.relations;
        let mut known = KnownDependencies::default();
        for field in [&relations.pre_depends, &relations.depends] {
            for clause in clauses(package, field)? {
                known.requirements.extend(self.requirement(package, &clause));
            }
        }
        let mut refused: BTreeSet<usize> = self.universe.rivals(index).collect();
        for field in [&relations.conflicts, &relations.breaks] {
            for clause in clauses(package, field)? {
                for atom in &clause.atoms {
                    // A package may refuse a virtual one that it provides itself.
                    let others = self.universe.refused(atom).into_iter();
                    refused.extend(others.filter(|other| {
                        self.package(*other).is_some_and(|other| other.pin.name != package.pin.name)
                    }));
                }
            }
        }
        known.constrains =
            refused.into_iter().map(|name| self.set(Set { name, admits: false })).collect();
        Ok(known)
    }

    fn lookup<T>(&self, read: impl FnOnce(&Interned) -> Option<T>) -> Option<T> {
        read(&self.interned.borrow())
    }

    fn name_text(&self, name: usize) -> String {
        if let Some(package) = self.package(name) {
            return format!("{}:{}", package.pin.name, package.pin.arch);
        }
        let missing = name - self.universe.packages().len();
        self.lookup(|interned| interned.missing.get(missing).cloned()).unwrap_or_default()
    }
}

impl Interner for Provider<'_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        self.package(solvable.to_index())
            .map(|package| package.pin.version.to_string())
            .unwrap_or_default()
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.name_text(name.to_index())
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        let set = self.lookup(|interned| interned.sets.get(set.to_index()).copied());
        if set.is_some_and(|set| set.admits) { "" } else { "absent" }
    }

    fn display_string(&self, id: StringId) -> impl Display + '_ {
        self.lookup(|interned| interned.strings.get(id.to_index()).cloned()).unwrap_or_default()
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        let name = self.lookup(|interned| interned.sets.get(set.to_index()).map(|set| set.name));
        NameId::from_index(name.unwrap_or_default())
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        NameId::from_index(solvable.to_index())
    }

    fn version_sets_in_union(
        &self,
        union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        let sets = self.lookup(|interned| interned.unions.get(union.to_index()).cloned());
        sets.unwrap_or_default().into_iter()
    }

    /// Debian has no conditional relations, so the solver never asks.
    fn resolve_condition(&self, _: ConditionId) -> Condition {
        Condition::Requirement(VersionSetId::from_index(0))
    }
}

impl DependencyProvider for Provider<'_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let admits = self
            .lookup(|interned| interned.sets.get(set.to_index()).map(|set| set.admits))
            .unwrap_or_default();
        if admits == inverse { Vec::new() } else { candidates.to_vec() }
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates<SolvableId>> {
        let index = name.to_index();
        self.package(index)?;
        Some(Candidates { candidates: vec![SolvableId::from_index(index)], ..Default::default() })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, _: &mut [SolvableId]) {
        // There is never more than one of a name.
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let index = solvable.to_index();
        let Some(package) = self.package(index) else {
            return Dependencies::Unknown(self.string("no such package".to_owned()));
        };
        match self.known(index, package) {
            Ok(known) => Dependencies::Known(known),
            Err(error) => Dependencies::Unknown(self.string(error.to_string())),
        }
    }
}
