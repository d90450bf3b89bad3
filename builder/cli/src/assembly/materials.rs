//! Packages and compiled units, brought into the cache and opened.
//!
//! In: the lock, mirrors, a toolchain. Out: layers, packs and programs. What the cache has is not made again.

use std::fs;
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::slice;
use std::thread;

use mailkiln_compile::{
    BuiltBy, CompiledUnit, Compiler, Component, Origin, Program, Reentry, Toolchain, UsedCrate,
    embedded,
};
use mailkiln_fetch::{Cache, Fetcher, Wanted};
use mailkiln_lock::{ComponentSource, Lock};
use mailkiln_pin::{Pin, Sha256};
use mailkiln_sources::{
    BuildLists, KernelChoice, Layer, LayerKind, Library, LibraryError, Policy, Unpacked,
};
use mailkiln_spec::ClamAv;
use mailkiln_spec::target::Target;
use mailkiln_squashfs::{Pack, PackWriter, Params};
use mailkiln_tree::{Contents, TreePath};

use super::{AssemblyError, ClosureOrder, Order, Workbench, units};
use crate::progress::Watch;

/// The programs of the appliance, by the names that locks use.
pub(super) const COMPONENTS: [&str; 5] = ["init", "agent", "acme", "filter", "mail-server"];
/// The cache's kind for packs of compiled programs.
const PROGRAM_PACK: &str = "program-pack";

/// What decides which materials an order needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pieces {
    target: String,
    installed: Vec<Pin>,
    /// Where compiled units may come from is in the bill of materials.
    units: String,
}

impl Pieces {
    /// Those of an order: orders of one lock and one toolchain that have the same can share their materials.
    ///
    /// # Errors
    /// [`AssemblyError`] when the lock does not hold what is needed.
    pub(crate) fn of(order: &Order<'_>) -> Result<Self, AssemblyError> {
        Ok(Self {
            target: order.target.name.clone(),
            installed: installed(order)?,
            units: format!("{:?}", order.units),
        })
    }
}

/// What an image is assembled from.
#[derive(Debug)]
pub(crate) struct Materials {
    /// Packages that are installed.
    pub(super) layers: Vec<Layer>,
    /// Packages that boot files are taken from, the kernel's for its device trees; not installed.
    pub(super) boot: Vec<Layer>,
    /// Compiled or prebuilt components, in the order of [`COMPONENTS`].
    pub(super) units: Vec<Unit>,
    /// Contents of all of them.
    pub(super) packs: Vec<Pack>,
}

/// One component's programs and what they are made of.
#[derive(Debug)]
pub(super) struct Unit {
    /// Name in the lock.
    pub(super) name: String,
    /// Its programs.
    pub(super) programs: Vec<Program>,
    /// The crates in them; empty for a prebuilt file.
    pub(super) crates: Vec<UsedCrate>,
    /// What compiled them; `None` for a prebuilt file.
    pub(super) built_by: Option<BuiltBy>,
    /// Where they were compiled, if not here.
    pub(super) origin: Option<Origin>,
}

impl Contents for Materials {
    fn read(&self, sha256: &Sha256) -> io::Result<Vec<u8>> {
        let pack = self.packs.iter().find(|pack| pack.contains(sha256)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no pack holds {sha256}"))
        })?;
        pack.read(sha256).map_err(io::Error::other)
    }
}

