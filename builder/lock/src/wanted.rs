//! `wanted.toml`: which packages the lock is made of, and why each is wanted.
//!
//! In: the file's text. Out: suites to read, and sets of packages with their exclusions. It is
//! data: another package, set or component needs no change of the program. Pure.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::{Arch, Archive, PackageName, Pin};
use serde::Deserialize;

use crate::solve::{SolveError, Wanted};
use crate::{Lock, SetName, Universes};

/// The file that comes with this program.
const OWN: &str = include_str!("../wanted.toml");

/// What a lock shall be made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedFile {
    /// Suites to choose from. Of equal versions the one in the suite named first is taken.
    #[serde(rename = "suite")]
    pub suites: Vec<WantedSuite>,
    /// Sets of packages by name.
    #[serde(rename = "set")]
    pub sets: BTreeMap<String, WantedSet>,
}

/// A suite to read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedSuite {
    /// Codename: `trixie-security`.
    pub name: String,
    /// The archive that carries it.
    pub archive: Archive,
    /// The parts of the suite that are read: `main`.
    pub components: Vec<String>,
    /// Whether only those sets choose from it that name it in their `suites`.
    #[serde(default)]
    pub on_request: bool,
}

/// A set of packages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedSet {
    /// Sets that are installed whenever this one is; only what is missing in them is listed.
    #[serde(default)]
    pub over: Vec<String>,
    /// Suites that are read on request: the packages named here come from them, and what no other
    /// suite has.
    #[serde(default)]
    pub suites: Vec<String>,
    /// Whether what the packages depend on is in the set too. Not for packages of which single
    /// files are taken.
    #[serde(default = "yes")]
    pub dependencies: bool,
    /// Packages that others depend on and that the appliance works without, each with the reason.
    #[serde(default)]
    pub without: BTreeMap<PackageName, String>,
    /// Packages for every machine, each with the reason.
    #[serde(default)]
    pub packages: BTreeMap<String, String>,
    /// Packages for x86_64 machines only.
    #[serde(default)]
    pub x86_64: BTreeMap<String, String>,
    /// Packages for aarch64 machines only.
    #[serde(default)]
    pub aarch64: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// A `wanted.toml` that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// Not TOML, or not the fields that it has.
    #[error("the list of wanted packages can't be read: {0}")]
    Syntax(String),
    /// `over` names a set that is not there, or sets name each other.
    #[error(
        "the list of wanted packages: set `{set}` lies over `{over}`, which is not there or lies over it"
    )]
    Over {
        /// The set.
        set: String,
        /// What its `over` says.
        over: String,
    },
    /// `suites` names a suite that is not there, or that every set chooses from.
    #[error(
        "the list of wanted packages: set `{set}` asks for the suite `{suite}`, and no suite of that name is `on_request`"
    )]
    Suite {
        /// The set.
        set: String,
        /// What its `suites` says.
        suite: String,
    },
    /// A set can't be had.
    #[error("set `{set}`: {source}")]
    Solve {
        /// The set.
        set: String,
        /// Why not.
        source: SolveError,
    },
}

impl WantedFile {
    /// The list that comes with this program.
    pub fn own() -> Result<Self, WantedError> {
        Self::parse(OWN)
    }

    /// Reads a list.
    pub fn parse(text: &str) -> Result<Self, WantedError> {
        toml::from_str(text).map_err(|error| WantedError::Syntax(error.to_string()))
    }

    /// Chooses the packages of every set for one machine.
    pub fn solve(
        &self,
        universes: &Universes<'_>,
        arch: Arch,
    ) -> Result<BTreeMap<SetName, Vec<Pin>>, WantedError> {
        let mut solved = BTreeMap::new();
        for name in self.sets.keys() {
            let mut waiting = BTreeSet::new();
            self.solve_set(name, universes, arch, &mut solved, &mut waiting)?;
        }
        Ok(solved)
    }

