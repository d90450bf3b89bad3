//! Compilers: pinned packages unpacked into a folder, or what the host happens to have.
//!
//! In: the pins of a lock's toolchain set. Out: a [`Toolchain`] with a digest of its own, and in
//! the cache the folder whose `usr` the sandbox shows as `/usr`. Packages are unpacked, never
//! configured: the few links that their scripts would have made are made here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mailkiln_fetch::{Cache, CacheError};
use mailkiln_pin::{Pin, Sha256};
use mailkiln_sources::deb::Deb;
use mailkiln_tree::TreePath;

use crate::file_error::At;
use crate::unpack::{UnpackError, Unpacker};
use crate::{FileError, Progress, Step};

/// The cache's kind for unpacked toolchains.
const KIND: &str = "toolchain";
/// Raised whenever the same packages are laid out differently.
const LAYOUT: &str = "toolchain layout 1";
/// Folders that Debian has merged into `/usr`.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
/// What no compilation reads: documentation, and what packages keep outside `/usr`.
const LEFT_OUT: [&str; 1] = ["usr/share"];
/// Links that update-alternatives would have made: (link, target), where the target exists.
const ALTERNATIVES: [(&str, &str); 2] = [("usr/bin/awk", "mawk"), ("usr/bin/cc", "gcc")];

/// What units are compiled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The packages of a lock, in a sandbox. The same on every host.
    Locked(LockedToolchain),
    /// The host's own cargo, rustc and cc, without a sandbox. For hosts that forbid user
    /// namespaces; what it makes differs from host to host.
    Host(HostToolchain),
}

/// A toolchain made of pinned packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedToolchain {
    pins: Vec<Pin>,
    key: Sha256,
}

/// The compilers that are installed on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostToolchain {
    versions: String,
}

impl Toolchain {
    /// Digest of everything about the toolchain that can change what it makes.
    pub fn digest(&self) -> Sha256 {
        match self {
            Self::Locked(locked) => locked.key,
            Self::Host(host) => Sha256::of(format!("host\0{}", host.versions).as_bytes()),
        }
    }
}

impl LockedToolchain {
    /// The toolchain of these pins; their order does not matter.
    pub fn new(pins: &[Pin]) -> Self {
        let mut pins = pins.to_vec();
        pins.sort();
        pins.dedup();
        let digests: String = pins.iter().map(|pin| format!("\0{}", pin.sha256)).collect();
        Self { pins, key: Sha256::of(format!("{LAYOUT}{digests}").as_bytes()) }
    }

    /// The packages that must be in the cache before this toolchain can be used: none when it has
    /// been unpacked before.
    pub fn missing(&self, cache: &Cache) -> Vec<&Pin> {
        if cache.derived(KIND, &self.key).is_some() {
            return Vec::new();
        }
        self.pins.iter().filter(|pin| cache.blob(&pin.sha256).is_none()).collect()
    }

