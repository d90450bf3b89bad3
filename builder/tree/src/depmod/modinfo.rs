//! What a kernel module says about itself.
//!
//! In: an uncompressed `.ko` (ELF, relocatable). Out: its aliases, dependencies and the symbols
//! it exports. Sources: the kernel's `include/linux/moduleinfo.h` (`.modinfo` is a sequence of
//! `key=value`, each ended by NUL) and `include/linux/export-internal.h` (`__crc_` symbols).

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use serde::{Deserialize, Serialize};

/// The parts of a module's `.modinfo` and symbol table that the indexes are made from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// Patterns of devices, protocols and file systems that it serves, in its own order.
    pub aliases: Vec<String>,
    /// Names of modules that must be loaded before it.
    pub depends: Vec<String>,
    /// `pre: … post: …` lines: modules that are loaded with it when they exist.
    pub softdeps: Vec<String>,
    /// Modules that it may ask for itself.
    pub weakdeps: Vec<String>,
    /// Symbols that it exports, sorted.
    pub symbols: Vec<String>,
}

/// The bytes are not a kernel module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not a kernel module: {0}")]
pub struct NotAModule(String);

impl ModuleInfo {
    /// Reads an uncompressed module. A signature at its end is ignored.
    ///
    /// # Errors
    /// [`NotAModule`] when it is no ELF file, or has no `.modinfo`.
    pub fn parse(elf: &[u8]) -> Result<Self, NotAModule> {
        let wrong = |error: object::Error| NotAModule(error.to_string());
        let file = object::File::parse(elf).map_err(wrong)?;
        let section = file.section_by_name(".modinfo");
        let section = section.ok_or_else(|| NotAModule("it has no .modinfo section".into()))?;
        let mut info = Self::default();
        for (key, value) in fields(section.data().map_err(wrong)?) {
            match key {
                "alias" => info.aliases.push(value.to_owned()),
                "softdep" => info.softdeps.push(value.to_owned()),
                "weakdep" => info.weakdeps.push(value.to_owned()),
                "depends" => info
                    .depends
                    .extend(value.split(',').filter(|name| !name.is_empty()).map(super::normalise)),
                _ => {}
            }
        }
        info.symbols = file
            .symbols()
            .filter_map(|symbol| Some(symbol.name().ok()?.strip_prefix("__crc_")?.to_owned()))
            .collect();
        info.symbols.sort_unstable();
        info.symbols.dedup();
        Ok(info)
    }
}

/// `key=value` pairs that are ended by NULs; others are skipped, as modinfo(8) does.
pub(super) fn fields(section: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    section
        .split(|byte| *byte == 0)
        .filter_map(|field| std::str::from_utf8(field).ok()?.split_once('='))
        .filter(|(_, value)| !value.contains(char::is_control))
}
