//! Which packages of a `Cargo.lock` depend on which.
//!
//! In: the text of a `Cargo.lock`. Out: the packages that a change in others reaches. By name
//! alone, over all platforms, features and versions: that is more than cargo would build anew, and
//! never less. Pure; the text is foreign.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::CargoLockError;

/// The packages of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Graph {
    /// Names of the component's own packages.
    own: BTreeSet<String>,
    /// Name → names of the packages that depend on it directly.
    dependants: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Reads a lock's graph.
    ///
    /// # Errors
    /// [`CargoLockError::Syntax`] for text that is not a lock file.
    pub(crate) fn read(text: &str) -> Result<Self, CargoLockError> {
        let lock: RawLock = toml::from_str(text)
            .map_err(|error| CargoLockError::Syntax(error.message().to_owned()))?;
        let (mut own, mut dependants) = (BTreeSet::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for package in lock.package {
            for dependency in package.dependencies {
                // `NAME`, or `NAME VERSION`, or `NAME VERSION (SOURCE)` where that is ambiguous.
                let name = dependency.split(' ').next().unwrap_or_default().to_owned();
                dependants.entry(name).or_default().insert(package.name.clone());
            }
            if package.source.is_none() {
                own.insert(package.name);
            }
        }
        Ok(Self { own, dependants })
    }

    /// Names of the component's own packages.
    pub(crate) fn own(&self) -> &BTreeSet<String> {
        &self.own
    }

    /// The own packages, `changed` ones, and all that depend on any of them.
    pub(crate) fn affected<'a>(
        &'a self,
        changed: impl IntoIterator<Item = &'a str>,
    ) -> BTreeSet<&'a str> {
        let mut open: Vec<&str> = self.own.iter().map(String::as_str).chain(changed).collect();
        let mut affected: BTreeSet<&str> = open.iter().copied().collect();
        while let Some(name) = open.pop() {
            for dependant in self.dependants.get(name).into_iter().flatten() {
                if affected.insert(dependant) {
                    open.push(dependant);
                }
            }
        }
        affected
    }
}

#[derive(Deserialize)]
struct RawLock {
    #[serde(default)]
    package: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
        version = 4
        [[package]]
        name = "app"
        version = "0.1.0"
        dependencies = ["server", "log"]
        [[package]]
        name = "server"
        version = "1.0.0"
        source = "registry+r"
        dependencies = ["auth 2.0.0 (registry+r)", "log"]
        [[package]]
        name = "auth"
        version = "2.0.0"
        source = "registry+r"
        dependencies = ["log"]
        [[package]]
        name = "log"
        version = "1.0.0"
        source = "registry+r"
    "#;

    #[test]
    fn a_change_reaches_what_depends_on_it_and_the_own_packages_always_count() {
        let graph = Graph::read(LOCK).unwrap();
        let affected = |changed: &[&'static str]| -> Vec<String> {
            graph.affected(changed.iter().copied()).into_iter().map(str::to_owned).collect()
        };
        assert_eq!(affected(&[]), ["app"]);
        assert_eq!(affected(&["server"]), ["app", "server"]);
        assert_eq!(affected(&["auth"]), ["app", "auth", "server"]);
        assert_eq!(affected(&["log"]), ["app", "auth", "log", "server"]);
        assert_eq!(affected(&["not there"]), ["app", "not there"]);
    }

    #[test]
    fn text_that_is_not_a_lock_is_an_error() {
        assert!(matches!(Graph::read("[[package"), Err(CargoLockError::Syntax(_))));
    }
}
