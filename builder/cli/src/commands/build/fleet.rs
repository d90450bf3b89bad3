//! `mailkiln build --all DIR`, and several targets: many images in one run.
//!
//! In: files × targets. Out: an image for each, and a table. Images of one target that hold the same packages are made
//! one after another from materials that are gathered once, several at the same time; then those of the next.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mailkiln_compile::Toolchain;
use mailkiln_fetch::{Cache, Mirrors};
use mailkiln_format::Format;
use mailkiln_lock::Lock;
use mailkiln_pin::Arch;
use mailkiln_spec::target::{Target, builtin_target};

use super::{Built, assembly_failure, formats, name, toolchain, unit_caches, warn_of_host, write};
use crate::arguments::BuildArguments;
use crate::assembly::{self, Materials, Order, Pieces};
use crate::failure::Failure;
use crate::lock_age;
use crate::pins;
use crate::printer::Printer;
use crate::progress::{Bars, Watch};
use crate::spec_file::SpecFile;
use crate::unit_caches::UnitCaches;
use report::{Report, Row};

/// What the file of a folder is called.
const FILE: &str = "mail.toml";

/// Builds every image, and says of each what became of it.
pub(super) fn run(arguments: &BuildArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    if arguments.closure.closure.is_some() {
        return Err(Failure::Input {
            message: "a NixOS system is built for one target".to_owned(),
            causes: Vec::new(),
            hint: Some("name one TARGET".to_owned()),
        });
    }
    let paths = match &arguments.all {
        Some(folder) => find(folder)?,
        None => vec![arguments.config.path().to_owned()],
    };
    let bars = Bars::new(printer);
    let fleet = Fleet::open(arguments, &bars, printer)?;
    fs::create_dir_all(&arguments.output)
        .map_err(Failure::file("make the folder", &arguments.output))?;
    let (members, mut rows) = fleet.members(&paths, printer);
    let jobs = fleet.images(&members, &mut rows);
    rows.extend(fleet.build(jobs, arguments.jobs, printer));
    rows.sort_by(|a, b| (&a.file, &a.target).cmp(&(&b.file, &b.target)));
    let report = Report::of(rows);
    printer.result(&report)?;
    Ok(report.exit_code())
}

/// The files of a folder, sorted: `*.toml` in it, and `mail.toml` of each folder in it.
fn find(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = || Failure::file("read the folder", folder);
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if path.is_dir() {
            found.extend(Some(path.join(FILE)).filter(|path| path.is_file()));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.insert(path);
        }
    }
    if found.is_empty() {
        return Err(Failure::Input {
            message: format!("there is nothing to build in {}", folder.display()),
            causes: Vec::new(),
            hint: Some(format!(
                "put files that end with .toml into it, or folders that hold a {FILE}"
            )),
        });
    }
    Ok(found.into_iter().collect())
}

/// What all images share.
struct Fleet<'a> {
    arguments: &'a BuildArguments,
    targets: Vec<(Target, Vec<Format>)>,
    lock: Lock,
    cache: Cache,
    toolchains: BTreeMap<Arch, Toolchain>,
    watch: Quiet<'a>,
}

/// A file that is right, and what only it decides.
struct Member {
    file: SpecFile,
    mirrors: Mirrors,
    units: UnitCaches,
}

/// An image to be made.
struct Image<'a> {
    member: &'a Member,
    order: Order<'a>,
    formats: &'a [Format],
}

impl<'a> Fleet<'a> {
    fn open(
        arguments: &'a BuildArguments,
        bars: &'a Bars<'a>,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        let mut targets: Vec<(Target, Vec<Format>)> = Vec::new();
        for name in &arguments.target {
            if targets.iter().all(|(target, _)| target.name != *name) {
                let target = builtin_target(name).map_err(|error| Failure::input(&error))?;
                let formats = formats(arguments, &target)?;
                targets.push((target, formats));
            }
        }
        let lock = pins::lock(arguments.lock.as_deref())?;
        lock_age::warn(&lock, printer);
        let cache = Cache::default_root()
            .and_then(|root| Cache::open(&root))
            .map_err(|error| Failure::work(&error))?;
        let mut toolchains = BTreeMap::new();
        for arch in targets.iter().map(|(target, _)| target.arch) {
            toolchains.insert(arch, toolchain(arguments.toolchain, &lock, arch)?);
        }
        if let Some(toolchain) = toolchains.values().next() {
            warn_of_host(toolchain, printer);
        }
        Ok(Self { arguments, targets, lock, cache, toolchains, watch: Quiet(bars) })
    }

