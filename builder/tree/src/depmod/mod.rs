//! depmod's indexes: how the kernel's requests find their modules.
//!
//! In: what each module says about itself, and the kernel's `modules.order`, `modules.builtin`
//! and `modules.builtin.modinfo`. Out: the files of depmod(8). Debian runs depmod when a kernel
//! is installed; its package ships only the inputs.

mod graph;
mod modinfo;
mod trie;

use std::collections::BTreeMap;
use std::fmt::Write as _;

pub use graph::Dependencies;
pub use modinfo::{ModuleInfo, NotAModule};
pub use trie::BadIndex;
use trie::Index;

/// A module of one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its path below `/usr/lib/modules/VERSION/`: `kernel/fs/ext4/ext4.ko.xz`.
    pub path: String,
    /// What it says about itself.
    pub info: ModuleInfo,
}

/// The inputs that the kernel's build leaves beside its modules.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelLists<'a> {
    /// `modules.order`: in which order modules of equal aliases are preferred.
    pub order: &'a str,
    /// `modules.builtin`: what needs no module.
    pub builtin: &'a str,
    /// `modules.builtin.modinfo`: what the built-in ones say about themselves.
    pub builtin_modinfo: &'a [u8],
}

/// Why no indexes can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DepmodError {
    /// A dependency is not in the tree.
    #[error(
        "the module `{module}` needs `{needs}`, which the image does not have; keep both or none"
    )]
    MissingDependency {
        /// The module.
        module: String,
        /// What it needs.
        needs: String,
    },
    /// Modules need each other in a circle.
    #[error("the modules {0:?} need each other in a circle")]
    Circle(Vec<String>),
    /// Two files are one module.
    #[error("`{0}` and `{1}` are the same module; remove one")]
    Twice(String, String),
    /// Something does not fit into the format.
    #[error("the index {file} can't be written: {source}")]
    Index {
        /// Which file.
        file: &'static str,
        /// Why.
        source: BadIndex,
    },
}

/// The name of the module at `path`: its file name up to `.ko`, `-` as `_`.
pub fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit_once('/').map_or(path, |(_, file)| file);
    let (name, rest) = file.split_once(".ko")?;
    matches!(rest, "" | ".xz" | ".gz" | ".zst").then(|| normalise(name))
}

/// The kernel does not tell `-` from `_` in names of modules.
fn normalise(name: &str) -> String {
    name.replace('-', "_")
}

/// What depmod makes of a kernel's modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexes {
    /// The files of `/usr/lib/modules/VERSION/`: name and bytes, sorted by name.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// What `modules.dep` says, as a value.
    pub dependencies: Dependencies,
}

/// The indexes of `modules`.
///
/// # Errors
/// [`DepmodError`] when a dependency is missing or circular, or a name is not ASCII.
pub fn indexes(modules: &[Module], lists: KernelLists<'_>) -> Result<Indexes, DepmodError> {
    let modules = sort(modules, lists.order)?;
    let needs = resolve(&modules)?;
    let path = |index: &usize| modules[*index].1.path.clone();
    let needs = needs.iter().map(|needs| needs.iter().map(path).collect::<Vec<String>>());
    let paths = modules.iter().map(|(_, module)| module.path.clone());
    let dependencies: Vec<(String, Vec<String>)> = paths.zip(needs).collect();
    let dependency_lines: Vec<String> = dependencies
        .iter()
        .map(|(path, needs)| {
            let mut line = format!("{path}:");
            needs.iter().for_each(|need| {
                let _ = write!(line, " {need}");
            });
            line
        })
        .collect();
    let files = vec![
        ("modules.alias", alias_text(&modules)),
        ("modules.alias.bin", alias_index(&modules)?),
        ("modules.builtin.alias.bin", builtin_alias_index(lists.builtin_modinfo)?),
        ("modules.builtin.bin", builtin_index(lists.builtin)?),
        ("modules.dep", lines(&dependency_lines)),
        ("modules.dep.bin", dependency_index(&modules, &dependency_lines)?),
        ("modules.devname", device_names(&modules)),
        ("modules.softdep", hints(&modules, "softdep", "Soft", |info| &info.softdeps)),
        ("modules.symbols", symbol_text(&modules)),
        ("modules.symbols.bin", symbol_index(&modules)?),
        ("modules.weakdep", hints(&modules, "weakdep", "Weak", |info| &info.weakdeps)),
    ];
    Ok(Indexes { files, dependencies: dependencies.into_iter().collect() })
}