impl Materials {
    /// Fetches, unpacks and compiles what the order needs and the cache lacks. The services need
    /// the kernel's `modules`.
    pub(super) fn gather(order: &Order<'_>, modules: &[&str]) -> Result<Self, AssemblyError> {
        let Order { lock, target, .. } = *order;
        let pins = installed(order)?;
        let named = slice::from_ref(&target.kernel.package);
        let kernel_pins = locked(lock, target, &target.kernel.set, named)?;
        let boot_pins = boot_pins(lock, target)?;
        let bench = order.workbench();
        units::take(&bench)?;
        let toolchain_pins = missing_toolchain(&bench)?;
        let wanted: Vec<Pin> =
            [pins.as_slice(), &kernel_pins, &boot_pins, &toolchain_pins].concat();
        Fetcher::new(order.cache, order.mirrors).packages(&wanted, order.watch.downloads())?;

        let policy = Policy::appliance();
        let params = Params::default();
        let library = Library::new(order.cache, &policy, params);
        let installed = library.layers(&pins, order.watch.unpacking())?;
        let only_data = Policy::kernel_data();
        let data = Library::new(order.cache, &only_data, params)
            .layers(&kernel_pins, order.watch.unpacking())?;
        let lists = BuildLists::read(&data).map_err(|source| AssemblyError::File {
            what: "can't read the lists of the kernel's modules".to_owned(),
            source,
        })?;
        // Apart, since the choice of modules is part of the name under which a layer is kept.
        let of_kernel = policy.clone().with_modules(KernelChoice {
            named: order.target.kernel.modules.clone(),
            needed: modules.iter().map(|name| (*name).to_owned()).collect(),
            lists,
            file: order.target.file(),
        });
        let kernel = Library::new(order.cache, &of_kernel, params)
            .layers(&kernel_pins, order.watch.unpacking())?;
        let boot = whole(order.cache, &boot_pins, order.watch)?;
        let units = compile(&bench)?;
        let layers = [installed.layers, kernel.layers].concat();
        let mut packs = installed.packs;
        packs.extend(kernel.packs);
        packs.extend(boot.packs);
        packs.extend(data.packs);
        for unit in &units {
            packs.push(pack_programs(order, unit, params)?);
        }
        Ok(Self { layers, boot: [boot.layers, data.layers].concat(), units, packs })
    }

    /// Only what the target's boot programs are taken from.
    pub(super) fn of_boot(order: &ClosureOrder<'_>) -> Result<Self, AssemblyError> {
        let pins = boot_pins(order.lock, order.target)?;
        let fetcher = Fetcher::new(order.cache, order.mirrors);
        fetcher.packages(&pins, order.watch.downloads())?;
        let Unpacked { layers: boot, packs } = whole(order.cache, &pins, order.watch)?;
        Ok(Self { layers: Vec::new(), boot, units: Vec::new(), packs })
    }

    /// Files of the boot packages.
    pub(super) fn boot_files(&self) -> impl Iterator<Item = (&TreePath, Sha256)> {
        self.boot.iter().flat_map(|layer| &layer.entries).filter_map(|entry| match entry.kind {
            LayerKind::File(sha256, _) => Some((&entry.path, sha256)),
            _ => None,
        })
    }

    /// The first boot file whose path is `wanted`, if there is one.
    pub(super) fn boot_file(
        &self,
        wanted: impl Fn(&TreePath) -> bool,
    ) -> Result<Option<Vec<u8>>, AssemblyError> {
        let Some((path, sha256)) = self.boot_files().find(|(path, _)| wanted(path)) else {
            return Ok(None);
        };
        let bytes = self.read(&sha256);
        bytes
            .map(Some)
            .map_err(|source| AssemblyError::File { what: format!("can't read {path}"), source })
    }

    /// A compiled program by name.
    pub(super) fn program(&self, name: &str) -> Result<&Program, AssemblyError> {
        let mut programs = self.units.iter().flat_map(|unit| &unit.programs);
        programs
            .find(|program| program.name == name)
            .ok_or_else(|| AssemblyError::Lacking(format!("the program {name}")))
    }
}

/// The packages that are installed beside the kernel: base, what the target adds, and of the shell
/// and ClamAV what is asked for.
fn installed(order: &Order<'_>) -> Result<Vec<Pin>, AssemblyError> {
    let mut pins = locked(order.lock, order.target, "image", &order.target.packages.extra)?;
    for set in &order.target.packages.sets {
        pins.extend(locked(order.lock, order.target, set, &[])?);
    }
    let filter = order.spec.filter.as_ref();
    let clamav = filter.is_some_and(|filter| filter.clamav == Some(ClamAv::Here));
    for (set, wanted) in [("ssh", order.spec.ssh.is_some()), ("clamav", clamav)] {
        if wanted {
            pins.extend(locked(order.lock, order.target, set, &[])?);
        }
    }
    pins.sort();
    pins.dedup();
    Ok(pins)
}

