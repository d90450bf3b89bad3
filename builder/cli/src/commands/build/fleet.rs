//! `mailkiln build --all DIR`, and several targets: many images in one run.
//!
//! In: files × targets. Out: an image for each, and a table. Images that are assembled from the same parts are built
//! together, several at the same time, from parts that are gathered once; then those of the next parts.

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

use mailkiln_assemble::{Inputs, Parts, PartsKey, Progress, Supply, Tools, UnitCaches, gather};
use mailkiln_compile::Toolchain;
use mailkiln_fetch::{Cache, Mirrors};
use mailkiln_format::Format;
use mailkiln_lock::Lock;
use mailkiln_pin::Arch;
use mailkiln_spec::target::{Target, builtin_target};

use super::{Built, formats, inputs, spec_file, units_from, warn_of_host, write};
use crate::arguments::BuildArguments;
use crate::failure::Failure;
use crate::lock_age;
use crate::pins;
use crate::printer::Printer;
use crate::progress::Bars;
use crate::spec_file::SpecFile;
use crate::tools::{assembly_failure, toolchain, tools};
use report::{Report, Row};

/// The name of the file in a folder of its own.
const FILE: &str = "mail.toml";

/// Builds every image and reports the outcome of each.
pub(super) fn run(arguments: &BuildArguments, printer: &Printer) -> Result<ExitCode, Failure> {
    if arguments.closure.closure.is_some() {
        return Err(Failure::Input {
            message: "a NixOS system is built for one target".to_owned(),
            causes: Vec::new(),
            hint: Some("name one TARGET, and leave out --all".to_owned()),
        });
    }
    let paths = match &arguments.all {
        Some(folder) => find(folder)?,
        None => vec![arguments.config.path().to_owned()],
    };
    let bars = Bars::new(printer);
    let fleet = Fleet::open(arguments, &bars, printer)?;
    fs::create_dir_all(&arguments.output)
        .map_err(Failure::file("create the folder", &arguments.output))?;
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
    progress: Quiet<'a>,
}

/// A file without problems, and what only it decides.
struct Member {
    file: SpecFile,
    mirrors: Mirrors,
    units: UnitCaches,
}