    /// The files that are right; for each that is not, a row per target.
    fn members(&self, paths: &[PathBuf], printer: &Printer) -> (Vec<Member>, Vec<Row>) {
        let (mut members, mut rows) = (Vec::new(), Vec::new());
        for path in paths {
            match self.member(path) {
                Ok(member) => members.push(member),
                Err(failure) => {
                    tell(printer, &failure);
                    let names = self.targets.iter().map(|(target, _)| target.name.clone());
                    rows.extend(Row::all_failed(path, names, &failure));
                }
            }
        }
        (members, rows)
    }

    fn member(&self, path: &Path) -> Result<Member, Failure> {
        let file = SpecFile::read(path)?;
        let mirror = self.arguments.mirror.as_deref();
        let mirrors = pins::mirrors(mirror, file.spec.mirror.as_deref(), Some(&self.lock))?;
        let units = unit_caches(self.arguments, &file)?;
        Ok(Member { file, mirrors, units })
    }

    /// What is to be made, by what it is made from. Of images that would have one name, none is made.
    fn images<'m>(
        &'m self,
        members: &'m [Member],
        rows: &mut Vec<Row>,
    ) -> BTreeMap<Pieces, Vec<Image<'m>>> {
        let mut by_host: BTreeMap<String, Vec<&Member>> = BTreeMap::new();
        for member in members {
            by_host.entry(member.file.spec.host.name.to_string()).or_default().push(member);
        }
        let mut images: BTreeMap<Pieces, Vec<Image<'m>>> = BTreeMap::new();
        for (target, formats) in &self.targets {
            for (host, members) in &by_host {
                for member in members {
                    let failure = match members.as_slice() {
                        [_] => match self.image(member, target, formats) {
                            Ok((pieces, image)) => {
                                images.entry(pieces).or_default().push(image);
                                continue;
                            }
                            Err(failure) => failure,
                        },
                        _ => same_name(host, target, members),
                    };
                    rows.push(Row::failed(&member.file.path, target.name.clone(), &failure));
                }
            }
        }
        images
    }

    fn image<'m>(
        &'m self,
        member: &'m Member,
        target: &'m Target,
        formats: &'m [Format],
    ) -> Result<(Pieces, Image<'m>), Failure> {
        let toolchain = self.toolchains.get(&target.arch).ok_or_else(|| Failure::Work {
            message: format!("there is no toolchain for {}", target.arch),
            causes: Vec::new(),
            hint: None,
        })?;
        let order = Order {
            spec: &member.file.spec,
            target,
            lock: &self.lock,
            cache: &self.cache,
            mirrors: &member.mirrors,
            toolchain,
            units: &member.units,
            watch: &self.watch,
        };
        let pieces = Pieces::of(&order).map_err(|error| assembly_failure(&error))?;
        Ok((pieces, Image { member, order, formats }))
    }

    /// Makes the images, those of one kind after those of another, so that the materials of one kind are in memory.
    fn build(
        &self,
        images: BTreeMap<Pieces, Vec<Image<'_>>>,
        jobs: Option<NonZero<usize>>,
        printer: &Printer,
    ) -> Vec<Row> {
        let total = images.values().map(Vec::len).sum();
        let progress = Progress { printer, total, done: AtomicUsize::new(0) };
        let jobs = jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let mut rows = Vec::new();
        for kind in images.into_values() {
            let Some(first) = kind.first() else { continue };
            let started = Instant::now();
            let row = |image: &Image<'_>, built: Result<&(Built, Duration), &Failure>| {
                let (path, target) = (&image.member.file.path, image.order.target.name.clone());
                match built {
                    Ok((built, took)) => Row::built(path, target, built, *took),
                    Err(failure) => Row::failed(path, target, failure),
                }
            };
            match assembly::gather(&first.order) {
                Ok(materials) => {
                    for (image, built) in
                        self.build_kind(&kind, &materials, jobs, started, &progress)
                    {
                        rows.push(row(image, built.as_ref()));
                    }
                }
                Err(error) => {
                    let failure = assembly_failure(&error);
                    tell(printer, &failure);
                    rows.extend(kind.iter().map(|image| row(image, Err(&failure))));
                }
            }
        }
        rows
    }

    /// Makes the images of one kind. The first takes what gathering the materials has taken since `started`.
    fn build_kind<'i>(
        &self,
        images: &'i [Image<'i>],
        materials: &Materials,
        jobs: usize,
        started: Instant,
        progress: &Progress<'_>,
    ) -> Vec<(&'i Image<'i>, Result<(Built, Duration), Failure>)> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(image) = images.get(number) else { return };
                let started = if number == 0 { started } else { Instant::now() };
                let folder = &self.arguments.output;
                let built = write(&image.order, Some(materials), image.formats, folder);
                let took = started.elapsed();
                progress.tell(image, built.as_ref().err(), took);
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.push((image, built.map(|built| (built, took))));
            }
        };
        thread::scope(|scope| {
            for _ in 1..jobs.min(images.len()) {
                scope.spawn(work);
            }
            work();
        });
        results.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same_name(host: &str, target: &Target, members: &[&Member]) -> Failure {
    let paths: Vec<String> =
        members.iter().map(|member| member.file.path.display().to_string()).collect();
    Failure::Input {
        message: format!("{} would be made from {}", name(host, target), paths.join(" and ")),
        causes: Vec::new(),
        hint: Some("give each its own [host] name".to_owned()),
    }
}

