//! Compiled units as paths of a Nix store.
//!
//! In: a lock and tools. Out: for the architecture one store path with the libraries that programs are linked with, and for each
//! unit one with its programs as an appliance runs them, and one that starts them. See builder/nix-store/README.md.

use std::collections::{BTreeMap, BTreeSet};

use mailkiln_nix_store::{
    Launch, LaunchError, Linkage, LinkageError, Node, ObjectError, StoreObject, launcher,
};
use mailkiln_pin::{Arch, Pin};
use mailkiln_sources::{LayerKind, Library, Policy, Unpacked};
use mailkiln_squashfs::Params;

use crate::compile::{Unit, compile, missing_toolchain, read};
use crate::{AssembleError, Tools, UnitInputs};

/// The packages that programs may be linked with, and whose copyright files go along. The first gives the version.
const LIBRARY_PACKAGES: [&str; 3] = ["libc6", "libgcc-s1", "gcc-14-base"];
/// The component that is the initrd's, where no store is.
const INITRD: &str = "init";

/// A store path, and what it is for.
#[derive(Debug)]
pub struct Exported {
    /// What it runs on.
    pub arch: Arch,
    /// The unit that it starts; `None` for what such paths refer to.
    pub unit: Option<String>,
    /// The path itself.
    pub object: StoreObject,
}

/// A unit can't be brought into a Nix store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A program wants a library that is not provided for.
    #[error(
        "{wanted_by} is linked with {library}, which is in none of the packages {}: add the package that has it to `LIBRARY_PACKAGES`",
        LIBRARY_PACKAGES.join(", ")
    )]
    Library {
        /// The library.
        library: String,
        /// The program, or another library.
        wanted_by: String,
    },
    /// A file can't be linked.
    #[error("can't see what {name} is linked with")]
    Linkage {
        /// The file.
        name: String,
        /// Why.
        source: LinkageError,
    },
    /// A program can't be started by a launcher.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A store path can't be made.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

/// The units for one architecture as store paths; what a path refers to comes before it.
///
/// # Errors
/// [`AssembleError`] when an input can't be fetched, a unit can't be compiled, or a program can't be brought into a store.
pub fn store_objects(
    inputs: &UnitInputs<'_>,
    tools: &Tools<'_>,
) -> Result<Vec<Exported>, AssembleError> {
    let (arch, supply) = (inputs.arch, tools.supply);
    let pins: Vec<Pin> = inputs.lock.packages("image", arch)?.to_vec();
    let pins: Vec<Pin> =
        pins.into_iter().filter(|pin| LIBRARY_PACKAGES.contains(&pin.name.as_str())).collect();
    let wanted = [pins.as_slice(), &missing_toolchain(inputs, tools)?].concat();
    supply.fetcher().packages(&wanted, supply.progress.downloads())?;
    let policy = Policy::appliance();
    let library = Library::new(supply.cache, &policy, Params::default());
    let packages = library.layers(&pins, supply.progress.unpacking())?;
    let units: Vec<Unit> =
        compile(inputs, tools)?.into_iter().filter(|unit| unit.name != INITRD).collect();

    let mut programs = BTreeMap::new();
    for program in units.iter().flat_map(|unit| &unit.programs) {
        programs.insert(program.name.clone(), read(program)?);
    }
    let libraries = Libraries::of(&programs, &packages, arch)?;
    let mut objects = Vec::new();
    for unit in &units {
        let [program, start] = unit_objects(unit, &programs, &libraries, arch)?;
        objects.push(Exported { arch, unit: None, object: program });
        let unit = Some(unit.name.clone());
        objects.push(Exported { arch, unit, object: start });
    }
    objects.insert(0, Exported { arch, unit: None, object: libraries.object });
    Ok(objects)
}

/// The store path with a unit's programs, and the one that starts them.
fn unit_objects(
    unit: &Unit,
    programs: &BTreeMap<String, Vec<u8>>,
    libraries: &Libraries,
    arch: Arch,
) -> Result<[StoreObject; 2], StoreError> {
    let name = format!("mailkiln-{}", unit.name);
    let own = unit.crates.iter().find(|one| one.name == name && one.sha256.is_none());
    let version = own.map(|own| format!("-{}", own.version)).unwrap_or_default();
    let mut tree = Node::directory();
    for program in &unit.programs {
        let contents = programs.get(&program.name).cloned().unwrap_or_default();
        let node = Node::File { executable: true, contents };
        tree.insert(&format!("libexec/{}", program.name), node);
    }
    let object = StoreObject::new(&format!("{name}-program{version}"), tree, BTreeSet::new())?;
    let (path, folder) = (object.path().to_absolute_path(), libraries.folder());
    let mut tree = Node::directory();
    for program in &unit.programs {
        let launch = Launch {
            loader: &format!("{folder}/{}", libraries.loader),
            libraries: &folder,
            program: &format!("{path}/libexec/{}", program.name),
        };
        let node = Node::File { executable: true, contents: launcher(arch, &launch)? };
        tree.insert(&format!("bin/{}", program.name), node);
    }
    let references = BTreeSet::from([object.path().clone(), libraries.object.path().clone()]);
    let start = StoreObject::new(&format!("{name}{version}"), tree, references)?;
    Ok([object, start])
}