    /// The folder of the unpacked toolchain; unpacks it if need be. Read it, never write to it.
    ///
    /// # Errors
    /// [`ToolchainError`] when a package is not in the cache (fetch what [`Self::missing`] names)
    /// or can't be unpacked.
    pub fn folder(
        &self,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<PathBuf, ToolchainError> {
        if let Some(folder) = cache.derived(KIND, &self.key) {
            return Ok(folder);
        }
        cache.publish_derived_directory(KIND, &self.key, |folder| {
            let mut unpacker = Unpacker::new(folder, true);
            lay_out(&mut unpacker).map_err(|source| ToolchainError::Links { source })?;
            for (done, pin) in self.pins.iter().enumerate() {
                progress.advance(Step::Toolchain, done, self.pins.len(), pin.name.as_str());
                let path = cache
                    .blob(&pin.sha256)
                    .ok_or_else(|| ToolchainError::Missing { pin: pin.to_string() })?;
                unpack(&mut unpacker, &path)
                    .map_err(|source| ToolchainError::Package { pin: pin.to_string(), source })?;
            }
            finish(&mut unpacker, folder).map_err(|source| ToolchainError::Links { source })
        })
    }
}

/// The merged folders come first, so that no package's file can take their place.
fn lay_out(unpacker: &mut Unpacker) -> Result<(), UnpackError> {
    for folder in MERGED {
        unpacker.directory(&TreePath::parse(&format!("usr/{folder}"))?)?;
    }
    Ok(())
}

/// Unpacks the files of a package; its scripts are not run, and who it is was settled by its digest.
fn unpack(unpacker: &mut Unpacker, path: &Path) -> Result<(), UnpackError> {
    let package = fs::read(path).at("read", path)?;
    unpacker.tar(Deb::parse(&package)?.data()?, place)
}

fn finish(unpacker: &mut Unpacker, folder: &Path) -> Result<(), UnpackError> {
    for (link, target) in ALTERNATIVES {
        let path = TreePath::parse(link)?;
        let on_disk = folder.join(link);
        let wanted = on_disk.with_file_name(target);
        if wanted.exists() && fs::symlink_metadata(&on_disk).is_err() {
            unpacker.symlink(&path, target)?;
        }
    }
    Ok(())
}

/// Where a package's file goes: `/bin/x` to `/usr/bin/x`, all that is not in `/usr` nowhere.
fn place(path: &TreePath) -> Option<TreePath> {
    let (first, rest) = path.as_str().split_once('/').unwrap_or((path.as_str(), ""));
    let placed = match first {
        // The folder itself, or the link that base-files has in its place.
        _ if MERGED.contains(&first) && rest.is_empty() => return None,
        _ if MERGED.contains(&first) => TreePath::parse(&format!("usr/{}", path.as_str())).ok()?,
        "usr" => path.clone(),
        _ => return None,
    };
    let left_out =
        LEFT_OUT.iter().any(|left| TreePath::parse(left).is_ok_and(|left| placed.is_within(&left)));
    (!left_out).then_some(placed)
}

impl HostToolchain {
    /// Asks the host's compilers who they are.
    ///
    /// # Errors
    /// [`ToolchainError::Host`] names the tool that is missing and how to get it.
    pub fn find() -> Result<Self, ToolchainError> {
        let mut versions = String::new();
        for (tool, argument) in [("cargo", "-vV"), ("rustc", "-vV"), ("cc", "--version")] {
            let output = Command::new(tool)
                .arg(argument)
                .output()
                .ok()
                .filter(|output| output.status.success())
                .ok_or(ToolchainError::Host { tool })?;
            versions.push_str(&String::from_utf8_lossy(&output.stdout));
        }
        Ok(Self { versions })
    }
}

/// There is no toolchain to compile with.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// A package has not been fetched.
    #[error("{pin} of the toolchain is not in the cache: fetch the lock's packages first")]
    Missing {
        /// The package.
        pin: String,
    },
    /// A package can't be unpacked.
    #[error("{pin} of the toolchain can't be unpacked: {source}")]
    Package {
        /// The package.
        pin: String,
        /// Why.
        source: UnpackError,
    },
    /// The links that scripts would have made.
    #[error("the toolchain's links can't be made: {source}")]
    Links {
        /// Why.
        source: UnpackError,
    },
    /// A compiler of the host is missing.
    #[error(
        "`{tool}` does not run on this machine, and --toolchain host needs it: install Rust and a C \
         compiler, or compile in the sandbox with --toolchain locked"
    )]
    Host {
        /// The program.
        tool: &'static str,
    },
    /// The cache refused.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The disk refused.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_below_usr_or_nowhere() {
        let cases = [
            ("lib/x86_64-linux-gnu/libc.so.6", Some("usr/lib/x86_64-linux-gnu/libc.so.6")),
            ("lib64", None),
            ("usr/bin/cc", Some("usr/bin/cc")),
            ("usr/share/doc/gcc/README", None),
            ("usr/shared", Some("usr/shared")),
            ("etc/passwd", None),
            ("var/lib/x", None),
        ];
        for (path, expected) in cases {
            let placed = place(&TreePath::parse(path).unwrap());
            assert_eq!(placed.as_ref().map(TreePath::as_str), expected, "{path}");
        }
    }
}