/// Modules by name, in depmod's order: as `modules.order` says, others after them by path.
fn sort<'a>(modules: &'a [Module], order: &str) -> Result<Vec<(String, &'a Module)>, DepmodError> {
    let places: BTreeMap<&str, usize> = order.lines().map(str::trim).zip(0..).collect();
    let uncompressed = |path: &'a str| path.split_once(".ko").map_or(path, |(stem, _)| stem);
    let place = |path: &'a str| {
        let listed = places.get(format!("{}.ko", uncompressed(path)).as_str());
        listed.copied().unwrap_or(usize::MAX)
    };
    let mut sorted: Vec<(String, &Module)> =
        modules.iter().filter_map(|module| Some((module_name(&module.path)?, module))).collect();
    sorted.sort_by_key(|(_, module)| (place(&module.path), &module.path));
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, module) in &sorted {
        if let Some(other) = seen.insert(name, &module.path) {
            return Err(DepmodError::Twice(other.to_owned(), module.path.clone()));
        }
    }
    Ok(sorted)
}

/// For each module all others that it needs, directly or not; each before those it needs itself.
/// The order is depmod's: a walk from the modules that nobody needs (Kahn's, last in, first out).
fn resolve(modules: &[(String, &Module)]) -> Result<Vec<Vec<usize>>, DepmodError> {
    let by_name: BTreeMap<&str, usize> =
        modules.iter().enumerate().map(|(index, (name, _))| (name.as_str(), index)).collect();
    let mut direct = Vec::with_capacity(modules.len());
    let mut users = vec![0usize; modules.len()];
    for (name, module) in modules {
        let mut needs = Vec::new();
        for need in &module.info.depends {
            let index = by_name.get(need.as_str()).copied().ok_or_else(|| {
                DepmodError::MissingDependency { module: name.clone(), needs: need.clone() }
            })?;
            if !needs.contains(&index) {
                users[index] += 1;
                needs.push(index);
            }
        }
        direct.push(needs);
    }
    let mut roots: Vec<usize> = (0..modules.len()).filter(|index| users[*index] == 0).collect();
    let mut ranks = vec![usize::MAX; modules.len()];
    let mut walked = Vec::with_capacity(modules.len());
    while let Some(index) = roots.pop() {
        ranks[index] = walked.len();
        walked.push(index);
        for need in &direct[index] {
            users[*need] -= 1;
            if users[*need] == 0 {
                roots.push(*need);
            }
        }
    }
    if walked.len() < modules.len() {
        let circle = (0..modules.len()).filter(|index| users[*index] > 0);
        return Err(DepmodError::Circle(circle.map(|index| modules[index].0.clone()).collect()));
    }
    let mut all: Vec<Vec<usize>> = vec![Vec::new(); modules.len()];
    // Backwards, so that what a module needs is known when the module is reached.
    for index in walked.into_iter().rev() {
        let mut needs = direct[index].clone();
        needs.extend(direct[index].iter().flat_map(|need| all[*need].iter().copied()));
        needs.sort_unstable_by_key(|need| ranks[*need]);
        needs.dedup();
        all[index] = needs;
    }
    Ok(all)
}

fn lines(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).flatten().copied().collect()
}

fn alias_text(modules: &[(String, &Module)]) -> Vec<u8> {
    let mut text = "# Aliases extracted from modules themselves.\n".to_owned();
    for (name, module) in modules {
        for alias in &module.info.aliases {
            let _ = writeln!(text, "alias {alias} {name}");
        }
    }
    text.into_bytes()
}

fn alias_index(modules: &[(String, &Module)]) -> Result<Vec<u8>, DepmodError> {
    let mut index = Index::default();
    let failed = |source| DepmodError::Index { file: "modules.alias.bin", source };
    for (priority, (name, module)) in (0..).zip(modules) {
        for alias in module.info.aliases.iter().filter_map(|alias| normalise_alias(alias)) {
            index.insert(&alias, name, priority).map_err(failed)?;
        }
    }
    index.encode().map_err(failed)
}

