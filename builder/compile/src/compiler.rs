//! From a component to a unit.
//!
//! In: a [`Component`], a [`Toolchain`] and a target. Out: a [`CompiledUnit`] that the cache keeps
//! by the digest of all its inputs; the second call with the same inputs only reads it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use mailkiln_fetch::{Cache, CacheError};
use mailkiln_pin::{Arch, Sha256};

use crate::component::Component;
use crate::file_error::At;
use crate::key::Key;
use crate::layer::{Layers, Produced};
use crate::messages::{Messages, excerpt};
use crate::metadata::{self, UsedCrate};
use crate::sandbox::{Reentry, SETUP_FAILED, SandboxError};
use crate::unit::{self, BuiltBy, CompiledUnit, Facts, ProgramFacts};
use crate::workshop::{Bench, Workshop};
use crate::{
    CargoLockError, CratesError, FileError, LockedCrate, MetadataError, PatchError, Progress, Step,
    Toolchain, ToolchainError, UnpackError, VendorError, crates, recipe,
};

/// The cache's kind for compiled units.
pub(crate) const KIND: &str = "unit";
/// How many lines of a failed build's log an error repeats.
const EXCERPT_LINES: usize = 40;
/// cargo's graph is a few megabytes at most.
const MOST_METADATA: u64 = 256 << 20;

/// Compiles components.
#[derive(Debug)]
pub struct Compiler<'a> {
    /// Where crates, toolchains and units are kept.
    pub cache: &'a Cache,
    /// What to compile with.
    pub toolchain: &'a Toolchain,
    /// What the units shall run on.
    pub target: Arch,
    /// How this program enters its own sandbox.
    pub reentry: Reentry,
    /// How many compilers may run at once. Does not change what comes out.
    pub jobs: usize,
    /// Whether to begin with what earlier compilations made of the same crates. Does not change
    /// what comes out, unless a build script of the component itself tampers with other crates.
    pub layers: bool,
}

