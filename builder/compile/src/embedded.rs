//! The components whose sources travel inside this program: everything under `units/`.
//!
//! In: files that `build.rs` gathered at compile time. Out: one [`Component`] per name. So a
//! mailkiln that was copied to another machine builds the same appliance as one in its checkout.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::component::{Component, Features};
use crate::patch::Patch;

/// A path below the component, and the bytes of its file.
type Embedded = (&'static str, &'static [u8]);

include!(concat!(env!("OUT_DIR"), "/embedded_files.rs"));

/// A component of this repository, by the name that locks use.
pub fn embedded(name: &str) -> Option<Component> {
    let unit = mailkiln_unit::unit(name)?;
    let (_, files) = FILES.iter().find(|(of, _)| *of == name)?;
    let mut component = Component {
        name: name.to_owned(),
        files: BTreeMap::new(),
        // One that shares crates with the builder has both workspaces.
        folder: if unit.build.with_builder { unit.build.workspace.clone() } else { String::new() },
        patches: Vec::new(),
        package: unit.build.package.clone(),
        binaries: vec![unit.build.binary.clone()],
        features: Features::default(),
        rustflags: Vec::new(),
        environment: BTreeMap::new(),
    };
    for (path, bytes) in *files {
        match std::str::from_utf8(bytes) {
            Ok(text) if path.starts_with("patches/") => {
                component.patches.push(Patch { path: (*path).to_owned(), text: text.to_owned() });
            }
            _ => {
                component.files.insert((*path).to_owned(), Cow::Borrowed(*bytes));
            }
        }
    }
    if unit.build.is_static {
        component.rustflags.push(String::from("-Ctarget-feature=+crt-static"));
    }
    Some(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_component_has_a_lock_and_only_what_cargo_reads() {
        for name in mailkiln_unit::names() {
            let component = embedded(name).unwrap();
            assert!(!component.crates().unwrap().is_empty(), "{name}");
            assert!(component.files.contains_key(&component.path("Cargo.toml")), "{name}");
            for path in component.files.keys() {
                let mut folders = path.split('/').take_while(|part| *part != "src");
                assert!(folders.all(|part| part != "target" && part != "tests"), "{name}: {path}");
            }
        }
        assert_eq!(embedded("postfix"), None);
    }

    #[test]
    fn a_component_carries_the_sources_of_what_it_depends_on_and_no_others() {
        let cases = [("init", "init"), ("agent", "agent store"), ("acme", "acme store")];
        for (name, wanted) in cases {
            let component = embedded(name).unwrap();
            for member in ["init", "store", "agent", "acme"] {
                let manifest = component.path(&format!("{member}/Cargo.toml"));
                assert!(component.files.contains_key(&manifest), "{name}");
                let folder = component.path(&format!("{member}/src"));
                let of_member = |(path, _): &(&String, _)| path.starts_with(&folder);
                let sources: Vec<_> = component.files.iter().filter(of_member).collect();
                let carried = sources.iter().any(|(_, content)| !content.is_empty());
                assert!(!sources.is_empty(), "{name}: cargo refuses {member} without a target");
                assert_eq!(carried, wanted.split(' ').any(|one| one == member), "{name}: {member}");
            }
        }
    }

    /// The agent renders `mail.toml` with a fragment, so a change in the builder's model is one in the agent, and
    /// a change in the rest of the builder is none.
    #[test]
    fn the_agent_carries_the_builders_model_and_nothing_else_of_it() {
        for name in ["init", "acme"] {
            let component = embedded(name).unwrap();
            let of_builder =
                component.files.iter().filter(|(path, _)| path.starts_with("builder/"));
            for (path, content) in of_builder {
                assert!(path.ends_with("/Cargo.toml") || content.is_empty(), "{name}: {path}");
            }
        }
        let component = embedded("agent").unwrap();
        let crates: std::collections::BTreeSet<&str> = component
            .files
            .keys()
            .filter_map(|path| path.strip_prefix("builder/")?.split('/').next())
            .collect();
        assert_eq!(
            crates.into_iter().collect::<Vec<_>>(),
            ["dns", "pin", "services", "spec", "tree", "unit"]
        );
        for path in ["Cargo.toml", "builder/spec/data/default.toml", "builder/spec/build.rs"] {
            assert!(component.files.contains_key(path), "{path}");
        }
        let of_targets = |path: &String| path.starts_with("images/");
        assert!(!component.files.keys().any(of_targets), "a new target is none of its affairs");
    }

    #[test]
    fn patches_come_in_order_of_their_numbers() {
        let patches = embedded("mail-server").unwrap().patches;
        assert!(patches.is_sorted_by(|left, right| left.path < right.path));
        for patch in patches {
            assert!(patch.changes().is_ok(), "{:?}", patch.changes());
        }
    }
}
