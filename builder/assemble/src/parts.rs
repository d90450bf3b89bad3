//! Packages and compiled units, brought into the cache and opened.
//!
//! In: the lock's pins and what the services want. Out: layers, packs and programs, each in the bill of materials from
//! the moment it is added. What the cache has is neither fetched nor made again.

use std::collections::BTreeMap;
use std::io;
use std::slice;

use mailkiln_lock::Lock;
use mailkiln_pin::{Pin, Sha256};
use mailkiln_sources::{BuildLists, KernelChoice, Layer, LayerKind, Library, Policy, Unpacked};
use mailkiln_spec::target::Target;
use mailkiln_spec::{ClamAv, Spec};
use mailkiln_squashfs::{Pack, Params};
use mailkiln_tree::depmod::Dependencies;
use mailkiln_tree::{Content, Contents, Kind, Tree, TreePath};

use crate::bill::Bill;
use crate::compile::{self, Unit};
use crate::{AssembleError, ClosureInputs, Inputs, Supply, Tools, UnitCaches, Wanted, units};

/// What decides which parts an image needs. Images with the same key, of one lock and one toolchain, are assembled from
/// the same parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartsKey {
    target: String,
    installed: Vec<Pin>,
    modules: Vec<String>,
    /// Where compiled units may come from: the bill of materials says so.
    unit_caches: Vec<String>,
    unit_keys: Vec<(String, [u8; 32])>,
}

impl PartsKey {
    /// The key of the image that `inputs` describe, whose units may come from `units`.
    ///
    /// # Errors
    /// [`AssembleError`] when the lock does not hold what is needed, or the services can't be rendered.
    pub fn of(inputs: &Inputs<'_>, units: &UnitCaches) -> Result<Self, AssembleError> {
        let Inputs { spec, target, lock, .. } = *inputs;
        Ok(Self {
            target: target.name.clone(),
            installed: installed(spec, target, lock)?,
            modules: inputs.wanted()?.modules,
            unit_caches: units.bases.iter().map(|base| base.join("")).collect(),
            unit_keys: units.keys.iter().map(|it| (it.name.clone(), it.key.to_bytes())).collect(),
        })
    }
}

/// Fetches, unpacks and compiles what `inputs`, and all others with the same [`PartsKey`], are assembled from and the
/// cache lacks.
///
/// # Errors
/// [`AssembleError`] when something can't be fetched, unpacked or compiled.
pub fn gather(inputs: &Inputs<'_>, tools: &Tools<'_>) -> Result<Parts, AssembleError> {
    Parts::gather(inputs, &inputs.wanted()?, tools)
}

/// What an image is assembled from.
#[derive(Debug, Default)]
pub struct Parts {
    /// Packages that are installed.
    pub(crate) layers: Vec<Layer>,
    /// Compiled or prebuilt components, in the order of [`mailkiln_unit::units`].
    pub(crate) units: Vec<Unit>,
    /// Packages that boot files are taken from, the kernel's for its device trees; not installed.
    boot: Vec<Layer>,
    /// Contents of all of them.
    packs: Vec<Pack>,
    bill: Bill,
}

impl Contents for Parts {
    fn read(&self, sha256: &Sha256) -> io::Result<Vec<u8>> {
        mailkiln_sources::read_packed(&self.packs, sha256)
    }
}