impl Compiler<'_> {
    /// The unit of `component`, if it has been compiled before. Needs neither toolchain nor crates.
    ///
    /// # Errors
    /// [`CompileError::File`] when the cache holds it but it can't be read.
    pub fn find(&self, component: &Component) -> Result<Option<CompiledUnit>, CompileError> {
        self.named(&Name { kind: KIND, key: self.key(component) })
    }

    fn named(&self, name: &Name) -> Result<Option<CompiledUnit>, CompileError> {
        let folder = self.cache.derived(name.kind, &name.key);
        Ok(folder.map(|folder| CompiledUnit::read(&folder)).transpose()?)
    }

    /// The unit of `component`: from the cache, or compiled now. Takes minutes for large ones.
    /// Another process that compiles the same is waited for.
    ///
    /// # Errors
    /// [`CompileError`]; [`CompileError::Failed`] when the compiler refused the sources.
    pub fn compile(
        &self,
        component: &Component,
        progress: &dyn Progress,
    ) -> Result<CompiledUnit, CompileError> {
        let name = Name { kind: KIND, key: self.key(component) };
        if let Some(unit) = self.named(&name)? {
            return Ok(unit);
        }
        let _turn = self.take_turn(&name.key)?;
        if let Some(unit) = self.named(&name)? {
            return Ok(unit);
        }
        self.make(&name, component, progress)
    }

    /// Compiles `component` although the cache may have its unit, from nothing, to see whether the
    /// bytes are the same. If they are those of a unit that was compiled elsewhere, what was
    /// compiled here takes its place.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn rebuild(
        &self,
        component: &Component,
        progress: &dyn Progress,
    ) -> Result<CompiledUnit, CompileError> {
        let Self { cache, toolchain, target, jobs, .. } = *self;
        let reentry = self.reentry.clone();
        let alone = Compiler { cache, toolchain, target, reentry, jobs, layers: false };
        let own = self.key(component);
        let name = Name { kind: "rebuilt", key: Sha256::of(format!("rebuilt {own}").as_bytes()) };
        let _turn = alone.take_turn(&name.key)?;
        // Left by one that was interrupted before it compared.
        cache.remove_derived(name.kind, &name.key)?;
        let unit = alone.make(&name, component, progress)?;
        let result = self.replace_foreign(component, &unit);
        cache.remove_derived(name.kind, &name.key)?;
        result.map(|()| unit)
    }

    fn make(
        &self,
        name: &Name,
        component: &Component,
        progress: &dyn Progress,
    ) -> Result<CompiledUnit, CompileError> {
        let key = &name.key;
        let locked = component.crates()?;
        crates::obtain(component, &locked, self.cache, progress)?;
        let bench = self.bench(progress)?;
        progress.advance(Step::Vendor, 0, locked.len(), &component.name);
        let layers = self.layers(component, &locked)?;
        let (workshop, start) =
            Workshop::set_up(self.cache, key, component, &locked, layers.as_ref())?;
        let run = Run { compiler: self, name, component, bench: &bench, workshop: &workshop };
        let mut produced = Produced::new(self.target.rust());
        let made = run.unit(&locked, &mut produced, progress);
        let ended = matches!(made, Ok(_) | Err(CompileError::Failed { .. }));
        if let Some(layers) = layers.filter(|_| ended) {
            layers.keep(&workshop.target(), &produced, start, made.is_ok());
        }
        if matches!(made, Err(CompileError::Killed { .. })) {
            workshop.keep();
        }
        made
    }

    /// Digest of everything that can change what comes out.
    pub fn key(&self, component: &Component) -> Sha256 {
        Key::new("unit 1")
            .digest("toolchain", self.toolchain.digest())
            .component(component, self.target)
            .finish()
    }

    /// The layers of `component`. Outside the sandbox the crates' paths differ from run to run.
    fn layers(
        &self,
        component: &Component,
        locked: &[LockedCrate],
    ) -> Result<Option<Layers<'_>>, CompileError> {
        if !self.layers || matches!(self.toolchain, Toolchain::Host(_)) {
            return Ok(None);
        }
        let toolchain = self.toolchain.digest();
        Layers::of(self.cache, toolchain, self.target, component, locked).map(Some)
    }

    fn bench(&self, progress: &dyn Progress) -> Result<Bench<'_>, CompileError> {
        Ok(match self.toolchain {
            Toolchain::Locked(locked) => Bench::Sandbox {
                toolchain: locked.folder(self.cache, progress)?,
                reentry: &self.reentry,
            },
            Toolchain::Host(_) => Bench::Host,
        })
    }

    /// Holds the right to compile this unit until the file is dropped.
    fn take_turn(&self, key: &Sha256) -> Result<File, FileError> {
        let path = self.cache.root().join("tmp").join(format!("unit-{key}.lock"));
        let file = File::create(&path).at("create", &path)?;
        file.lock().at("lock", &path)?;
        Ok(file)
    }

    /// The log of the compilation that is under way: one per component, the last one stays.
    fn log(&self, component: &Component) -> Result<PathBuf, FileError> {
        let folder = self.cache.root().join("log");
        fs::create_dir_all(&folder).at("create", &folder)?;
        let path = folder.join(format!("{}-{}.log", component.name, self.target));
        File::create(&path).at("create", &path)?;
        Ok(path)
    }
}

/// Under which name a unit is kept.
struct Name {
    kind: &'static str,
    key: Sha256,
}

/// One compilation under way.
struct Run<'a> {
    compiler: &'a Compiler<'a>,
    name: &'a Name,
    component: &'a Component,
    bench: &'a Bench<'a>,
    workshop: &'a Workshop,
}

