//! Under which digest a unit is kept.
//!
//! In: every input of a compilation. Out: one digest. Each value goes in with its name and
//! length, so that no two different inputs read alike. Pure.

use mailkiln_pin::{Arch, Sha256};
use sha2::Digest as _;

use crate::component::Component;
use crate::recipe::{self, Places};
use crate::sandbox;

/// A digest in the making.
pub(crate) struct Key(sha2::Sha256);

impl Key {
    /// Begins with the name of what the key is for.
    pub(crate) fn new(purpose: &str) -> Self {
        Self(sha2::Sha256::new()).bytes("purpose", purpose.as_bytes())
    }

    fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds a digest.
    pub(crate) fn digest(self, name: &str, value: Sha256) -> Self {
        self.bytes(name, value.as_bytes())
    }

    /// Adds a component and all that cargo is told about it. Crates come in by `Cargo.lock`.
    pub(crate) fn component(mut self, component: &Component, target: Arch) -> Self {
        for (path, content) in &component.files {
            self = self.digest(path, Sha256::of(content));
        }
        for patch in &component.patches {
            self = self.digest(&patch.path, patch.sha256());
        }
        self = self.environment(component, target);
        for argument in recipe::build(component, target) {
            self = self.bytes("argument", argument.as_bytes());
        }
        self.bytes("argument", recipe::CONFIGURATION.as_bytes())
    }

    /// Adds all that decides what cargo makes of the crates, but for patches: whoever asks leaves
    /// out what they change. Features and profiles are part of cargo's own names for its outputs;
    /// the workspace's manifest is in it all the same.
    pub(crate) fn crates(self, component: &Component, target: Arch, package: &str) -> Self {
        let mut key = self.environment(component, target).bytes("package", package.as_bytes());
        for path in ["Cargo.toml", "Cargo.lock"] {
            let content =
                component.files.get(&component.path(path)).map(AsRef::as_ref).unwrap_or_default();
            key = key.digest(path, Sha256::of(content));
        }
        key.bytes("configuration", recipe::CONFIGURATION.as_bytes())
    }

    fn environment(mut self, component: &Component, target: Arch) -> Self {
        let places = Places { source: sandbox::SOURCE, build: sandbox::BUILD };
        let mut environment = recipe::environment(component, target, places);
        environment.extend(recipe::sandbox_environment(target, places.build));
        for (name, value) in environment {
            self = self.bytes(&name, value.as_bytes());
        }
        self
    }

    /// The digest.
    pub(crate) fn finish(self) -> Sha256 {
        Sha256::from_bytes(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded;

    #[test]
    fn whatever_changes_the_unit_changes_its_key() {
        let key =
            |component: &Component, target| Key::new("x").component(component, target).finish();
        let component = embedded("init").unwrap();
        let own = key(&component, Arch::X86_64);
        assert_eq!(own, key(&component.clone(), Arch::X86_64));
        let mut others = vec![key(&component, Arch::Aarch64)];
        let changes: [fn(&mut Component); 5] = [
            |component| component.rustflags.clear(),
            |component| component.features.default = false,
            |component| {
                component.environment.insert(String::from("A"), String::from("b"));
            },
            |component| {
                component.files.insert(String::from("src/new.rs"), b"".into());
            },
            |component| {
                let text = String::from("x");
                component.patches.push(crate::Patch { path: String::from("p"), text });
            },
        ];
        for change in changes {
            let mut changed = component.clone();
            change(&mut changed);
            others.push(key(&changed, Arch::X86_64));
        }
        others.push(own);
        others.sort();
        others.dedup();
        assert_eq!(others.len(), 7);
    }

    #[test]
    fn a_change_in_the_units_own_sources_leaves_the_key_of_its_crates_alone() {
        let component = embedded("agent").unwrap();
        let key = |component: &Component, target, package| {
            Key::new("x").crates(component, target, package).finish()
        };
        let own = key(&component, Arch::X86_64, "agent");
        let mut changed = component.clone();
        changed.files.insert(String::from("units/agent/src/new.rs"), b"".into());
        changed.binaries.clear();
        assert_eq!(own, key(&changed, Arch::X86_64, "agent"));
        let mut others =
            vec![own, key(&component, Arch::Aarch64, "agent"), key(&component, Arch::X86_64, "b")];
        for path in ["Cargo.toml", "Cargo.lock"] {
            let mut changed = component.clone();
            changed.files.insert(component.path(path), b"".into());
            others.push(key(&changed, Arch::X86_64, "agent"));
        }
        let mut changed = component.clone();
        changed.rustflags.push(String::from("-Copt-level=1"));
        others.push(key(&changed, Arch::X86_64, "agent"));
        others.sort();
        others.dedup();
        assert_eq!(others.len(), 6);
    }
}
