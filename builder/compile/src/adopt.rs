//! Units that were compiled elsewhere.
//!
//! In: programs that the caller vouches for. Out: a unit in the cache, under the key that it would
//! have if it had been compiled here, with a note of where it comes from.

use std::fs;

use mailkiln_pin::Sha256;

use crate::compiler::KIND;
use crate::component::Component;
use crate::file_error::At;
use crate::unit::{self, Facts, ProgramFacts};
use crate::{BuiltBy, CompileError, CompiledUnit, Compiler, Origin, Program, UsedCrate};

impl Compiler<'_> {
    /// Keeps `programs` as the unit of `component`. The caller has verified who made them.
    ///
    /// # Errors
    /// [`CompileError::Altered`] when a program no longer has its digest; [`CompileError::File`].
    pub fn adopt(
        &self,
        component: &Component,
        programs: &[Program],
        crates: Vec<UsedCrate>,
        origin: Origin,
    ) -> Result<CompiledUnit, CompileError> {
        let folder =
            self.cache.publish_derived_directory(KIND, &self.key(component), |folder| {
                let bin = folder.join("bin");
                fs::create_dir(&bin).at("create", &bin)?;
                let mut facts = Vec::new();
                for Program { name, path, size, sha256 } in programs {
                    let bytes = fs::read(path).at("read", path)?;
                    if Sha256::of(&bytes) != *sha256 {
                        return Err(CompileError::Altered { program: name.clone() });
                    }
                    let to = unit::program_path(folder, name);
                    fs::write(&to, bytes).at("write", &to)?;
                    facts.push(ProgramFacts { name: name.clone(), size: *size, sha256: *sha256 });
                }
                let log = unit::log_path(folder);
                let line = format!("taken from {}, signed by {}\n", origin.place, origin.key);
                fs::write(&log, line).at("write", &log)?;
                let (target, built_by) = (self.target, BuiltBy::LockedToolchain);
                let origin = Some(origin.clone());
                Facts { target, built_by, origin, programs: facts, crates }.write(folder)?;
                Ok::<_, CompileError>(())
            })?;
        Ok(CompiledUnit::read(&folder)?)
    }

    /// Puts `compiled`, made here, in the place of a unit with the same bytes from elsewhere.
    pub(crate) fn replace_foreign(
        &self,
        component: &Component,
        compiled: &CompiledUnit,
    ) -> Result<(), CompileError> {
        let digests =
            |unit: &CompiledUnit| unit.programs.iter().map(|one| one.sha256).collect::<Vec<_>>();
        let foreign = self.find(component)?.filter(|unit| unit.origin.is_some());
        let Some(from) = compiled.log.parent() else { return Ok(()) };
        if foreign.is_none_or(|unit| digests(&unit) != digests(compiled)) {
            return Ok(());
        }
        let key = self.key(component);
        self.cache.remove_derived(KIND, &key)?;
        self.cache.publish_derived_directory(KIND, &key, |folder| {
            let bin = folder.join("bin");
            fs::create_dir(&bin).at("create", &bin)?;
            let names = compiled.programs.iter().map(|one| unit::program_path(folder, &one.name));
            let files = [unit::log_path(folder), unit::facts_path(folder)];
            for to in names.chain(files) {
                let source =
                    to.strip_prefix(folder).map_or(from.to_owned(), |path| from.join(path));
                fs::copy(&source, &to).at("copy", &source)?;
            }
            Ok::<_, CompileError>(())
        })?;
        Ok(())
    }
}