/// Says at once what went wrong. As JSON it is in the one document.
fn tell(printer: &Printer, failure: &Failure) {
    if !printer.is_json() {
        printer.failure(failure);
    }
}

/// How far it is.
struct Progress<'a> {
    printer: &'a Printer,
    total: usize,
    done: AtomicUsize,
}

impl Progress<'_> {
    fn tell(&self, image: &Image<'_>, failure: Option<&Failure>, took: Duration) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let (file, target) = (image.member.file.path.display(), &image.order.target.name);
        match failure {
            None => self.printer.message(format_args!(
                "{done}/{} {file} for {target}, {:.1} s",
                self.total,
                took.as_secs_f64()
            )),
            Some(failure) => tell(self.printer, failure),
        }
    }
}

/// Bars for what takes long; the steps of a hundred images are of no interest.
struct Quiet<'a>(&'a Bars<'a>);

impl Watch for Quiet<'_> {
    fn step(&self, _: &str) {}

    fn warn(&self, what: &str) {
        self.0.warn(what);
    }

    fn downloads(&self) -> &dyn mailkiln_fetch::Progress {
        self.0.downloads()
    }

    fn unpacking(&self) -> &dyn mailkiln_sources::Progress {
        self.0.unpacking()
    }

    fn compiling(&self) -> &dyn mailkiln_compile::Progress {
        self.0.compiling()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_found_in_one_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(find(folder.path()).unwrap_err().to_string().contains("nothing to build"));
        for name in ["b.toml", "a.toml", ".hidden.toml", "notes.txt"] {
            fs::write(at(name), "").unwrap();
        }
        for name in ["c", "seed", ".git"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("c/mail.toml"), "").unwrap();
        fs::write(at("c/other.toml"), "").unwrap();
        fs::write(at("seed/seed.toml"), "").unwrap();
        fs::write(at(".git/mail.toml"), "").unwrap();
        assert_eq!(find(folder.path()).unwrap(), [at("a.toml"), at("b.toml"), at("c/mail.toml")]);
        assert!(find(&at("none")).is_err());
    }
}