/// An image to build.
struct Image<'a> {
    member: &'a Member,
    inputs: Inputs<'a>,
    tools: Tools<'a>,
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
        let lock = pins::lock(arguments.pins.lock.as_deref())?;
        lock_age::warn(&lock, printer);
        let cache = pins::cache()?;
        let mut toolchains = BTreeMap::new();
        for arch in targets.iter().map(|(target, _)| target.arch) {
            toolchains.insert(arch, toolchain(arguments.toolchain, &lock, arch)?);
        }
        if let Some(toolchain) = toolchains.values().next() {
            warn_of_host(toolchain, printer);
        }
        Ok(Self { arguments, targets, lock, cache, toolchains, progress: Quiet(bars) })
    }

    /// The files without problems; for each other one, a row per target.
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
        let file = spec_file(path)?;
        let mirror = self.arguments.pins.mirror.as_deref();
        let mirrors = pins::mirrors(mirror, file.spec.mirror.as_deref(), Some(&self.lock))?;
        let units = units_from(self.arguments, &file)?;
        Ok(Member { file, mirrors, units })
    }

    /// The images to build, by the parts that they are assembled from. Of images with the same name, none is built.
    fn images<'m>(
        &'m self,
        members: &'m [Member],
        rows: &mut Vec<Row>,
    ) -> BTreeMap<PartsKey, Vec<Image<'m>>> {
        let mut images: BTreeMap<PartsKey, Vec<Image<'m>>> = BTreeMap::new();
        for (target, formats) in &self.targets {
            let mut by_name: BTreeMap<String, Vec<&Member>> = BTreeMap::new();
            for member in members {
                let name = inputs(&member.file, target, &self.lock).name();
                by_name.entry(name).or_default().push(member);
            }
            for (name, members) in &by_name {
                for member in members {
                    let image = match members.as_slice() {
                        [_] => self.image(member, target, formats),
                        _ => Err(same_name(name, members)),
                    };
                    match image {
                        Ok((key, image)) => images.entry(key).or_default().push(image),
                        Err(failure) => {
                            rows.push(Row::failed(&member.file.path, target.name.clone(), &failure))
                        }
                    }
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
    ) -> Result<(PartsKey, Image<'m>), Failure> {
        let toolchain = self.toolchains.get(&target.arch).ok_or_else(|| Failure::Work {
            message: format!("there is no toolchain for {}", target.arch),
            causes: Vec::new(),
            hint: None,
        })?;
        let supply =
            Supply { cache: &self.cache, mirrors: &member.mirrors, progress: &self.progress };
        let tools = tools(supply, toolchain, &member.units)?;
        let inputs = inputs(&member.file, target, &self.lock);
        let key = PartsKey::of(&inputs, &member.units).map_err(|error| assembly_failure(&error))?;
        Ok((key, Image { member, inputs, tools, formats }))
    }

    /// Builds the images, group by group, so that the parts of only one group are in memory.
    fn build(
        &self,
        images: BTreeMap<PartsKey, Vec<Image<'_>>>,
        jobs: Option<NonZero<usize>>,
        printer: &Printer,
    ) -> Vec<Row> {
        let total = images.values().map(Vec::len).sum();
        let counter = Counter { printer, total, done: AtomicUsize::new(0) };
        let jobs = jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let mut rows = Vec::new();
        for group in images.into_values() {
            let Some(first) = group.first() else { continue };
            let started = Instant::now();
            match gather(&first.inputs, &first.tools) {
                Ok(parts) => {
                    rows.extend(self.build_group(&group, &parts, jobs, started, &counter));
                }
                Err(error) => {
                    let failure = assembly_failure(&error);
                    tell(printer, &failure);
                    rows.extend(group.iter().map(|image| image.row(Err(&failure))));
                }
            }
        }
        rows
    }

    /// Builds the images of one group. The time of the first one includes gathering the parts, from `started` on.
    fn build_group(
        &self,
        images: &[Image<'_>],
        parts: &Parts,
        jobs: usize,
        started: Instant,
        counter: &Counter<'_>,
    ) -> Vec<Row> {
        let next = AtomicUsize::new(0);
        let rows = Mutex::new(Vec::new());
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(image) = images.get(number) else { return };
                let started = if number == 0 { started } else { Instant::now() };
                let folder = &self.arguments.output;
                let built = write(&image.inputs, &image.tools, Some(parts), image.formats, folder);
                let took = started.elapsed();
                counter.tell(image, built.as_ref().err(), took);
                let row = image.row(built.as_ref().map(|built| (built, took)));
                rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
            }
        };
        thread::scope(|scope| {
            for _ in 1..jobs.min(images.len()) {
                scope.spawn(work);
            }
            work();
        });
        rows.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Image<'_> {
    fn row(&self, built: Result<(&Built, Duration), &Failure>) -> Row {
        let (path, target) = (&self.member.file.path, self.inputs.target.name.clone());
        match built {
            Ok((built, took)) => Row::built(path, target, built, took),
            Err(failure) => Row::failed(path, target, failure),
        }
    }
}

fn same_name(name: &str, members: &[&Member]) -> Failure {
    let paths: Vec<String> =
        members.iter().map(|member| member.file.path.display().to_string()).collect();
    let hint = match members.iter().any(|member| member.file.spec.is_waiting) {
        true => "build images without a domain of their own one by one, each into its own folder",
        false => "give each its own [host] name",
    };
    Failure::Input {
        message: format!("{name} would be built from {}", paths.join(" and ")),
        causes: Vec::new(),
        hint: Some(hint.to_owned()),
    }
}

/// Reports a failure as soon as it happens; with --json it is part of the one document instead.
fn tell(printer: &Printer, failure: &Failure) {
    if !printer.is_json() {
        printer.failure(failure);
    }
}

/// Counts the images that are done.
struct Counter<'a> {
    printer: &'a Printer,
    total: usize,
    done: AtomicUsize,
}

impl Counter<'_> {
    fn tell(&self, image: &Image<'_>, failure: Option<&Failure>, took: Duration) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let (file, target) = (image.member.file.path.display(), &image.inputs.target.name);
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

/// Bars for what takes long; the steps of a hundred images would only be noise.
struct Quiet<'a>(&'a Bars<'a>);

impl Progress for Quiet<'_> {
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
