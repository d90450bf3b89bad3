//! Classes of kernel modules: what several targets ask for by one name.
//!
//! In: the files of `images/modules/`. Out: patterns by name.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Modules that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// What they are for.
    pub title: String,
    /// Patterns, as in a target's `kernel.modules`.
    pub modules: Vec<String>,
    /// Patterns, as in a target's `kernel.initrd`.
    #[serde(default)]
    pub initrd: Vec<String>,
}

/// Classes by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes(BTreeMap<String, Class>);

impl Classes {
    /// Reads `(name, text)` of each file.
    ///
    /// # Errors
    ///
    /// The first file that is not TOML of this shape, by name.
    pub fn parse<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadClass> {
        let class = |(name, text): (&str, &str)| {
            let wrong = |error: toml::de::Error| BadClass {
                name: name.to_owned(),
                reason: error.to_string(),
            };
            Ok((name.to_owned(), toml::from_str(text).map_err(wrong)?))
        };
        files.into_iter().map(class).collect::<Result<_, _>>().map(Self)
    }

    /// The class of this name.
    pub fn get(&self, name: &str) -> Option<&Class> {
        self.0.get(name)
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// A file of `images/modules/` can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("images/modules/{name}.toml is wrong: {reason}")]
pub struct BadClass {
    /// The class's name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}
