//! A unit: what `unit.toml` says of it, but for its services.

use serde::Deserialize;

use crate::service::Service;

/// A program of ours that runs on the appliance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// What locks, commands and folders call it: the name of its folder.
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    program: String,
    /// Its place in lists, and among the contents of an image: bytes depend on it, so a number that was given stays.
    pub order: u16,
    /// What it does, one line of Markdown for the README.
    pub summary: String,
    /// A few words for `--help` and packages.
    pub description: String,
    /// How it is compiled.
    pub build: Build,
    /// Scripts of others that are part of its program and no crates.
    #[serde(rename = "bundled", default)]
    pub bundled: Vec<Bundled>,
    /// What NixOS needs to know.
    #[serde(default)]
    pub nix: Nix,
    /// Its users.
    #[serde(rename = "user", default)]
    pub users: Vec<User>,
    /// Directories below `/var` or `/run` that several services share.
    #[serde(rename = "directory", default)]
    pub directories: Vec<Directory>,
    /// What systemd starts.
    #[serde(rename = "service", default)]
    pub services: Vec<Service>,
    /// The command that says whether it works.
    pub health: Option<Health>,
    /// How it is tested.
    #[serde(default)]
    pub tests: Tests,
}

/// How a unit is compiled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The folder of its Cargo workspace, relative to the repository: `units`, or its own.
    pub workspace: String,
    /// The package of the workspace that is built.
    pub package: String,
    /// The program that the package yields.
    pub binary: String,
    /// Whether it is linked statically: it runs where there is no library to load.
    #[serde(rename = "static", default)]
    pub is_static: bool,
    /// Where the program goes.
    #[serde(default)]
    pub place: Place,
    /// Whether a member of its workspace depends on crates of the builder: it is compiled with the builder's workspace
    /// beside its own.
    #[serde(default)]
    pub with_builder: bool,
    /// The published crate that it builds with the patches in `patches/`, if there is one.
    pub upstream: Option<String>,
}

/// A package of npm of which a file is part of the program, for the bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundled {
    /// Its name there.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, an SPDX expression.
    pub licence: String,
    /// Digest of the package's archive, in hexadecimal digits.
    pub sha256: String,
}

/// Where a program goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// `/usr/bin`.
    #[default]
    Bin,
    /// The initrd, and not the root.
    Initrd,
}

/// What NixOS needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nix {
    /// Whether another package with the same interface may take its place, which then says neither that it is ready
    /// nor that it has reloaded.
    #[serde(default)]
    pub foreign: bool,
    /// Its licences, by their names in nixpkgs; the repository's where there are none.
    #[serde(default)]
    pub licenses: Vec<String>,
    /// Whether the program says when it has reloaded.
    #[serde(default)]
    pub notifies_reload: bool,
}

/// A system user and the group of the same name and number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Name of the user and of its group.
    pub name: String,
    /// Number of both; part of `/var`'s layout, so it never changes and is never given again.
    pub id: u32,
    /// What it is for; the comment field of passwd.
    pub purpose: String,
    /// Its name on a NixOS host, where an image's could be somebody else's.
    pub nixos_name: Option<String>,
    /// Whether it is only there with a service that runs as it: it owns nothing.
    #[serde(default)]
    pub only_with_service: bool,
}

/// A directory that is made at boot and kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u16,
    /// Owner and group: a user of a unit, or `root`.
    pub owner: String,
    /// Whether all that is in it is given to them at each boot: it may come from a backup, or from a system with
    /// other numbers.
    #[serde(default)]
    pub whole: bool,
}

/// The command that says whether a unit works: it exits with 0 then.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The command line.
    pub command: String,
    /// Who runs it.
    pub user: String,
    /// Further groups that it takes.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// How a unit is tested.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tests {
    /// The folder below the unit's with a script `run` that tests the program on loopback.
    pub folder: Option<String>,
    /// The units whose programs `run` takes, in its order.
    #[serde(default)]
    pub programs: Vec<String>,
}

/// Why a `unit.toml` can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not TOML, or not these keys.
    #[error("units/{unit}/unit.toml: {problem}")]
    Syntax {
        /// The unit.
        unit: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// A value that can't be.
    #[error("units/{unit}/unit.toml: {what}; {cure}")]
    Value {
        /// The unit.
        unit: String,
        /// What is wrong.
        what: String,
        /// What to write.
        cure: &'static str,
    },
}

impl Unit {
    /// Reads the `unit.toml` of the folder `name`.
    ///
    /// # Errors
    /// [`UnitError`] names the unit and what to write.
    pub fn read(name: &str, text: &str) -> Result<Self, UnitError> {
        let read: Self = toml::from_str(text).map_err(|error| UnitError::Syntax {
            unit: name.to_owned(),
            problem: error.to_string(),
        })?;
        let program = format!("/usr/bin/{}", read.build.binary);
        let unit = Self { name: name.to_owned(), program, ..read };
        crate::rules::alone(&unit)?;
        Ok(unit)
    }

    /// The absolute path of its program on an image.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Whether it is a member of a workspace that other units share.
    pub fn shares_workspace(&self) -> bool {
        self.build.workspace != format!("units/{}", self.name)
    }
}
