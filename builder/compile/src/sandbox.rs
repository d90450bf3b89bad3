//! The sandbox that units are compiled in: no network, no host file system, no privilege.
//!
//! In: a toolchain's folder, a source folder, a build folder, a command and its environment. Out:
//! the command's exit status; its output goes where the caller's pipes lead. The program starts
//! itself again with a hidden subcommand ([`Reentry`]), because entering namespaces needs a
//! process without threads; what happens there is in [`inside`].
//!
//! Every build sees the same: `/usr` of the toolchain (read-only), `/src` (read-only), `/build`,
//! an empty `/tmp`, its own `/proc`, five devices, user 1000, one host name, umask 022. Outside, that
//! user is the caller without any capability, or nobody where the caller is root.

mod apart;
mod diagnosis;
mod filter;
mod inside;
mod namespaces;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use serde::{Deserialize, Serialize};

pub use inside::enter;

/// The hidden subcommand by which the program enters the sandbox: hand everything after it to
/// [`enter`], before any thread is started.
pub const SUBCOMMAND: &str = "sandbox-enter";

/// Where the source folder stands in the sandbox.
pub const SOURCE: &str = "/src";

/// Where the build folder stands in the sandbox.
pub const BUILD: &str = "/build";

/// Exit status that says: the sandbox could not be made. The reason is the last line on stderr.
pub(crate) const SETUP_FAILED: u8 = 120;

/// How to start a program that calls [`enter`] for [`SUBCOMMAND`].
#[derive(Debug, Clone)]
pub struct Reentry {
    program: PathBuf,
}

impl Reentry {
    /// The running program itself.
    ///
    /// # Errors
    /// When the system does not tell where its file is.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()? })
    }

    /// Another program with the same subcommand: this crate's own, for tests.
    pub fn program(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

/// A command and all that it may see.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sandbox {
    /// Folder whose `usr` becomes `/usr`, read-only.
    pub toolchain: PathBuf,
    /// Folder that becomes [`SOURCE`], read-only.
    pub source: PathBuf,
    /// Folder that becomes [`BUILD`]; all that the command leaves behind is here.
    pub build: PathBuf,
    /// An empty folder to mount on; stays empty on the host.
    pub root: PathBuf,
    /// Folder below [`SOURCE`] that the command starts in; empty for itself.
    pub folder: String,
    /// The command: program and arguments, as seen from inside.
    pub command: Vec<String>,
    /// The command's whole environment.
    pub environment: BTreeMap<String, String>,
}

/// What crosses to the program's second start.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Who must be alive for this to go on.
    parent: u32,
    sandbox: Sandbox,
}

impl Sandbox {
    /// The command that runs this sandbox. Standard input is closed; output is the caller's to
    /// redirect. When the calling thread ends, everything in the sandbox is killed.
    pub fn command(&self, reentry: &Reentry) -> Result<Command, SandboxError> {
        let entry = Entry { parent: process::id(), sandbox: self.clone() };
        let entry = serde_json::to_string(&entry).map_err(|_| SandboxError::Path)?;
        let mut command = Command::new(&reentry.program);
        command.args([OsString::from(SUBCOMMAND), "outside".into(), entry.into()]);
        // Nothing of the user's environment is needed on the way in, either.
        command.env_clear().stdin(Stdio::null());
        Ok(command)
    }

    /// Where a file of the sandbox is on the host, if it is in one of the two shared folders and no link
    /// leads to it: the command chose the path and made the folders, and a link in one of them would lead
    /// the caller to any file of the host. Called once the command has ended, with all that it started.
    pub fn on_host(&self, inside: &str) -> Option<PathBuf> {
        let below = |mount: &str, folder: &Path| {
            let rest = inside.strip_prefix(mount)?.strip_prefix('/')?;
            let plain = rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
            (plain && opens_beneath(folder, rest)).then(|| folder.join(rest))
        };
        below(BUILD, &self.build).or_else(|| below(SOURCE, &self.source))
    }
}

/// Returns true when `path` below `folder` exists and no component of it is a link: openat2(2).
fn opens_beneath(folder: &Path, path: &str) -> bool {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let folder = fs::File::open(folder);
    folder.is_ok_and(|folder| openat2(folder, path, how).is_ok())
}

/// The sandbox could not be made, or its command not be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel or its configuration refused; the message holds the cure.
    #[error("{0}")]
    Setup(String),
    /// The program could not start itself again.
    #[error("can't start {program} to enter the sandbox: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path can't be handed over.
    #[error("the cache's path is not UTF-8: set MAILKILN_CACHE to one that is")]
    Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_are_found_on_the_host_and_never_outside_the_shared_folders() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["s", "b/target", "secret"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        for path in ["s/a", "b/target/x", "secret/key"] {
            fs::write(at(path), "x").unwrap();
        }
        for (link, to) in
            [("b/out", "../secret"), ("b/target/key", "../../secret/key"), ("b/loop", "target")]
        {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
        }
        let sandbox = Sandbox {
            folder: String::new(),
            toolchain: "/t".into(),
            source: at("s"),
            build: at("b"),
            root: "/r".into(),
            command: Vec::new(),
            environment: BTreeMap::new(),
        };
        let cases = [
            ("/build/target/x", Some("b/target/x")),
            ("/src/a", Some("s/a")),
            ("/build/missing", None),
            ("/build/../etc/passwd", None),
            ("/builder/x", None),
            ("/usr/bin/cc", None),
            ("build/x", None),
            // What a build script may leave behind.
            ("/build/out/key", None),
            ("/build/target/key", None),
            ("/build/loop/x", None),
        ];
        for (inside, expected) in cases {
            assert_eq!(sandbox.on_host(inside), expected.map(at), "{inside}");
        }
    }
}
