//! Which modules of a kernel an image keeps.
//!
//! In: the target's patterns and the names that services ask for. Out: yes or no for a path, and
//! what of them a kernel does not have.

use mailkiln_spec::target::Modules;
use mailkiln_tree::TreePath;
use mailkiln_tree::depmod::module_name;

use crate::kernel::{BuildLists, split};

/// A choice of modules. What these depend on stays too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelChoice {
    /// Those that the target names.
    pub named: Modules,
    /// Those that services need, by name: `nf_tables`.
    pub needed: Vec<String>,
    /// What the kernel's build says about its modules.
    pub lists: BuildLists,
    /// The target's file, for whoever has to correct it: `images/x86_64.toml`.
    pub file: String,
}

impl KernelChoice {
    /// Whether `path` is no module, or one of these.
    pub(super) fn keep(&self, path: &TreePath) -> bool {
        let Some((_, below)) = split(path) else { return true };
        let Some(name) = module_name(below) else { return true };
        self.needed.contains(&name)
            || below.strip_prefix("kernel/").is_some_and(|below| self.named.keeps(below))
    }

    /// What makes this choice another one.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let named = self.named.patterns().iter().map(|it| format!("module {}\n", it.as_str()));
        let needed = self.needed.iter().map(|name| format!("needed module {name}\n"));
        // A layer without the graph was made by an older version.
        let graph = ["graph 1\n".to_owned()].into_iter();
        graph.chain(named).chain(needed).chain(self.lists.lines())
    }

    /// What of the choice a kernel does not have. `paths` are its modules, loadable and built in,
    /// below the folder of its release: `kernel/fs/fat/vfat.ko.xz`.
    ///
    /// # Errors
    /// [`NoSuchModule`], which names all that there is not.
    pub(crate) fn check<'a>(
        &self,
        release: &str,
        paths: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), NoSuchModule> {
        let below = paths.clone().filter_map(|path| path.strip_prefix("kernel/"));
        let patterns = self.named.without_module(below);
        if !patterns.is_empty() {
            return Err(NoSuchModule::Named {
                file: self.file.clone(),
                patterns: quoted(patterns.into_iter().map(|pattern| pattern.as_str())),
                release: release.to_owned(),
            });
        }
        let has = |name: &str| paths.clone().any(|path| module_name(path).as_deref() == Some(name));
        let lacking: Vec<&str> =
            self.needed.iter().map(String::as_str).filter(|name| !has(name)).collect();
        match lacking.is_empty() {
            true => Ok(()),
            false => Err(NoSuchModule::Needed {
                names: quoted(lacking.into_iter()),
                release: release.to_owned(),
            }),
        }
    }
}

/// A kernel lacks modules that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchModule {
    /// By the target.
    #[error(
        "{file} keeps {patterns}, and the kernel {release} has no such module, neither loadable \
         nor built in: correct `kernel.modules`"
    )]
    Named {
        /// The target's file.
        file: String,
        /// Its patterns.
        patterns: String,
        /// The kernel.
        release: String,
    },
    /// By services.
    #[error(
        "the services need {names}, and the kernel {release} has no such module: choose another \
         `kernel.package`"
    )]
    Needed {
        /// The modules.
        names: String,
        /// The kernel.
        release: String,
    },
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
