//! Which modules of a kernel need which.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Each module with all others that it needs, directly or not. Paths are below `/usr/lib/modules/VERSION/`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dependencies(BTreeMap<String, Vec<String>>);

impl Dependencies {
    /// The paths of all modules, sorted.
    pub fn modules(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.keys().map(String::as_str)
    }

    /// The modules that `chosen` picks, and all that these need.
    pub fn with_needs(&self, chosen: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let mut queue: Vec<&String> = self.0.keys().filter(|path| chosen(path)).collect();
        let mut modules = BTreeSet::new();
        while let Some(path) = queue.pop() {
            if modules.insert(path.clone()) {
                queue.extend(self.0.get(path).into_iter().flatten());
            }
        }
        modules
    }
}

impl FromIterator<(String, Vec<String>)> for Dependencies {
    fn from_iter<T: IntoIterator<Item = (String, Vec<String>)>>(modules: T) -> Self {
        Self(modules.into_iter().collect())
    }
}