impl Run<'_> {
    /// Compiles and publishes.
    fn unit(
        &self,
        locked: &[LockedCrate],
        produced: &mut Produced,
        progress: &dyn Progress,
    ) -> Result<CompiledUnit, CompileError> {
        let log = self.compiler.log(self.component)?;
        let mut used = self.used_crates(locked, &log)?;
        let mut messages = Messages::default();
        let built = self.build(&mut messages, &log, used.len(), progress);
        for (id, target) in messages.crates() {
            if let Some(used) = used.get(id) {
                produced.note(&used.name, target);
            }
        }
        built?;
        used.retain(|id, _| messages.has_compiled(id));
        let mut used: Vec<_> = used.into_values().collect();
        used.sort();
        let cache = self.compiler.cache;
        let folder = cache.publish_derived_directory(self.name.kind, &self.name.key, |folder| {
            self.collect(folder, &messages, used, &log)
        })?;
        Ok(CompiledUnit::read(&folder)?)
    }

    fn cargo(&self, arguments: &[String], log: &Path) -> Result<Command, CompileError> {
        let errors = File::options().append(true).open(log).at("open", log)?;
        let target = self.compiler.target;
        let mut command = self.workshop.cargo(self.bench, self.component, target, arguments)?;
        command.stdout(Stdio::piped()).stderr(errors);
        Ok(command)
    }

    /// Asks cargo what the unit will be built from.
    fn used_crates(
        &self,
        locked: &[LockedCrate],
        log: &Path,
    ) -> Result<BTreeMap<String, UsedCrate>, CompileError> {
        let arguments = recipe::metadata(self.component, self.compiler.target);
        let mut child = start(self.cargo(&arguments, log)?)?;
        let mut json = String::new();
        let read = match child.stdout.take() {
            Some(stdout) => stdout.take(MOST_METADATA).read_to_string(&mut json),
            None => Ok(0),
        };
        self.judge(child.wait().at("wait for", log)?, log)?;
        read.at("read cargo's output for", log)?;
        Ok(metadata::used_crates(&json, &self.component.package, locked)?)
    }

    /// Compiles, and reports each crate that is through.
    fn build(
        &self,
        messages: &mut Messages,
        log: &Path,
        total: usize,
        progress: &dyn Progress,
    ) -> Result<(), CompileError> {
        let mut arguments = recipe::build(self.component, self.compiler.target);
        arguments.push(format!("--jobs={}", self.compiler.jobs.max(1)));
        let mut child = start(self.cargo(&arguments, log)?)?;
        progress.advance(Step::Compile, 0, total, &self.component.name);
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line.at("read cargo's output for", log)?;
                if let Some(name) = messages.line(&line) {
                    let done = messages.compiled();
                    progress.advance(Step::Compile, done.min(total), total, &name);
                }
            }
        }
        self.judge(child.wait().at("wait for", log)?, log)?;
        progress.advance(Step::Compile, total, total, &self.component.name);
        Ok(())
    }

    /// Turns a failed cargo into an error that shows what the log says.
    fn judge(&self, status: ExitStatus, log: &Path) -> Result<(), CompileError> {
        if status.success() {
            return Ok(());
        }
        let bytes = fs::read(log).at("read", log)?;
        Err(failure(&self.component.name, status, &String::from_utf8_lossy(&bytes), log))
    }

    /// Copies what was built into the folder that the cache will keep.
    fn collect(
        &self,
        folder: &Path,
        messages: &Messages,
        crates: Vec<UsedCrate>,
        log: &Path,
    ) -> Result<(), CompileError> {
        let bin = folder.join("bin");
        fs::create_dir(&bin).at("create", &bin)?;
        let mut programs = Vec::new();
        for name in &self.component.binaries {
            let built = messages.program(name).and_then(|path| {
                let path = self.workshop.on_host(self.bench, path)?;
                fs::symlink_metadata(&path).is_ok_and(|file| file.is_file()).then_some(path)
            });
            let built = built.ok_or_else(|| CompileError::NoProgram {
                component: self.component.name.clone(),
                program: name.clone(),
            })?;
            let bytes = fs::read(&built).at("read", &built)?;
            let to = unit::program_path(folder, name);
            fs::write(&to, &bytes).at("write", &to)?;
            let (size, sha256) = (bytes.len() as u64, Sha256::of(&bytes));
            programs.push(ProgramFacts { name: name.clone(), size, sha256 });
        }
        let built_by = match self.bench {
            Bench::Sandbox { .. } => BuiltBy::LockedToolchain,
            Bench::Host => BuiltBy::HostToolchain,
        };
        let target = self.compiler.target;
        Facts { target, built_by, origin: None, programs, crates }.write(folder)?;
        let kept = unit::log_path(folder);
        fs::copy(log, &kept).at("copy", log)?;
        Ok(())
    }
}

