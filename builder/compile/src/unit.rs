//! A compiled unit: programs and the facts about them, as the cache keeps them.
//!
//! In: a folder that [`crate::Compiler`] published. Out: [`CompiledUnit`]. The folder holds
//! `bin/NAME` for each program, `unit.json` and `log`.

use std::fs;
use std::path::{Path, PathBuf};

use mailkiln_pin::{Arch, Sha256};
use serde::{Deserialize, Serialize};

use crate::file_error::At;
use crate::{FileError, UsedCrate};

const FACTS: &str = "unit.json";
const LOG: &str = "log";

/// What a compilation made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledUnit {
    /// Its programs, by name.
    pub programs: Vec<Program>,
    /// What they were built from, sorted by name; the component's own packages included.
    pub crates: Vec<UsedCrate>,
    /// What they were built with.
    pub built_by: BuiltBy,
    /// Where they come from, if they were not compiled here.
    pub origin: Option<Origin>,
    /// cargo's output.
    pub log: PathBuf,
}

/// A compiled program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file name.
    pub name: String,
    /// Where the cache has it.
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Digest of the file.
    pub sha256: Sha256,
}

/// What a unit was compiled with, for its bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuiltBy {
    /// The lock's toolchain: the same bytes on every host of the same architecture.
    LockedToolchain,
    /// The host's tools: another host may make other bytes.
    HostToolchain,
}

/// Who has compiled a unit, where that was not this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Address of the cache that it was taken from.
    pub place: String,
    /// Name of the key that has signed it.
    pub key: String,
}

/// The facts as `unit.json` holds them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) target: Arch,
    pub(crate) built_by: BuiltBy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    pub(crate) programs: Vec<ProgramFacts>,
    pub(crate) crates: Vec<UsedCrate>,
}

/// A program as `unit.json` holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProgramFacts {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: Sha256,
}

/// Where a program stands below a unit's folder.
pub(crate) fn program_path(folder: &Path, name: &str) -> PathBuf {
    folder.join("bin").join(name)
}

/// Where the log stands below a unit's folder.
pub(crate) fn log_path(folder: &Path) -> PathBuf {
    folder.join(LOG)
}

/// Where the facts stand below a unit's folder.
pub(crate) fn facts_path(folder: &Path) -> PathBuf {
    folder.join(FACTS)
}

impl Facts {
    /// Writes `unit.json` into a unit's folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), FileError> {
        let path = facts_path(folder);
        let json = serde_json::to_vec_pretty(self).at("encode", &path)?;
        fs::write(&path, json).at("write", &path)
    }
}

impl CompiledUnit {
    /// Reads a unit back.
    pub(crate) fn read(folder: &Path) -> Result<Self, FileError> {
        let path = facts_path(folder);
        let json = fs::read(&path).at("read", &path)?;
        let facts: Facts = serde_json::from_slice(&json).at("decode", &path)?;
        let program = |program: ProgramFacts| Program {
            path: program_path(folder, &program.name),
            name: program.name,
            size: program.size,
            sha256: program.sha256,
        };
        Ok(Self {
            programs: facts.programs.into_iter().map(program).collect(),
            crates: facts.crates,
            built_by: facts.built_by,
            origin: facts.origin,
            log: log_path(folder),
        })
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }
}