impl Parts {
    /// Fetches, unpacks and compiles what the image needs and the cache lacks.
    pub(crate) fn gather(
        inputs: &Inputs<'_>,
        wanted: &Wanted,
        tools: &Tools<'_>,
    ) -> Result<Self, AssembleError> {
        let Inputs { spec, target, lock, .. } = *inputs;
        let supply = tools.supply;
        let pins = installed(spec, target, lock)?;
        let named = slice::from_ref(&target.kernel.package);
        let kernel_pins = locked(lock, target, &target.kernel.set, named)?;
        let boot_pins = boot_pins(lock, target)?;
        units::take(&inputs.units(), tools)?;
        let toolchain_pins = compile::missing_toolchain(&inputs.units(), tools)?;
        let all: Vec<Pin> = [pins.as_slice(), &kernel_pins, &boot_pins, &toolchain_pins].concat();
        supply.fetcher().packages(&all, supply.progress.downloads())?;

        let mut parts = Self::default();
        let policy = Policy::appliance();
        parts.install(unpacked(&supply, &policy, &pins)?);
        // The choice of modules needs the build's lists, so the kernel's packages are opened once for these.
        let data = unpacked(&supply, &Policy::kernel_data(), &kernel_pins)?;
        let lists = BuildLists::read(&data).map_err(|source| AssembleError::File {
            what: "can't read the lists of the kernel's modules".to_owned(),
            source,
        })?;
        // Apart, since the choice of modules is part of the name under which a layer is kept.
        let of_kernel = policy.with_modules(KernelChoice {
            named: target.kernel.modules.clone(),
            needed: wanted.modules.clone(),
            lists,
            file: target.file(),
        });
        parts.install(unpacked(&supply, &of_kernel, &kernel_pins)?);
        parts.add_boot(whole(&supply, &boot_pins)?);
        parts.add_boot(data);
        let version = inputs.version();
        for unit in compile::compile(&inputs.units(), tools)? {
            let pack = compile::pack_programs(supply.cache, &unit, Params::default())?;
            parts.add_unit(unit, pack, &version);
        }
        Ok(parts)
    }

    /// Only what the target's boot programs are taken from.
    pub(crate) fn of_boot(
        inputs: &ClosureInputs<'_>,
        supply: &Supply<'_>,
    ) -> Result<Self, AssembleError> {
        let pins = boot_pins(inputs.lock, inputs.target)?;
        supply.fetcher().packages(&pins, supply.progress.downloads())?;
        let mut parts = Self::default();
        parts.add_boot(whole(supply, &pins)?);
        for object in inputs.closure.objects().values() {
            parts.bill.add_store_path(object);
        }
        Ok(parts)
    }

    fn install(&mut self, unpacked: Unpacked) {
        self.bill.add_packages(&unpacked.layers);
        self.layers.extend(unpacked.layers);
        self.packs.extend(unpacked.packs);
    }

    fn add_boot(&mut self, unpacked: Unpacked) {
        self.bill.add_packages(&unpacked.layers);
        self.boot.extend(unpacked.layers);
        self.packs.extend(unpacked.packs);
    }

    fn add_unit(&mut self, unit: Unit, pack: Pack, version: &str) {
        self.bill.add_unit(&unit, version);
        self.units.push(unit);
        self.packs.push(pack);
    }

    /// Contents of all packages and programs.
    pub(crate) fn packs(&self) -> &[Pack] {
        &self.packs
    }

    /// Everything that was added so far.
    pub(crate) fn bill(&self) -> &Bill {
        &self.bill
    }

    /// Which modules need which, for the installed kernel of this release.
    pub(crate) fn modules(&self, release: &str) -> Option<&Dependencies> {
        self.layers.iter().find_map(|layer| layer.modules.get(release))
    }

    /// Files of the boot packages.
    fn boot_files(&self) -> impl Iterator<Item = (&TreePath, Sha256)> {
        self.boot.iter().flat_map(|layer| &layer.entries).filter_map(|entry| match entry.kind {
            LayerKind::File(sha256, _) => Some((&entry.path, sha256)),
            _ => None,
        })
    }

    /// The first boot file whose path is `wanted`, if there is one.
    pub(crate) fn boot_file(
        &self,
        wanted: impl Fn(&TreePath) -> bool,
    ) -> Result<Option<Vec<u8>>, AssembleError> {
        let Some((path, sha256)) = self.boot_files().find(|(path, _)| wanted(path)) else {
            return Ok(None);
        };
        let bytes = self.read(&sha256);
        bytes
            .map(Some)
            .map_err(|source| AssembleError::File { what: format!("can't read {path}"), source })
    }

    /// Names and contents of the boot files in `folder`, by name.
    pub(crate) fn boot_folder(
        &self,
        folder: &TreePath,
    ) -> Result<BTreeMap<String, Vec<u8>>, AssembleError> {
        self.boot_files()
            .filter(|(path, _)| path.parent().as_ref() == Some(folder))
            .map(|(path, sha256)| match self.read(&sha256) {
                Ok(bytes) => Ok((path.name().to_owned(), bytes)),
                Err(source) => {
                    Err(AssembleError::File { what: format!("can't read {path}"), source })
                }
            })
            .collect()
    }

