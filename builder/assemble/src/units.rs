//! Compiled units by themselves: taken from unit caches, exported into one, and compiled again to compare.
//!
//! In: a lock and tools. Out: units in the local cache, or facts about them.

use mailkiln_compile::{CompiledUnit, Component};
use mailkiln_pin::{Arch, Sha256};
use mailkiln_unit_cache::{Record, Refusal, UnitCache};

use crate::compile::{compiler, missing_toolchain, source};
use crate::{AssembleError, Tools, UnitInputs};

/// Takes from the unit caches what the local cache does not have. What none of them has, or what is refused, is left to be
/// compiled.
pub(crate) fn take(inputs: &UnitInputs<'_>, tools: &Tools<'_>) -> Result<(), AssembleError> {
    if tools.units.bases.is_empty() {
        return Ok(());
    }
    let compiler = compiler(inputs, tools);
    let (fetcher, progress) = (tools.supply.fetcher(), tools.supply.progress);
    for name in mailkiln_unit::names() {
        let Some(component) = source(inputs, name)? else { continue };
        if compiler.find(&component)?.is_some() {
            continue;
        }
        let mut taken = false;
        for base in &tools.units.bases {
            let cache = UnitCache { base, keys: &tools.units.keys, fetcher: &fetcher };
            match cache.take(&compiler, &component, progress.downloads()) {
                Ok(unit) => {
                    let key = unit.origin.map(|origin| origin.key).unwrap_or_default();
                    progress.step(&format!("{name} is taken from {base}, signed by {key}"));
                    taken = true;
                    break;
                }
                Err(refusal) => {
                    progress.warn(&format!("{name} is not taken from {base}: {refusal}"));
                }
            }
        }
        if !taken {
            progress.step(&format!("{name} will be compiled"));
        }
    }
    Ok(())
}

/// A unit that can be put into a unit cache.
#[derive(Debug)]
pub struct Exportable {
    /// What its record says.
    pub record: Record,
    /// The unit.
    pub unit: CompiledUnit,
}

/// The units with these names, compiled where the local cache does not have them.
///
/// # Errors
/// [`AssembleError`] when one can't be compiled.
pub fn exportable(
    inputs: &UnitInputs<'_>,
    tools: &Tools<'_>,
    names: &[&str],
) -> Result<Vec<Exportable>, AssembleError> {
    let compiler = compiler(inputs, tools);
    fetch_toolchain(inputs, tools)?;
    let mut units = Vec::new();
    for (name, component) in chosen(inputs, names)? {
        let unit = compiler.compile(&component, tools.supply.progress.compiling())?;
        let programs = unit.programs.iter();
        let record = Record {
            component: name,
            target: inputs.arch,
            key: compiler.key(&component),
            toolchain: tools.toolchain.digest(),
            programs: programs.map(|one| (one.name.clone(), one.size, one.sha256)).collect(),
            crates: unit.crates.clone(),
        };
        units.push(Exportable { record: record.plain(), unit });
    }
    Ok(units)
}

/// What came of compiling a unit again.
#[derive(Debug)]
pub struct Compared {
    /// The component.
    pub unit: String,
    /// What it runs on.
    pub arch: Arch,
    /// Name, digest as it was, digest of what was compiled now, of each program that differs.
    pub different: Vec<(String, Sha256, Sha256)>,
    /// Why it could not be compared.
    pub refused: Option<String>,
}

/// Compiles units again and compares: those of the first cache that the tools name, else those of the local cache. Units
/// that are in neither are left out.
///
/// # Errors
/// [`AssembleError`] when one can't be compiled.
pub fn compare(
    inputs: &UnitInputs<'_>,
    tools: &Tools<'_>,
    names: &[&str],
) -> Result<Vec<Compared>, AssembleError> {
    let compiler = compiler(inputs, tools);
    let (fetcher, progress) = (tools.supply.fetcher(), tools.supply.progress);
    let mut compared = Vec::new();
    let mut toolchain = false;
    for (unit, component) in chosen(inputs, names)? {
        let local = compiler.find(&component)?;
        let wanted = match tools.units.bases.first() {
            None => match local {
                Some(unit) => facts(&unit),
                None => continue,
            },
            Some(base) => {
                let cache = UnitCache { base, keys: &tools.units.keys, fetcher: &fetcher };
                let found = cache.record(&compiler, &component).and_then(|(record, _)| {
                    cache.programs(&record, progress.downloads())?;
                    Ok(record
                        .programs
                        .into_iter()
                        .map(|(name, _, sha256)| (name, sha256))
                        .collect())
                });
                match found {
                    Ok(wanted) => wanted,
                    Err(Refusal::Missing) => continue,
                    Err(refusal) => {
                        let (arch, different) = (inputs.arch, Vec::new());
                        let refused = Some(refusal.to_string());
                        compared.push(Compared { unit, arch, different, refused });
                        continue;
                    }
                }
            }
        };
        if !toolchain {
            fetch_whole_toolchain(tools)?;
            toolchain = true;
        }
        let rebuilt = facts(&compiler.rebuild(&component, tools.supply.progress.compiling())?);
        let different = differences(&wanted, &rebuilt);
        compared.push(Compared { unit, arch: inputs.arch, different, refused: None });
    }
    Ok(compared)
}

fn facts(unit: &CompiledUnit) -> Vec<(String, Sha256)> {
    unit.programs.iter().map(|program| (program.name.clone(), program.sha256)).collect()
}

/// Both have the programs that the component names, in its order.
fn differences(
    wanted: &[(String, Sha256)],
    rebuilt: &[(String, Sha256)],
) -> Vec<(String, Sha256, Sha256)> {
    let pairs = wanted.iter().zip(rebuilt).filter(|(wanted, rebuilt)| wanted != rebuilt);
    pairs.map(|(wanted, rebuilt)| (wanted.0.clone(), wanted.1, rebuilt.1)).collect()
}

/// The components with these names that are compiled from source; all, where there are no names.
fn chosen(
    inputs: &UnitInputs<'_>,
    names: &[&str],
) -> Result<Vec<(String, Component)>, AssembleError> {
    let mut chosen = Vec::new();
    let all = mailkiln_unit::names();
    for name in all.iter().filter(|name| names.is_empty() || names.contains(name)) {
        if let Some(component) = source(inputs, name)? {
            chosen.push(((*name).to_owned(), component));
        }
    }
    Ok(chosen)
}

fn fetch_toolchain(inputs: &UnitInputs<'_>, tools: &Tools<'_>) -> Result<(), AssembleError> {
    let pins = missing_toolchain(inputs, tools)?;
    tools.supply.fetcher().packages(&pins, tools.supply.progress.downloads())?;
    Ok(())
}

/// What a compilation needs although the unit is there.
fn fetch_whole_toolchain(tools: &Tools<'_>) -> Result<(), AssembleError> {
    if let mailkiln_compile::Toolchain::Locked(locked) = tools.toolchain {
        let pins: Vec<_> = locked.missing(tools.supply.cache).into_iter().cloned().collect();
        tools.supply.fetcher().packages(&pins, tools.supply.progress.downloads())?;
    }
    Ok(())
}
