//! What goes into a unit: the crates that cargo's graph holds for one target.
//!
//! In: the output of `cargo metadata` (format version 1) for one platform, foreign text. Out: the
//! crates that the unit may be built from, by cargo's package id; build scripts' and macros'
//! included, tests' not. Pure. Which of them were really built, cargo's messages say.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::Sha256;
use serde::{Deserialize, Serialize};

use crate::LockedCrate;

/// A crate that a unit was built from, as a bill of materials lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsedCrate {
    /// The crate's name.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// Digest of its `.crate` file; none for the component's own packages.
    pub sha256: Option<Sha256>,
    /// Its licence as its manifest says it, an SPDX expression more often than not.
    pub licence: Option<String>,
}

/// The crates that `package` may need, itself included, by package id. Optional dependencies that
/// no feature asks for can be among them.
pub(crate) fn used_crates(
    metadata: &str,
    package: &str,
    locked: &[LockedCrate],
) -> Result<BTreeMap<String, UsedCrate>, MetadataError> {
    let metadata: Metadata =
        serde_json::from_str(metadata).map_err(|error| MetadataError::Syntax(error.to_string()))?;
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let nodes: BTreeMap<&str, &Node> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let root = metadata
        .packages
        .iter()
        .find(|candidate| candidate.name == package && candidate.source.is_none())
        .ok_or_else(|| MetadataError::NoPackage(package.to_owned()))?;
    let digests: BTreeMap<(&str, &str), Sha256> = locked
        .iter()
        .map(|locked| ((locked.name.as_str(), locked.version.as_str()), locked.sha256))
        .collect();
    let mut used = BTreeMap::new();
    for id in reachable(&root.id, &nodes) {
        let package = packages.get(id).ok_or_else(|| MetadataError::NoPackage(id.to_owned()))?;
        let own = UsedCrate {
            name: package.name.clone(),
            version: package.version.clone(),
            sha256: digests.get(&(package.name.as_str(), package.version.as_str())).copied(),
            licence: package.license.clone(),
        };
        used.insert(id.to_owned(), own);
    }
    Ok(used)
}

/// Everything that `root` depends on, other than for tests.
fn reachable<'a>(root: &'a str, nodes: &BTreeMap<&'a str, &'a Node>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
            let built = dependency.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"));
            if built && found.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    found
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// cargo's graph can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Not the JSON that cargo documents.
    #[error("the output of `cargo metadata` can't be read: {0}")]
    Syntax(String),
    /// The package is not in the workspace.
    #[error("the sources hold no package `{0}`; correct the component's `package`")]
    NoPackage(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages":[
        {"id":"own","name":"unit","version":"0.1.0","license":"MIT","source":null},
        {"id":"a","name":"a","version":"1.0.0","license":"BSD-3-Clause","source":"registry+r"},
        {"id":"b","name":"b","version":"2.0.0","license":null,"source":"registry+r"},
        {"id":"t","name":"t","version":"3.0.0","license":"MIT","source":"registry+r"}],
      "resolve":{"nodes":[
        {"id":"own","deps":[{"pkg":"a","dep_kinds":[{"kind":null}]},{"pkg":"t","dep_kinds":[{"kind":"dev"}]}]},
        {"id":"a","deps":[{"pkg":"b","dep_kinds":[{"kind":"dev"},{"kind":"build"}]}]},
        {"id":"b","deps":[]},{"id":"t","deps":[]}]}}"#;

    #[test]
    fn tests_needs_are_left_out_and_build_scripts_needs_are_not() {
        let locked = LockedCrate {
            name: String::from("a"),
            version: String::from("1.0.0"),
            sha256: Sha256::of(b"a"),
        };
        let used = used_crates(METADATA, "unit", &[locked]).unwrap();
        assert_eq!(used.keys().collect::<Vec<_>>(), ["a", "b", "own"]);
        assert_eq!(used["a"].sha256, Some(Sha256::of(b"a")));
        assert_eq!(used["a"].licence.as_deref(), Some("BSD-3-Clause"));
        assert_eq!(used["own"].sha256, None);
    }

    #[test]
    fn foreign_text_is_an_error() {
        assert!(matches!(used_crates("{}", "unit", &[]), Err(MetadataError::Syntax(_))));
        assert!(matches!(used_crates(METADATA, "a", &[]), Err(MetadataError::NoPackage(_))));
    }
}