fn builtin_index(builtin: &str) -> Result<Vec<u8>, DepmodError> {
    let mut index = Index::default();
    let failed = |source| DepmodError::Index { file: "modules.builtin.bin", source };
    for name in builtin.lines().filter_map(|line| module_name(line.trim())) {
        index.insert(&name, "", 0).map_err(failed)?;
    }
    index.encode().map_err(failed)
}

fn builtin_alias_index(modinfo: &[u8]) -> Result<Vec<u8>, DepmodError> {
    let mut index = Index::default();
    let failed = |source| DepmodError::Index { file: "modules.builtin.alias.bin", source };
    for (key, alias) in modinfo::fields(modinfo) {
        let Some((name, "alias")) = key.split_once('.') else { continue };
        if let Some(alias) = normalise_alias(alias) {
            index.insert(&alias, &normalise(name), 0).map_err(failed)?;
        }
    }
    index.encode().map_err(failed)
}

fn dependency_index(
    modules: &[(String, &Module)],
    lines: &[String],
) -> Result<Vec<u8>, DepmodError> {
    let mut index = Index::default();
    let failed = |source| DepmodError::Index { file: "modules.dep.bin", source };
    for (priority, ((name, _), line)) in (0..).zip(modules.iter().zip(lines)) {
        index.insert(name, line, priority).map_err(failed)?;
    }
    index.encode().map_err(failed)
}

fn symbol_text(modules: &[(String, &Module)]) -> Vec<u8> {
    let mut text = "# Aliases for symbols, used by symbol_request().\n".to_owned();
    for (name, module) in modules {
        for symbol in &module.info.symbols {
            let _ = writeln!(text, "alias symbol:{symbol} {name}");
        }
    }
    text.into_bytes()
}

fn symbol_index(modules: &[(String, &Module)]) -> Result<Vec<u8>, DepmodError> {
    let mut index = Index::default();
    let failed = |source| DepmodError::Index { file: "modules.symbols.bin", source };
    for (priority, (name, module)) in (0..).zip(modules) {
        for symbol in &module.info.symbols {
            index.insert(&format!("symbol:{symbol}"), name, priority).map_err(failed)?;
        }
    }
    index.encode().map_err(failed)
}

fn hints(
    modules: &[(String, &Module)],
    keyword: &str,
    title: &str,
    of: impl Fn(&ModuleInfo) -> &[String],
) -> Vec<u8> {
    let mut text = format!("# {title} dependencies extracted from modules themselves.\n");
    for (name, module) in modules {
        for hint in of(&module.info) {
            let _ = writeln!(text, "{keyword} {name} {hint}");
        }
    }
    text.into_bytes()
}

/// `modules.devname`: device nodes that exist before their module is loaded (kmod-static-nodes).
/// Such a module has an alias `devname:NODE` and one `char-major-A-B` or `block-major-A-B`.
fn device_names(modules: &[(String, &Module)]) -> Vec<u8> {
    let mut text = "# Device nodes to trigger on-demand module loading.\n".to_owned();
    for (name, module) in modules {
        let aliases = &module.info.aliases;
        let node = aliases.iter().find_map(|alias| alias.strip_prefix("devname:"));
        let number = aliases.iter().find_map(|alias| {
            let (kind, numbers) = match alias.strip_prefix("char-major-") {
                Some(numbers) => ('c', numbers),
                None => ('b', alias.strip_prefix("block-major-")?),
            };
            let (major, minor) = numbers.split_once('-')?;
            Some((kind, major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        });
        if let (Some(node), Some((kind, major, minor))) = (node, number) {
            let _ = writeln!(text, "{name} {node} {kind}{major}:{minor}");
        }
    }
    text.into_bytes()
}

/// `-` as `_` but within `[…]`: kmod's `alias_normalize`. `None` for unbalanced brackets, which
/// kmod skips.
fn normalise_alias(alias: &str) -> Option<String> {
    let mut inside = false;
    let mut normalised = String::with_capacity(alias.len());
    for character in alias.chars() {
        match character {
            '-' if !inside => normalised.push('_'),
            ']' if !inside => return None,
            _ => {
                inside = (inside || character == '[') && character != ']';
                normalised.push(character);
            }
        }
    }
    (!inside).then_some(normalised)
}

#[cfg(test)]
mod tests;