/// The packages that the target's boot programs are taken from.
fn boot_pins(lock: &Lock, target: &Target) -> Result<Vec<Pin>, AssemblyError> {
    let mut pins = locked(lock, target, "boot", &target.boot.packages)?;
    pins.retain(|pin| target.boot.packages.iter().any(|name| name == pin.name.as_str()));
    Ok(pins)
}

/// Packages with all their files: boot files are taken one by one, so nothing is pruned.
fn whole(cache: &Cache, pins: &[Pin], watch: &dyn Watch) -> Result<Unpacked, AssemblyError> {
    let whole = Policy::default();
    Ok(Library::new(cache, &whole, Params::default()).layers(pins, watch.unpacking())?)
}

/// The packages of a set, among which those must be that the target names.
fn locked(
    lock: &Lock,
    target: &Target,
    set: &str,
    named: &[String],
) -> Result<Vec<Pin>, AssemblyError> {
    let pins = lock.packages(set, target.arch)?.to_vec();
    let has = |name: &&String| pins.iter().any(|pin| pin.name.as_str() == name.as_str());
    match named.iter().find(|name| !has(name)) {
        None => Ok(pins),
        Some(name) => Err(AssemblyError::NotLocked {
            file: target.file(),
            package: name.clone(),
            set: set.to_owned(),
        }),
    }
}

/// Packages of the toolchain that must be fetched: none when every unit has been compiled before.
pub(super) fn missing_toolchain(bench: &Workbench<'_>) -> Result<Vec<Pin>, AssemblyError> {
    let Toolchain::Locked(locked) = bench.toolchain else { return Ok(Vec::new()) };
    let compiler = compiler(bench)?;
    for name in COMPONENTS {
        if let Some(component) = source(bench, name)?
            && compiler.find(&component)?.is_none()
        {
            return Ok(locked.missing(bench.cache).into_iter().cloned().collect());
        }
    }
    Ok(Vec::new())
}

pub(super) fn compiler<'a>(bench: &Workbench<'a>) -> Result<Compiler<'a>, AssemblyError> {
    let reentry = Reentry::this_program().map_err(|source| AssemblyError::File {
        what: "can't find the running program".to_owned(),
        source,
    })?;
    let jobs = thread::available_parallelism().map_or(1, NonZero::get);
    Ok(Compiler {
        cache: bench.cache,
        toolchain: bench.toolchain,
        target: bench.arch,
        reentry,
        jobs,
        layers: std::env::var_os("MAILKILN_LAYERS").is_none_or(|value| value != "0"),
    })
}