    /// A compiled program by name.
    pub(crate) fn program(&self, name: &str) -> Result<&mailkiln_compile::Program, AssembleError> {
        let mut programs = self.units.iter().flat_map(|unit| &unit.programs);
        programs
            .find(|program| program.name == name)
            .ok_or_else(|| AssembleError::Lacking(format!("the program {name}")))
    }

    /// Bytes of a content of the tree; `what` it is, for errors.
    pub(crate) fn content(&self, content: &Content, what: &str) -> Result<Vec<u8>, AssembleError> {
        match content {
            Content::Inline(bytes) => Ok(bytes.to_vec()),
            Content::Packed { sha256, .. } => self.read(sha256).map_err(|source| {
                AssembleError::File { what: format!("can't read {what}"), source }
            }),
        }
    }

    /// Bytes of a file of `tree`.
    pub(crate) fn bytes(&self, tree: &Tree, path: &TreePath) -> Result<Vec<u8>, AssembleError> {
        match tree.get(path).map(|entry| &entry.kind) {
            Some(Kind::File(file)) => self.content(file, &path.to_string()),
            _ => Err(AssembleError::Lacking(format!("/{path}"))),
        }
    }

    /// A file of `tree` as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self, tree: &Tree, path: &TreePath) -> Result<String, AssembleError> {
        Ok(String::from_utf8_lossy(&self.bytes(tree, path)?).into_owned())
    }
}

/// Layers of `pins` after pruning by `policy`.
fn unpacked(supply: &Supply<'_>, policy: &Policy, pins: &[Pin]) -> Result<Unpacked, AssembleError> {
    let library = Library::new(supply.cache, policy, Params::default());
    Ok(library.layers(pins, supply.progress.unpacking())?)
}

/// Packages with all their files: boot files are taken one by one, so nothing is pruned.
fn whole(supply: &Supply<'_>, pins: &[Pin]) -> Result<Unpacked, AssembleError> {
    unpacked(supply, &Policy::default(), pins)
}

/// The packages that are installed beside the kernel: base, what the target adds, and of the shell
/// and ClamAV what is asked for.
fn installed(spec: &Spec, target: &Target, lock: &Lock) -> Result<Vec<Pin>, AssembleError> {
    let mut pins = locked(lock, target, "image", &target.packages.extra)?;
    for set in &target.packages.sets {
        pins.extend(locked(lock, target, set, &[])?);
    }
    let filter = spec.filter.as_ref();
    let clamav = filter.is_some_and(|filter| filter.clamav == Some(ClamAv::Here));
    for (set, wanted) in [("ssh", spec.ssh.is_some()), ("clamav", clamav)] {
        if wanted {
            pins.extend(locked(lock, target, set, &[])?);
        }
    }
    pins.sort();
    pins.dedup();
    Ok(pins)
}

/// The packages that the target's boot programs are taken from.
fn boot_pins(lock: &Lock, target: &Target) -> Result<Vec<Pin>, AssembleError> {
    let mut pins = locked(lock, target, "boot", &target.boot.packages)?;
    pins.retain(|pin| target.boot.packages.iter().any(|name| name == pin.name.as_str()));
    Ok(pins)
}

/// The packages of a set, among which those must be that the target names.
fn locked(
    lock: &Lock,
    target: &Target,
    set: &str,
    named: &[String],
) -> Result<Vec<Pin>, AssembleError> {
    let pins = lock.packages(set, target.arch)?.to_vec();
    let has = |name: &&String| pins.iter().any(|pin| pin.name.as_str() == name.as_str());
    match named.iter().find(|name| !has(name)) {
        None => Ok(pins),
        Some(name) => Err(AssembleError::NotLocked {
            file: target.file(),
            package: name.clone(),
            set: set.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use mailkiln_spec::target::builtin_targets;

    use super::*;

    #[test]
    fn what_targets_name_is_locked_and_what_is_not_is_said() {
        let lock = Lock::parse(include_str!("../../../mailkiln.lock")).unwrap();
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