    /// The packages that are wanted and that `lock` does not pin where they are: `SET-MACHINE: NAME`.
    pub fn missing(&self, lock: &Lock) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, set) in &self.sets {
            for arch in Arch::ALL {
                let pinned: BTreeSet<String> = std::iter::once(name)
                    .chain(&set.over)
                    .flat_map(|one| lock.packages(one, arch).unwrap_or_default())
                    .flat_map(|pin| [pin.name.to_string(), format!("{}:{}", pin.name, pin.arch)])
                    .collect();
                let lacking =
                    set.packages_for(arch).into_iter().filter(|one| !pinned.contains(one));
                missing.extend(lacking.map(|one| format!("{name}-{arch}: {one}")));
            }
        }
        missing
    }

    /// Solves a set after those that it lies over. `waiting` holds the sets that lie over it.
    fn solve_set(
        &self,
        name: &str,
        universes: &Universes<'_>,
        arch: Arch,
        solved: &mut BTreeMap<SetName, Vec<Pin>>,
        waiting: &mut BTreeSet<String>,
    ) -> Result<(), WantedError> {
        let key = SetName(name.to_owned());
        if solved.contains_key(&key) {
            return Ok(());
        }
        let over = |over: &str| WantedError::Over { set: name.to_owned(), over: over.to_owned() };
        let set = self.sets.get(name).ok_or_else(|| over(name))?;
        waiting.insert(name.to_owned());
        let mut wanted = Wanted { packages: set.packages_for(arch), ..Wanted::default() };
        for below in &set.over {
            if waiting.contains(below) || !self.sets.contains_key(below) {
                return Err(over(below));
            }
            self.solve_set(below, universes, arch, solved, waiting)?;
            wanted.present.extend(solved[&SetName(below.clone())].iter().cloned());
        }
        waiting.remove(name);
        self.leave_out(name, &mut wanted.excluded);
        let universe = universes.of(&key);
        let found = if set.dependencies {
            universe.solve(&wanted)
        } else {
            wanted.packages.iter().map(|package| universe.pin(package)).collect()
        };
        let pins = found.map_err(|source| WantedError::Solve { set: name.to_owned(), source })?;
        solved.insert(key, pins);
        Ok(())
    }

    /// What a set leaves out, with what the sets below it do.
    fn leave_out(&self, name: &str, excluded: &mut BTreeSet<PackageName>) {
        if let Some(set) = self.sets.get(name) {
            excluded.extend(set.without.keys().cloned());
            set.over.iter().for_each(|below| self.leave_out(below, excluded));
        }
    }
}

impl WantedSet {
    /// The packages that it names for a machine.
    pub(crate) fn packages_for(&self, arch: Arch) -> Vec<String> {
        let special = match arch {
            Arch::X86_64 => &self.x86_64,
            Arch::Aarch64 => &self.aarch64,
        };
        self.packages.keys().chain(special.keys()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_list_is_whole() {
        let own = WantedFile::own().unwrap();
        for set in ["image", "kernel", "ssh", "boot", "toolchain", "cross"] {
            assert!(own.sets.contains_key(set), "{set}");
        }
        assert!(
            own.sets.values().flat_map(|set| &set.over).all(|over| own.sets.contains_key(over))
        );
    }

    #[test]
    fn what_a_lock_lacks_is_named() {
        let list = "suite = []\n[set.a.packages]\nsed = ''\ntar = ''\n[set.b]\nover = ['a']\nx86_64.sed = ''";
        let list = WantedFile::parse(list).unwrap();
        let zeros = "0".repeat(64);
        let lock = format!(
            "version = 1\nsnapshot = '2026-01-01T00:00:00Z'\n[packages]\n'sed:all' = {{ version = '1', \
             size = 1, sha256 = '{zeros}', path = 'debian/x', sets = ['a-x86_64', 'a-aarch64'] }}"
        );
        let missing = list.missing(&Lock::parse(&lock).unwrap());
        assert_eq!(missing, ["a-x86_64: tar", "a-aarch64: tar"]);
        let own = include_str!("../../../mailkiln.lock");
        assert_eq!(WantedFile::own().unwrap().missing(&Lock::parse(own).unwrap()), [""; 0]);
    }

    #[test]
    fn sets_that_lie_over_each_other_are_refused() {
        let list = |text: &str| WantedFile::parse(&format!("suite = []\n{text}")).unwrap();
        for text in [
            "[set.a]\nover = ['b']\n[set.b]\nover = ['a']",
            "[set.a]\nover = ['a']",
            "[set.a]\nover = ['c']",
        ] {
            let list = list(text);
            let universes = Universes::new(&list, Arch::X86_64, &[]).unwrap();
            let error = list.solve(&universes, Arch::X86_64).unwrap_err();
            assert!(matches!(error, WantedError::Over { .. }), "{text}: {error}");
        }
        assert!(WantedFile::parse("suite = []\nset = {}\nwhy = 1").is_err());
    }
}
