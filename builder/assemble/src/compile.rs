//! Units, compiled from the sources that the lock names, or downloaded where it names a file.
//!
//! In: the lock's components, a toolchain. Out: programs in the cache, and what is in them.

use std::fs;
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use mailkiln_compile::{
    BuiltBy, CompiledUnit, Compiler, Component, Origin, Program, Toolchain, UsedCrate, embedded,
};
use mailkiln_fetch::{Cache, Wanted};
use mailkiln_lock::ComponentSource;
use mailkiln_pin::{Pin, Sha256};
use mailkiln_sources::LibraryError;
use mailkiln_squashfs::{Pack, PackWriter, Params};

use crate::{AssembleError, Tools, UnitInputs};

/// The cache's kind for packs of compiled programs.
const PROGRAM_PACK: &str = "program-pack";

/// One component's programs and what they are made of.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Name in the lock.
    pub(crate) name: String,
    /// Its programs.
    pub(crate) programs: Vec<Program>,
    /// The crates in them; empty for a prebuilt file.
    pub(crate) crates: Vec<UsedCrate>,
    /// What compiled them; `None` for a prebuilt file.
    pub(crate) built_by: Option<BuiltBy>,
    /// Where they were compiled, if not here.
    pub(crate) origin: Option<Origin>,
}

/// Packages of the toolchain that must be fetched: none when every unit has been compiled before.
pub(crate) fn missing_toolchain(
    inputs: &UnitInputs<'_>,
    tools: &Tools<'_>,
) -> Result<Vec<Pin>, AssembleError> {
    let Toolchain::Locked(locked) = tools.toolchain else { return Ok(Vec::new()) };
    let compiler = compiler(inputs, tools);
    for name in mailkiln_unit::names() {
        if let Some(component) = source(inputs, name)?
            && compiler.find(&component)?.is_none()
        {
            return Ok(locked.missing(tools.supply.cache).into_iter().cloned().collect());
        }
    }
    Ok(Vec::new())
}

/// Compiles what these inputs name.
pub(crate) fn compiler<'a>(inputs: &UnitInputs<'_>, tools: &Tools<'a>) -> Compiler<'a> {
    Compiler {
        cache: tools.supply.cache,
        toolchain: tools.toolchain,
        target: inputs.arch,
        reentry: tools.sandbox.clone(),
        jobs: thread::available_parallelism().map_or(1, NonZero::get),
        layers: tools.layers,
    }
}

/// The component's sources, if the lock says that it is compiled; they must be those that the lock names.
pub(crate) fn source(
    inputs: &UnitInputs<'_>,
    name: &str,
) -> Result<Option<Component>, AssembleError> {
    let wrong = |why: &str| AssembleError::Component { name: name.to_owned(), why: why.to_owned() };
    let pin = inputs.lock.component(name)?;
    let (cargo_lock, patches) = match &pin.source {
        ComponentSource::Workspace { cargo_lock, .. } => (cargo_lock, &[][..]),
        ComponentSource::Crate { cargo_lock, patches, .. } => (cargo_lock, patches.as_slice()),
        ComponentSource::File { .. } => return Ok(None),
    };
    let component =
        embedded(name).ok_or_else(|| wrong("this program does not carry its sources"))?;
    let carried = component.files.get(&component.path("Cargo.lock")).map(|bytes| Sha256::of(bytes));
    if carried != Some(*cargo_lock) {
        return Err(wrong(
            "its Cargo.lock is not the one of the lock; run `mailkiln lock`, or use the lock that came with this program",
        ));
    }
    let pinned = patches.iter().map(|patch| (patch.path.as_str(), patch.sha256));
    let own = component
        .patches
        .iter()
        .map(|patch| (patch.path.as_str(), Sha256::of(patch.text.as_bytes())));
    if !pinned.eq(own) {
        return Err(wrong("its patches are not those of the lock; run `mailkiln lock`"));
    }
    Ok(Some(component))
}

/// The programs of every component, compiled where the cache lacks them.
pub(crate) fn compile(
    inputs: &UnitInputs<'_>,
    tools: &Tools<'_>,
) -> Result<Vec<Unit>, AssembleError> {
    let compiler = compiler(inputs, tools);
    mailkiln_unit::names()
        .into_iter()
        .map(|name| match source(inputs, name)? {
            Some(component) => {
                let CompiledUnit { programs, crates, built_by, origin, .. } =
                    compiler.compile(&component, tools.supply.progress.compiling())?;
                let (name, built_by) = (name.to_owned(), Some(built_by));
                Ok(Unit { name, programs, crates, built_by, origin })
            }
            None => prebuilt(inputs, tools, name),
        })
        .collect()
}

/// A component that the lock names as a file to download.
fn prebuilt(inputs: &UnitInputs<'_>, tools: &Tools<'_>, name: &str) -> Result<Unit, AssembleError> {
    let pin = inputs.lock.component(name)?;
    let files = match &pin.source {
        ComponentSource::File { files } => files.as_slice(),
        ComponentSource::Workspace { .. } | ComponentSource::Crate { .. } => &[],
    };
    let file = files.iter().find(|file| file.arch == inputs.arch).ok_or_else(|| {
        AssembleError::Component {
            name: name.to_owned(),
            why: format!("it has no file for {}; add one to the lock", inputs.arch),
        }
    })?;
    let wanted = Wanted {
        name: name.to_owned(),
        sha256: file.sha256,
        size: file.size,
        addresses: vec![file.url.clone()],
    };
    let supply = tools.supply;
    let paths = supply.fetcher().files(&[wanted], supply.progress.downloads())?;
    let unit = mailkiln_unit::unit(name);
    let binary = unit.map_or_else(|| name.to_owned(), |unit| unit.build.binary.clone());
    let program = |path: PathBuf| Program {
        name: binary.clone(),
        path,
        size: file.size,
        sha256: file.sha256,
    };
    Ok(Unit {
        name: name.to_owned(),
        programs: paths.into_iter().map(program).collect(),
        crates: Vec::new(),
        built_by: None,
        origin: None,
    })
}

/// The programs of a unit as a pack: compressed once, like those of packages.
pub(crate) fn pack_programs(
    cache: &Cache,
    unit: &Unit,
    params: Params,
) -> Result<Pack, AssembleError> {
    let digests: Vec<String> =
        unit.programs.iter().map(|program| program.sha256.to_string()).collect();
    let key =
        format!("program pack 1 {} {} {}", params.block_size, params.level, digests.join(" "));
    let key = Sha256::of(key.as_bytes());
    let path = match cache.derived(PROGRAM_PACK, &key) {
        Some(path) => path,
        None => cache.publish_derived(PROGRAM_PACK, &key, |file| {
            let failed =
                |source| AssembleError::File { what: format!("can't pack {}", unit.name), source };
            let mut writer = PackWriter::new(io::BufWriter::new(file), params).map_err(failed)?;
            for program in &unit.programs {
                writer.add(&read(program)?).map_err(failed)?;
            }
            writer.finish().and_then(|mut out| out.flush()).map_err(failed)
        })?,
    };
    Ok(Pack::open(&path).map_err(LibraryError::from)?)
}

/// A program's bytes, as they were compiled.
pub(crate) fn read(program: &Program) -> Result<Vec<u8>, AssembleError> {
    let failed = |source| AssembleError::File { what: program.path.display().to_string(), source };
    let bytes = fs::read(&program.path).map_err(failed)?;
    if Sha256::of(&bytes) != program.sha256 {
        let altered = "it was altered in the cache; `mailkiln cache prune` removes it";
        return Err(failed(io::Error::other(altered)));
    }
    Ok(bytes)
}