/// The component's sources, if the lock says that it is compiled; they must be those that the lock names.
pub(super) fn source(
    bench: &Workbench<'_>,
    name: &str,
) -> Result<Option<Component>, AssemblyError> {
    let wrong = |why: &str| AssemblyError::Component { name: name.to_owned(), why: why.to_owned() };
    let pin = bench.lock.component(name)?;
    let (cargo_lock, patches) = match &pin.source {
        ComponentSource::Workspace { cargo_lock, .. } => (cargo_lock, &[][..]),
        ComponentSource::Crate { cargo_lock, patches, .. } => (cargo_lock, patches.as_slice()),
        ComponentSource::File { .. } => return Ok(None),
    };
    let component =
        embedded(name).ok_or_else(|| wrong("this program does not carry its sources"))?;
    let carried = component.files.get("Cargo.lock").map(|bytes| Sha256::of(bytes));
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

pub(super) fn compile(bench: &Workbench<'_>) -> Result<Vec<Unit>, AssemblyError> {
    let compiler = compiler(bench)?;
    COMPONENTS
        .iter()
        .map(|name| match source(bench, name)? {
            Some(component) => {
                let CompiledUnit { programs, crates, built_by, origin, .. } =
                    compiler.compile(&component, bench.watch.compiling())?;
                let (name, built_by) = ((*name).to_owned(), Some(built_by));
                Ok(Unit { name, programs, crates, built_by, origin })
            }
            None => prebuilt(bench, name),
        })
        .collect()
}

/// A component that the lock names as a file to download.
fn prebuilt(bench: &Workbench<'_>, name: &str) -> Result<Unit, AssemblyError> {
    let pin = bench.lock.component(name)?;
    let ComponentSource::File { files } = &pin.source else {
        return Ok(Unit {
            name: name.to_owned(),
            programs: Vec::new(),
            crates: Vec::new(),
            built_by: None,
            origin: None,
        });
    };
    let file = files.iter().find(|file| file.arch == bench.arch).ok_or_else(|| {
        AssemblyError::Component {
            name: name.to_owned(),
            why: format!("it has no file for {}; add one to the lock", bench.arch),
        }
    })?;
    let wanted = Wanted {
        name: name.to_owned(),
        sha256: file.sha256,
        size: file.size,
        addresses: vec![file.url.clone()],
    };
    let fetcher = Fetcher::new(bench.cache, bench.mirrors);
    let paths = fetcher.files(&[wanted], bench.watch.downloads())?;
    let program = |path: PathBuf| Program {
        name: program_name(name),
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

/// What a component's program is called on the appliance.
pub(super) fn program_name(component: &str) -> String {
    match component {
        "init" => "init".to_owned(),
        name => format!("mailkiln-{name}"),
    }
}

/// The programs of a unit as a pack: compressed once, like those of packages.
fn pack_programs(order: &Order<'_>, unit: &Unit, params: Params) -> Result<Pack, AssemblyError> {
    let digests: Vec<String> =
        unit.programs.iter().map(|program| program.sha256.to_string()).collect();
    let key =
        format!("program pack 1 {} {} {}", params.block_size, params.level, digests.join(" "));
    let key = Sha256::of(key.as_bytes());
    let path = match order.cache.derived(PROGRAM_PACK, &key) {
        Some(path) => path,
        None => order.cache.publish_derived(PROGRAM_PACK, &key, |file| {
            let failed =
                |source| AssemblyError::File { what: format!("can't pack {}", unit.name), source };
            let mut writer = PackWriter::new(io::BufWriter::new(file), params).map_err(failed)?;
            for program in &unit.programs {
                let bytes = fs::read(&program.path).map_err(failed)?;
                if Sha256::of(&bytes) != program.sha256 {
                    let source = io::Error::other(
                        "it was altered in the cache; `mailkiln cache prune` removes it",
                    );
                    return Err(AssemblyError::File {
                        what: program.path.display().to_string(),
                        source,
                    });
                }
                writer.add(&bytes).map_err(failed)?;
            }
            writer.finish().and_then(|mut out| out.flush()).map_err(failed)
        })?,
    };
    Ok(Pack::open(&path).map_err(LibraryError::from)?)
}

#[cfg(test)]
mod tests {
    use mailkiln_spec::target::builtin_targets;

    use super::*;

    #[test]
    fn what_targets_name_is_locked_and_what_is_not_is_said() {
        let lock = crate::pins::lock(None).unwrap();
        for target in builtin_targets().unwrap() {
            let kernel = slice::from_ref(&target.kernel.package);
            locked(&lock, &target, &target.kernel.set, kernel).unwrap();
            locked(&lock, &target, "boot", &target.boot.packages).unwrap();
            locked(&lock, &target, "image", &target.packages.extra).unwrap();
            for set in &target.packages.sets {
                locked(&lock, &target, set, &[]).unwrap();
            }
            let error = locked(&lock, &target, "boot", kernel).unwrap_err().to_string();
            let expected =
                format!("{} names the package {}, which is not in", target.file(), kernel[0]);
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
