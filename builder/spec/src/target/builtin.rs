//! The targets that come with the program: the files of `images/`, by name.

use super::classes::BadClass;
use super::{Classes, Shared, Target, parse};
use crate::problem::{SpecErrors, nearest, shown};

/// Names and texts, sorted by name; `build.rs` lists them.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/targets.rs"));
/// The same of `images/bases/`.
const BASES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/bases.rs"));
/// The same of `images/modules/`.
const CLASSES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/classes.rs"));

/// Why there is no such target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing of that name.
    #[error("there is no target `{name}`: {cure}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// What to ask for instead.
        cure: String,
    },
    /// A file of `images/` breaks the rules.
    #[error("images/{name}.toml is wrong: {errors}")]
    Wrong {
        /// The target's name.
        name: String,
        /// What is wrong with it.
        errors: SpecErrors,
    },
    /// A class of modules can't be read.
    #[error(transparent)]
    Class(#[from] BadClass),
}

/// What targets refer to: bases, and the classes of kernel modules.
///
/// # Errors
///
/// The first class that can't be read. A base is read with the target that names it.
pub(super) fn builtin_shared() -> Result<Shared, BadClass> {
    let classes = Classes::parse(CLASSES.iter().copied())?;
    Ok(Shared { classes, bases: BASES.iter().copied().collect() })
}

/// The target of this name.
///
/// # Errors
///
/// [`TargetError`] when there is none.
pub fn builtin_target(name: &str) -> Result<Target, TargetError> {
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => read(name, text, &builtin_shared()?),
        None => {
            let names = || FILES.iter().map(|(name, _)| *name);
            let cure = match nearest(name, names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            };
            Err(TargetError::Unknown { name: shown(name), cure })
        }
    }
}

/// Every target, sorted by name.
///
/// # Errors
///
/// [`TargetError::Wrong`] for the first file that breaks the rules.
pub fn builtin_targets() -> Result<Vec<Target>, TargetError> {
    let shared = builtin_shared()?;
    FILES.iter().map(|(name, text)| read(name, text, &shared)).collect()
}

fn read(name: &str, text: &str, shared: &Shared) -> Result<Target, TargetError> {
    parse(name, text, shared).map_err(|errors| TargetError::Wrong { name: name.to_owned(), errors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_target_is_right() {
        let targets = builtin_targets().unwrap();
        assert!(targets.iter().any(|target| target.name == "x86_64"));
        assert!(targets.is_sorted_by_key(|target| target.name.clone()));
    }

    #[test]
    fn an_unknown_target_names_the_known() {
        let said = builtin_target("x86-64").unwrap_err().to_string();
        assert_eq!(said, "there is no target `x86-64`: did you mean `x86_64`?");
        let said = builtin_target("amiga").unwrap_err().to_string();
        assert!(said.contains("there are") && said.contains("x86_64"), "{said}");
    }
}
