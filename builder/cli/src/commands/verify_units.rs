//! `mailkiln verify units`: whether compiling them again gives the same bytes.

use std::fmt;
use std::process::ExitCode;

use mailkiln_assemble::{Compared, UnitCaches, UnitInputs, compare};
use serde::Serialize;

use super::export::architectures;
use super::public_key;
use crate::arguments::{ToolchainChoice, VerifyUnitsArguments};
use crate::failure::Failure;
use crate::pins::Pins;
use crate::printer::Printer;
use crate::progress::Bars;
use crate::tools::{assembly_failure, toolchain, tools};
use crate::unit_caches;

/// Compiles, compares and prints what differs.
pub(super) fn run(
    arguments: &VerifyUnitsArguments,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let base = arguments.from.as_deref().map(unit_caches::base).transpose()?;
    let keys: Result<Vec<_>, _> =
        arguments.trusted_public_key.iter().map(|text| public_key(text)).collect();
    let units = UnitCaches { bases: base.into_iter().collect(), keys: keys? };
    let pins = Pins::open(arguments.pins.lock.as_deref(), arguments.pins.mirror.as_deref(), None)?;
    let bars = Bars::new(printer);
    let names: Vec<&str> = arguments.unit.iter().map(String::as_str).collect();
    let mut compared = Vec::new();
    for arch in architectures(&arguments.arch) {
        let toolchain = toolchain(ToolchainChoice::Locked, &pins.lock, arch)?;
        let inputs = UnitInputs { arch, lock: &pins.lock };
        let tools = tools(pins.supply(&bars), &toolchain, &units)?;
        compared
            .extend(compare(&inputs, &tools, &names).map_err(|error| assembly_failure(&error))?);
    }
    let place = match &arguments.from {
        Some(from) => from.clone(),
        None => "the local cache".to_owned(),
    };
    if compared.is_empty() {
        return Err(Failure::Input {
            message: format!(
                "{place} has none of these units as this version of mailkiln makes them"
            ),
            causes: Vec::new(),
            hint: Some(
                "`mailkiln build` compiles them, `mailkiln export units` exports them".to_owned(),
            ),
        });
    }
    let units: Vec<UnitReport> = compared.into_iter().map(UnitReport::of).collect();
    let same = units.iter().all(|unit| unit.same);
    printer.result(&Report { same, units })?;
    Ok(ExitCode::from(u8::from(!same)))
}

/// All that is printed.
#[derive(Serialize)]
struct Report {
    same: bool,
    units: Vec<UnitReport>,
}

#[derive(Serialize)]
struct UnitReport {
    unit: String,
    arch: String,
    same: bool,
    /// What differs, or why nothing could be compared.
    faults: Vec<String>,
}

impl UnitReport {
    fn of(compared: Compared) -> Self {
        let Compared { unit, arch, different, refused } = compared;
        let mut faults: Vec<String> = refused.into_iter().collect();
        faults.extend(different.iter().map(|(name, before, now)| {
            format!("{name} has the digest {before}, and compiled here {now}")
        }));
        Self { unit, arch: arch.to_string(), same: faults.is_empty(), faults }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for UnitReport { unit, arch, faults, .. } in &self.units {
            for fault in faults {
                writeln!(f, "{arch:<8}{unit}: {fault}")?;
            }
            if faults.is_empty() {
                writeln!(f, "{arch:<8}{unit}: the same bytes")?;
            }
        }
        let wrong = self.units.iter().filter(|unit| !unit.same).count();
        write!(f, "units: {}; different or refused: {wrong}", self.units.len())
    }
}
