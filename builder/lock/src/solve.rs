//! Choosing packages: the wanted ones, and what they need.
//!
//! In: the packages of several suites, names that are wanted, names that are left out. Out: pins,
//! sorted, or an explanation why there is no such set. Of a package only the highest version is
//! considered, as apt does. `Recommends` are not followed. Solved by `resolvo`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::{Arch, PackageArch, PackageName, Pin};
use resolvo::{Problem, Solver, UnsolvableOrCancelled};

use crate::provider::Provider;
use crate::relation::{Atom, BadRelation, Clause, Qualifier};
use crate::{MultiArch, Package};

/// The packages that may be chosen from: one version of each, for one machine.
#[derive(Debug)]
pub struct Universe<'a> {
    native: Arch,
    packages: Vec<&'a Package>,
    by_name: BTreeMap<PackageName, Vec<usize>>,
    providers: BTreeMap<PackageName, Vec<(usize, Atom)>>,
}

/// What is to be chosen.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Packages, with `:arch` for those of another architecture.
    pub packages: Vec<String>,
    /// Names that count as present although they are not.
    pub excluded: BTreeSet<PackageName>,
    /// What is there already, from another set: it is kept, and not listed again.
    pub present: Vec<Pin>,
}

/// No set of packages fulfils the wishes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// A name that no suite has.
    #[error("no suite has the package `{name}` for {native}")]
    NoSuchPackage {
        /// As it was written.
        name: String,
        /// The machine that it was wanted for.
        native: Arch,
    },
    /// A relation that can't be read.
    #[error("package `{package}`: {source}")]
    Relation {
        /// Whose relation it is.
        package: PackageName,
        /// What is wrong with it.
        source: BadRelation,
    },
    /// The wishes contradict each other.
    #[error("these packages can't be installed together on {native}:\n{explanation}")]
    Conflict {
        /// The machine.
        native: Arch,
        /// Who needs what, as a tree.
        explanation: String,
    },
}

impl<'a> Universe<'a> {
    /// Merges packages for the machine `native`. The highest version of each wins; of equal ones
    /// the one named first, so begin with the suite that keeps its packages longest.
    pub fn new(
        native: Arch,
        packages: impl IntoIterator<Item = &'a Package>,
    ) -> Result<Self, SolveError> {
        let mut best = BTreeMap::<(&PackageName, PackageArch), &Package>::new();
        for package in packages {
            let key = (&package.pin.name, package.pin.arch);
            match best.get(&key) {
                Some(known) if known.version >= package.version => {}
                _ => {
                    best.insert(key, package);
                }
            }
        }
        let packages: Vec<_> = best.into_values().collect();
        let mut by_name = BTreeMap::<_, Vec<_>>::new();
        let mut providers = BTreeMap::<_, Vec<_>>::new();
        for (index, package) in packages.iter().enumerate() {
            by_name.entry(package.pin.name.clone()).or_default().push(index);
            for clause in clauses(package, &package.relations.provides)? {
                for atom in clause.atoms {
                    providers.entry(atom.name.clone()).or_default().push((index, atom));
                }
            }
        }
        Ok(Self { native, packages, by_name, providers })
    }

