//! A program of the appliance as its builder sees it: sources, patches and how cargo is to be
//! called. In: embedded files, or a folder. Out: a [`Component`], a plain value.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{CargoLockError, LockedCrate, Patch, cargo_lock};

/// A Cargo package to compile, with everything it is made of but its crates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// What the lock calls it: `init`, `agent`, `mail-server`.
    pub name: String,
    /// Path → content of each source file.
    pub files: BTreeMap<String, Cow<'static, [u8]>>,
    /// The folder of its workspace, where `Cargo.toml` and `Cargo.lock` are; empty for the root.
    pub folder: String,
    /// Applied to the crates, in order.
    pub patches: Vec<Patch>,
    /// The package of the workspace that is built.
    pub package: String,
    /// The programs that it must yield.
    pub binaries: Vec<String>,
    /// Which of the package's features are on.
    pub features: Features,
    /// Further flags for rustc, after the ones that make builds repeatable.
    pub rustflags: Vec<String>,
    /// Further variables for build scripts, for those that would otherwise ask the machine.
    pub environment: BTreeMap<String, String>,
}

/// The features of a package that are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// Whether the default features are.
    pub default: bool,
    /// The others, by name.
    pub others: Vec<String>,
}

impl Default for Features {
    fn default() -> Self {
        Self { default: true, others: Vec::new() }
    }
}

impl Component {
    /// A path of the workspace's folder.
    pub fn path(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    /// The registry crates that `Cargo.lock` pins.
    ///
    /// # Errors
    /// [`CargoLockError`], also when there is no `Cargo.lock`.
    pub fn crates(&self) -> Result<Vec<LockedCrate>, CargoLockError> {
        let lock = self.files.get(&self.path("Cargo.lock")).map(|lock| std::str::from_utf8(lock));
        match lock {
            Some(Ok(text)) => cargo_lock::parse(text),
            Some(Err(_)) => Err(CargoLockError::Syntax(String::from("it is not UTF-8"))),
            None => Err(CargoLockError::Syntax(String::from("it is missing"))),
        }
    }
}
