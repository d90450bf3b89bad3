//! Which crates a patch series changes.
//!
//! In: patches and the crates that `Cargo.lock` pins. Out: per patched crate a digest of what
//! happens to it, so that a change in one crate's patches is not taken for one in another's. Pure.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_pin::Sha256;
use serde::{Deserialize, Serialize};

use crate::patch::What;
use crate::{LockedCrate, Patch, PatchError};

/// Crate's name → digest of its patches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PatchedCrates(BTreeMap<String, Sha256>);

impl PatchedCrates {
    /// The crates that `patches` change.
    ///
    /// # Errors
    /// [`PatchError`] when a patch can't be read.
    pub(crate) fn of(patches: &[Patch], crates: &[LockedCrate]) -> Result<Self, PatchError> {
        let names: BTreeMap<String, &str> =
            crates.iter().map(|locked| (locked.folder(), locked.name.as_str())).collect();
        let mut texts = BTreeMap::<&str, String>::new();
        let changes: Vec<_> =
            patches.iter().map(Patch::changes).collect::<Result<Vec<_>, _>>()?.concat();
        for change in &changes {
            let folder = change.path.components().next().unwrap_or_default();
            let what = match change.what {
                What::Create => "create",
                What::Delete => "delete",
                What::Modify => "modify",
            };
            let text = texts.entry(names.get(folder).copied().unwrap_or(folder)).or_default();
            text.push_str(&format!("{what}\0{}\0{}\0", change.path.as_str(), change.hunks));
        }
        let digests =
            texts.into_iter().map(|(name, text)| (name.to_owned(), Sha256::of(text.as_bytes())));
        Ok(Self(digests.collect()))
    }

    /// The crates that are patched differently in `other`, or in one of the two alone.
    pub(crate) fn changed<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a str> {
        let names = self.0.keys().chain(other.0.keys());
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates() -> Vec<LockedCrate> {
        let locked = |name: &str| LockedCrate {
            name: name.to_owned(),
            version: String::from("1.0.0"),
            sha256: Sha256::of(b""),
        };
        vec![locked("auth"), locked("server")]
    }

    fn patched(patches: &[(&str, &str)]) -> PatchedCrates {
        let patch = |(crates, new): &(&str, &str)| Patch {
            path: String::from("1.patch"),
            text: crates
                .split(' ')
                .map(|name| {
                    format!("--- a/{name}-1.0.0/f\n+++ b/{name}-1.0.0/f\n@@ -1 +1 @@\n-a\n+{new}\n")
                })
                .collect(),
        };
        let patches: Vec<_> = patches.iter().map(patch).collect();
        PatchedCrates::of(&patches, &crates()).unwrap()
    }

    #[test]
    fn only_the_crate_whose_patch_changed_is_changed() {
        let old = patched(&[("auth server", "b")]);
        let changed = |new: &[(&str, &str)]| -> Vec<String> {
            old.changed(&patched(new)).into_iter().map(str::to_owned).collect()
        };
        assert!(changed(&[("auth", "b"), ("server", "b")]).is_empty());
        assert_eq!(changed(&[("auth", "b"), ("server", "c")]), ["server"]);
        assert_eq!(changed(&[("auth", "b")]), ["server"]);
        assert_eq!(changed(&[]), ["auth", "server"]);
    }
}