    /// Chooses the wanted packages and everything that they depend on; what is present already is
    /// not among them.
    pub fn solve(&self, wanted: &Wanted) -> Result<Vec<Pin>, SolveError> {
        let roots = wanted.packages.iter().map(|name| self.find(name));
        let roots: Vec<usize> = roots.collect::<Result<_, _>>()?;
        let is_present = |package: &&Package| {
            wanted
                .present
                .iter()
                .any(|pin| pin.name == package.pin.name && pin.arch == package.pin.arch)
        };
        let present = self.packages.iter().enumerate().filter(|(_, package)| is_present(package));
        let present: BTreeSet<usize> = present.map(|(index, _)| index).collect();
        let provider = Provider::new(self, &wanted.excluded);
        let requirements = provider.require(present.iter().chain(&roots).copied());
        let mut solver = Solver::new(provider);
        let problem = Problem::new().requirements(requirements);
        let chosen = match solver.solve(problem) {
            Ok(chosen) => chosen,
            Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
                let explanation = conflict.display_user_friendly(&solver).to_string();
                return Err(SolveError::Conflict { native: self.native, explanation });
            }
            Err(UnsolvableOrCancelled::Cancelled(_)) => {
                let explanation = "the search was given up".to_owned();
                return Err(SolveError::Conflict { native: self.native, explanation });
            }
        };
        let chosen = chosen.into_iter().map(|id| solver.provider().index(id));
        let new = chosen.filter(|index| !present.contains(index));
        let mut pins: Vec<_> =
            new.filter_map(|index| self.packages.get(index)).map(|one| one.pin.clone()).collect();
        pins.sort();
        Ok(pins)
    }

    /// The pin of one package, without what it depends on.
    pub fn pin(&self, name: &str) -> Result<Pin, SolveError> {
        Ok(self.packages[self.find(name)?].pin.clone())
    }

    fn find(&self, name: &str) -> Result<usize, SolveError> {
        let missing = || SolveError::NoSuchPackage { name: name.to_owned(), native: self.native };
        let atom = Atom::parse(name).map_err(|_| missing())?;
        let found = self.matching(&atom, self.native).into_iter();
        let mut real = found.filter(|index| self.packages[*index].pin.name == atom.name);
        real.next().ok_or_else(missing)
    }

    pub(crate) fn packages(&self) -> &[&'a Package] {
        &self.packages
    }

    /// The packages that an atom means, when a package for `speaker` says it: those of the name
    /// first, then those that provide it; native ones before others.
    pub(crate) fn matching(&self, atom: &Atom, speaker: Arch) -> Vec<usize> {
        let real = self.by_name.get(&atom.name).into_iter().flatten().copied();
        let real = real.filter(|index| atom.admits(&self.packages[*index].version));
        let provided = self.providers.get(&atom.name).into_iter().flatten();
        let provided = provided
            .filter(|(_, provides)| {
                atom.admits_provided(provides.constraint.as_ref().map(|(_, version)| version))
            })
            .map(|(index, _)| *index);
        let mut found = Vec::new();
        for index in real.chain(provided) {
            if self.serves(atom.qualifier, speaker, index) && !found.contains(&index) {
                found.push(index);
            }
        }
        // The sort is stable: real ones stay before providers of the same architecture.
        found.sort_by_key(|index| {
            let package = &self.packages[*index];
            (package.pin.name != atom.name, package.arch_on(self.native) != speaker)
        });
        found
    }

    /// Whether the architecture of a package is one that the qualifier means.
    fn serves(&self, qualifier: Qualifier, speaker: Arch, index: usize) -> bool {
        let package = &self.packages[index];
        let arch = package.arch_on(self.native);
        match qualifier {
            Qualifier::Same => arch == speaker || package.multi_arch == MultiArch::Foreign,
            Qualifier::Any => arch == speaker || package.multi_arch == MultiArch::Allowed,
            Qualifier::Only(wanted) => package.pin.arch == wanted,
            Qualifier::Foreign => false,
        }
    }

    /// Every package that an atom of `Conflicts` or `Breaks` means, of any architecture.
    pub(crate) fn refused(&self, atom: &Atom) -> BTreeSet<usize> {
        Arch::ALL.into_iter().flat_map(|speaker| self.matching(atom, speaker)).collect()
    }

    /// Packages of the same name that can't be beside this one.
    pub(crate) fn rivals(&self, index: usize) -> impl Iterator<Item = usize> {
        let package = &self.packages[index];
        let same_name = self.by_name.get(&package.pin.name).into_iter().flatten().copied();
        same_name.filter(move |other| {
            let both_same = package.multi_arch == MultiArch::Same
                && self.packages[*other].multi_arch == MultiArch::Same
                && self.packages[*other].version == package.version;
            *other != index && !both_same
        })
    }

    pub(crate) fn native(&self) -> Arch {
        self.native
    }
}

/// The clauses of a relation field of `package`.
pub(crate) fn clauses(package: &Package, field: &str) -> Result<Vec<Clause>, SolveError> {
    Clause::parse_all(field)
        .map_err(|source| SolveError::Relation { package: package.pin.name.clone(), source })
}

#[cfg(test)]
#[path = "solve_tests.rs"]
mod tests;
