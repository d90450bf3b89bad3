//! What each set may choose from.
//!
//! In: the packages of every suite, and which sets ask for which. Out: a [`Universe`] for the sets
//! that ask for nothing, and one for each set that does. Pure.
//!
//! A suite on request (backports) has newer versions of many packages. A set that asks for it gets
//! from it what it names, and what no other suite has; of all else the version that every set has.
//! So two sets that are installed together agree.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::{Arch, Pin};

use crate::relation::Atom;
use crate::solve::{SolveError, Universe};
use crate::{Package, SetName, WantedError, WantedFile};

/// The packages of a suite.
#[derive(Debug, Clone)]
pub struct Offered {
    /// The suite's name.
    pub suite: String,
    /// Its packages.
    pub packages: Vec<Package>,
}

/// The universes of all sets for one machine.
#[derive(Debug)]
pub struct Universes<'a> {
    always: Universe<'a>,
    special: BTreeMap<SetName, Universe<'a>>,
}

impl<'a> Universes<'a> {
    /// Sorts what is offered, in the order of `wanted`'s suites, for the machine `native`.
    ///
    /// # Errors
    /// [`WantedError`] when a set asks for a suite that is not on request, or a package's relations
    /// can't be read.
    pub fn new(
        wanted: &WantedFile,
        native: Arch,
        offered: &'a [Offered],
    ) -> Result<Self, WantedError> {
        let on_request: BTreeSet<&str> = wanted
            .suites
            .iter()
            .filter(|suite| suite.on_request)
            .map(|suite| suite.name.as_str())
            .collect();
        let of = |set: &str| {
            let set = set.to_owned();
            move |source: SolveError| WantedError::Solve { set, source }
        };
        let shared = offered.iter().filter(|offer| !on_request.contains(offer.suite.as_str()));
        let shared: Vec<&Package> = shared.flat_map(|offer| &offer.packages).collect();
        let always = Universe::new(native, shared.iter().copied()).map_err(of("image"))?;
        let known: BTreeSet<&str> =
            shared.iter().map(|package| package.pin.name.as_str()).collect();
        let mut special = BTreeMap::new();
        for (name, set) in wanted.sets.iter().filter(|(_, set)| !set.suites.is_empty()) {
            let foreign = |suite: &&String| !on_request.contains(suite.as_str());
            if let Some(suite) = set.suites.iter().find(foreign) {
                return Err(WantedError::Suite { set: name.clone(), suite: suite.clone() });
            }
            let named = set.packages_for(native);
            let named: BTreeSet<String> = named
                .iter()
                .filter_map(|one| Atom::parse(one).ok())
                .map(|atom| atom.name.to_string())
                .collect();
            let asked = offered.iter().filter(|offer| set.suites.contains(&offer.suite));
            let asked = asked.flat_map(|offer| &offer.packages).filter(|package| {
                let name = package.pin.name.as_str();
                !known.contains(name) || named.contains(name)
            });
            let universe = Universe::new(native, shared.iter().copied().chain(asked));
            special.insert(SetName(name.clone()), universe.map_err(of(name))?);
        }
        Ok(Self { always, special })
    }

    /// What `set` chooses from.
    pub fn of(&self, set: &SetName) -> &Universe<'a> {
        self.special.get(set).unwrap_or(&self.always)
    }

    /// Sets by what they choose from, each group with its universe.
    pub(crate) fn groups(
        &self,
        mut sets: BTreeMap<SetName, Vec<Pin>>,
    ) -> Vec<(&Universe<'a>, BTreeMap<SetName, Vec<Pin>>)> {
        let mut groups = Vec::new();
        for (name, universe) in &self.special {
            groups.extend(sets.remove_entry(name).map(|set| (universe, BTreeMap::from([set]))));
        }
        groups.insert(0, (&self.always, sets));
        groups
    }
}

#[cfg(test)]
mod tests {
    use mailkiln_pin::{Archive, Sha256};

    use super::*;

    fn offered(suite: &str, lines: &[(&str, &str, &str)]) -> Offered {
        let stanza = |(name, version, depends): &(&str, &str, &str)| {
            let depends = match *depends {
                "" => String::new(),
                depends => format!("Depends: {depends}\n"),
            };
            format!(
                "Package: {name}\nVersion: {version}\nArchitecture: arm64\nSize: 1\nSHA256: {}\n\
                 Filename: pool/main/x/{name}/{name}_{version}_arm64.deb\n{depends}\n",
                Sha256::of(format!("{name}{version}").as_bytes())
            )
        };
        let text: String = lines.iter().map(stanza).collect();
        let packages = Package::read_plain(Archive::Debian, text.as_bytes()).unwrap();
        Offered { suite: suite.to_owned(), packages }
    }

    #[test]
    fn a_suite_on_request_gives_what_is_named_and_what_nobody_else_has() {
        let list = "\
            suite = [{ name = 'stable', archive = 'debian', components = [] },\n\
            { name = 'backports', archive = 'debian', components = [], on_request = true }]\n\
            [set.image.packages]\nkmod = ''\n[set.kernel]\nover = ['image']\npackages.linux = ''\n\
            [set.newer]\nover = ['image']\nsuites = ['backports']\npackages.linux = ''\n";
        let list = WantedFile::parse(list).unwrap();
        let offered = [
            offered("stable", &[("kmod", "1", ""), ("linux", "6", "kmod"), ("tool", "1", "")]),
            offered(
                "backports",
                &[
                    ("kmod", "2", ""),
                    ("linux", "7", "kmod, linux-modules, tool"),
                    ("linux-modules", "7", ""),
                    ("tool", "2", ""),
                ],
            ),
        ];
        let universes = Universes::new(&list, Arch::Aarch64, &offered).unwrap();
        let solved = list.solve(&universes, Arch::Aarch64).unwrap();
        let chosen = |set: &str| -> Vec<String> {
            let pins = &solved[&SetName(set.to_owned())];
            pins.iter().map(|pin| format!("{} {}", pin.name, pin.version)).collect()
        };
        assert_eq!(chosen("image"), ["kmod 1"]);
        assert_eq!(chosen("kernel"), ["linux 6"]);
        assert_eq!(chosen("newer"), ["linux 7", "linux-modules 7", "tool 1"]);

        let typing = "suite = []\n[set.newer]\nsuites = ['backport']\n";
        let typing = WantedFile::parse(typing).unwrap();
        let error = Universes::new(&typing, Arch::Aarch64, &offered).unwrap_err();
        assert!(
            matches!(&error, WantedError::Suite { suite, .. } if suite == "backport"),
            "{error}"
        );
    }
}
