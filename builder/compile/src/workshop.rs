//! The temporary folders of one compilation: sources, vendored crates, and cargo's own.
//!
//! In: a component and its crates. Out: a folder in the cache's `tmp`, and commands that run in
//! it: in the sandbox, or bare with the host's tools.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mailkiln_fetch::Cache;
use mailkiln_pin::{Arch, Sha256};
use mailkiln_tree::TreePath;

use crate::component::Component;
use crate::file_error::At;
use crate::layer::{Layers, Start};
use crate::recipe::{self, Places};
use crate::sandbox::{self, Reentry, Sandbox};
use crate::unpack::{UnpackError, Unpacker};
use crate::{CompileError, LockedCrate, vendor};

/// What the host's own toolchain may see of the user's environment: where it is installed.
const HOST_VARIABLES: [&str; 5] = ["HOME", "PATH", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "TMPDIR"];

/// Differs after every start of the machine: random(4).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where commands run.
#[derive(Debug)]
pub(crate) enum Bench<'a> {
    /// In the sandbox, on this toolchain folder.
    Sandbox { toolchain: PathBuf, reentry: &'a Reentry },
    /// On the host as it is.
    Host,
}

/// One compilation's folders; gone when the value is dropped.
#[derive(Debug)]
pub(crate) struct Workshop {
    folder: PathBuf,
    kept: bool,
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(path = %self.folder.display(), %error, "can't remove a build folder");
        }
    }
}

impl Workshop {
    /// Makes the folders and fills `src` with the component and its patched crates. `key` is the
    /// unit's. What an interrupted compilation of the same unit has left is taken up again: its
    /// inputs were the same, and cargo knows which of its outputs are whole. Otherwise it begins
    /// with what `layers` have. The caller must be the only one at work on this unit.
    pub(crate) fn set_up(
        cache: &Cache,
        key: &Sha256,
        component: &Component,
        crates: &[LockedCrate],
        layers: Option<&Layers<'_>>,
    ) -> Result<(Self, Start), CompileError> {
        let folder = cache.root().join("tmp").join(format!("unit-{key}"));
        let workshop = Self { folder, kept: false };
        // After a crash of the machine, what cargo takes for whole may be half written.
        let stamp = workshop.folder.join("filled");
        let boot = fs::read(BOOT_ID).unwrap_or_default();
        if !boot.is_empty() && fs::read(&stamp).is_ok_and(|stamped| stamped == boot) {
            tracing::info!(component = component.name, "going on with an interrupted compilation");
            return Ok((workshop, Start::Empty));
        }
        if workshop.folder.exists() {
            fs::remove_dir_all(&workshop.folder).at("remove", &workshop.folder)?;
        }
        workshop.fill(cache, component, crates)?;
        let start = layers.map_or(Start::Empty, |layers| layers.restore(&workshop.target()));
        fs::write(&stamp, boot).at("write", &stamp)?;
        Ok((workshop, start))
    }

    /// Leaves the folders to the next compilation of this unit.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    fn fill(
        &self,
        cache: &Cache,
        component: &Component,
        crates: &[LockedCrate],
    ) -> Result<(), CompileError> {
        let source = self.source();
        for folder in ["", "src", "src/vendor", "src/.cargo", "build", "build/home", "root"] {
            let path = self.folder.join(folder);
            fs::create_dir(&path).at("create", &path)?;
        }
        write_files(&source, &component.files).map_err(CompileError::Source)?;
        let configuration = source.join(".cargo/config.toml");
        fs::write(&configuration, recipe::CONFIGURATION).at("write", &configuration)?;
        let archives: Vec<_> =
            crates.iter().map(|locked| (locked, cache.blob_path(&locked.sha256))).collect();
        let archives = archives.iter().map(|(locked, path)| (*locked, path.as_path()));
        vendor::fill(&source.join("vendor"), archives, &component.patches)?;
        Ok(())
    }

    fn source(&self) -> PathBuf {
        self.folder.join("src")
    }

    fn build(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// Where cargo puts what it makes.
    pub(crate) fn target(&self) -> PathBuf {
        self.build().join("target")
    }

    /// A cargo command of this workshop.
    pub(crate) fn cargo(
        &self,
        bench: &Bench<'_>,
        component: &Component,
        target: Arch,
        arguments: &[String],
    ) -> Result<Command, CompileError> {
        match bench {
            Bench::Sandbox { toolchain, reentry } => {
                let places = Places { source: sandbox::SOURCE, build: sandbox::BUILD };
                let mut environment = recipe::environment(component, target, places);
                environment.extend(recipe::sandbox_environment(target, places.build));
                let program = [String::from("/usr/bin/cargo")];
                let command = program.iter().chain(arguments).cloned().collect();
                let mut sandbox = self.sandbox(toolchain, command, environment);
                sandbox.folder = component.folder.clone();
                Ok(sandbox.command(reentry)?)
            }
            Bench::Host => {
                let (source, build) = (self.source(), self.build());
                let places =
                    Places { source: &source.to_string_lossy(), build: &build.to_string_lossy() };
                let mut command = Command::new("cargo");
                command
                    .args(arguments)
                    .current_dir(source.join(&component.folder))
                    .stdin(Stdio::null())
                    .env_clear();
                let kept =
                    HOST_VARIABLES.iter().filter_map(|name| Some((name, env::var_os(name)?)));
                command.envs(kept).envs(recipe::environment(component, target, places));
                Ok(command)
            }
        }
    }

    fn sandbox(
        &self,
        toolchain: &Path,
        command: Vec<String>,
        environment: BTreeMap<String, String>,
    ) -> Sandbox {
        Sandbox {
            toolchain: toolchain.to_owned(),
            source: self.source(),
            build: self.build(),
            root: self.folder.join("root"),
            folder: String::new(),
            command,
            environment,
        }
    }

    /// Where a file that cargo names is on the host; `None` when it is not in the build folder.
    pub(crate) fn on_host(&self, bench: &Bench<'_>, path: &str) -> Option<PathBuf> {
        match bench {
            Bench::Sandbox { toolchain, .. } => {
                self.sandbox(toolchain, Vec::new(), BTreeMap::new()).on_host(path)
            }
            Bench::Host => Some(PathBuf::from(path)).filter(|path| path.starts_with(self.build())),
        }
    }
}

/// Writes a component's files below `folder`, where none of them may stand yet.
pub(crate) fn write_files(
    folder: &Path,
    files: &BTreeMap<String, Cow<'static, [u8]>>,
) -> Result<(), UnpackError> {
    let mut unpacker = Unpacker::new(folder, false);
    files.iter().try_for_each(|(path, bytes)| {
        unpacker.file(&TreePath::parse(path)?, false, &mut bytes.as_ref())
    })
}