/// The store path with libraries and the dynamic linker.
struct Libraries {
    object: StoreObject,
    /// The dynamic linker's name in it.
    loader: String,
}

impl Libraries {
    /// The libraries that `programs` are linked with, and those that these are linked with, out of `packages`.
    fn of(
        programs: &BTreeMap<String, Vec<u8>>,
        packages: &Unpacked,
        arch: Arch,
    ) -> Result<Self, AssembleError> {
        let files = library_files(packages, arch)?;
        let mut loader = None;
        let mut wanted = Vec::new();
        let mut note = |name: &str, bytes: &[u8]| -> Result<Vec<(String, String)>, StoreError> {
            let linkage = Linkage::read(bytes)
                .map_err(|source| StoreError::Linkage { name: name.to_owned(), source })?;
            let interpreter =
                linkage.interpreter.as_deref().and_then(|path| path.rsplit('/').next());
            loader = loader.take().or_else(|| interpreter.map(str::to_owned));
            let names = linkage.libraries.into_iter().chain(interpreter.map(str::to_owned));
            Ok(names.map(|library| (library, name.to_owned())).collect())
        };
        for (name, bytes) in programs {
            wanted.extend(note(name, bytes)?);
        }
        let mut tree = Node::directory();
        let mut taken = BTreeSet::new();
        while let Some((library, wanted_by)) = wanted.pop() {
            if !taken.insert(library.clone()) {
                continue;
            }
            let Some(contents) = files.get(&library) else {
                return Err(StoreError::Library { library, wanted_by }.into());
            };
            wanted.extend(note(&library, contents)?);
            let node = Node::File { executable: true, contents: contents.clone() };
            tree.insert(&format!("lib/{library}"), node);
        }
        for (path, contents) in copyright_files(packages)? {
            tree.insert(&path, Node::File { executable: false, contents });
        }
        let first =
            packages.layers.iter().find(|layer| layer.package.name.as_str() == LIBRARY_PACKAGES[0]);
        let version = first.map(|layer| layer.package.version.to_string()).unwrap_or_default();
        let version = version.rsplit(':').next().unwrap_or_default().replace('~', "-");
        let object =
            StoreObject::new(&format!("mailkiln-libraries-{version}"), tree, BTreeSet::new())
                .map_err(StoreError::from)?;
        let loader = loader.ok_or_else(|| AssembleError::Lacking("a dynamic linker".to_owned()))?;
        Ok(Self { object, loader })
    }

    fn folder(&self) -> String {
        format!("{}/lib", self.object.path().to_absolute_path())
    }
}

/// Shared libraries of the packages, by name.
fn library_files(
    packages: &Unpacked,
    arch: Arch,
) -> Result<BTreeMap<String, Vec<u8>>, AssembleError> {
    let folder = format!("usr/lib/{}/", arch.multiarch());
    let name = |path: &str| {
        let name = path.strip_prefix(&folder)?;
        (!name.contains('/') && name.contains(".so")).then(|| name.to_owned())
    };
    Ok(files(packages, name)?.into_iter().collect())
}

/// What the packages' authors want to be read along with them.
fn copyright_files(packages: &Unpacked) -> Result<Vec<(String, Vec<u8>)>, AssembleError> {
    let name = |path: &str| {
        let path = path.strip_prefix("usr/")?;
        path.ends_with("/copyright").then(|| path.to_owned())
    };
    files(packages, name)
}

/// Files of the packages for which `name` has a name.
fn files(
    packages: &Unpacked,
    name: impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, Vec<u8>)>, AssembleError> {
    let mut found = Vec::new();
    for entry in packages.layers.iter().flat_map(|layer| &layer.entries) {
        let path = entry.path.to_string();
        let (LayerKind::File(sha256, _), Some(name)) =
            (&entry.kind, name(path.trim_start_matches('/')))
        else {
            continue;
        };
        let pack = packages.packs.iter().find(|pack| pack.contains(sha256));
        let bytes = pack.ok_or_else(|| AssembleError::Lacking(path.clone()))?.read(sha256);
        let failed = |error| AssembleError::File {
            what: format!("can't read {path}"),
            source: std::io::Error::other(error),
        };
        found.push((name, bytes.map_err(failed)?));
    }
    Ok(found)
}