/// What a status other than success means, with what the log says about it.
fn failure(component: &str, status: ExitStatus, text: &str, log: &Path) -> CompileError {
    if status.code() == Some(i32::from(SETUP_FAILED)) {
        let reason = text.lines().rev().find_map(|line| line.strip_prefix("sandbox: "));
        return SandboxError::Setup(reason.unwrap_or("it ended").to_owned()).into();
    }
    let (component, log) = (component.to_owned(), log.to_owned());
    let excerpt = excerpt(text, EXCERPT_LINES);
    // As shells do, the sandbox says so when a signal has ended the command.
    if status.code().is_none_or(|code| code > 128) {
        return CompileError::Killed { component, excerpt, log };
    }
    CompileError::Failed { component, status, excerpt, log }
}

fn start(mut command: Command) -> Result<Child, SandboxError> {
    let program = PathBuf::from(command.get_program());
    command.spawn().map_err(|source| SandboxError::Start { program, source })
}

/// A component could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler refused the sources.
    #[error("{component} does not compile ({status}); the whole log is {}\n{excerpt}", log.display())]
    Failed {
        /// The component.
        component: String,
        /// How cargo ended.
        status: ExitStatus,
        /// The log from its first error on.
        excerpt: String,
        /// cargo's whole output.
        log: PathBuf,
    },
    /// Somebody ended cargo, or the machine ran out of memory.
    #[error(
        "the compilation of {component} was killed; run the command again and it goes on from \
         there; the whole log is {}\n{excerpt}", log.display()
    )]
    Killed {
        /// The component.
        component: String,
        /// The log's last lines.
        excerpt: String,
        /// cargo's whole output.
        log: PathBuf,
    },
    /// cargo succeeded without making a program.
    #[error("{component} compiled, but cargo made no program `{program}`; correct its `binaries`")]
    NoProgram {
        /// The component.
        component: String,
        /// The program.
        program: String,
    },
    /// Its `Cargo.lock` pins nothing usable.
    #[error(transparent)]
    CargoLock(#[from] CargoLockError),
    /// A patch can't be read.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A crate can't be had.
    #[error(transparent)]
    Crates(#[from] CratesError),
    /// Crates can't be unpacked or patched.
    #[error(transparent)]
    Vendor(#[from] VendorError),
    /// The component's own files can't be written.
    #[error("the component's sources can't be laid out: {0}")]
    Source(UnpackError),
    /// There are no compilers.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// The sandbox can't be made.
    #[error("the sandbox can't be made: {0}")]
    Sandbox(#[from] SandboxError),
    /// cargo's graph can't be understood.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The cache refused.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A program from elsewhere is not what it was said to be.
    #[error("{program}: its bytes have changed since they were fetched; run the command again")]
    Altered {
        /// The program.
        program: String,
    },
    /// The disk refused.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn a_status_is_told_apart_by_what_can_be_done_about_it() {
        let text = "   Compiling a\nerror: no\nsandbox: can't make namespaces";
        let cases = [
            (101 << 8, "a does not compile (exit status: 101)"),
            (143 << 8, "run the command again"),
            (9, "run the command again"),
            (120 << 8, "the sandbox can't be made: can't make namespaces"),
        ];
        for (status, expected) in cases {
            let error = failure("a", ExitStatus::from_raw(status), text, Path::new("/log/a"));
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
