//! The arguments of `lock` and `cache`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `mailkiln lock`.
#[derive(Debug, Args)]
pub struct LockArguments {
    /// Update all packages from Debian's signed indexes; with the name of a package or a source
    /// (`linux`), update only that source's packages and what they require
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    pub update: Option<Option<String>>,
    /// With --update: update only packages with a newer version in Debian's security archive
    #[arg(long, requires = "update")]
    pub security: bool,
    /// With --update: update the compilers too, which recompiles every unit
    #[arg(long, requires = "update")]
    pub toolchain: bool,
    /// Write nothing; fail if the lock does not fit this program or, with --update, if Debian has
    /// newer packages
    #[arg(long)]
    pub check: bool,
    /// Write nothing; list the known vulnerabilities of locked packages, from Debian's security tracker
    /// or a copy of its JSON in FILE; fail if a fixed version is available
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["update", "check"])]
    pub audit: Option<Option<PathBuf>>,
    /// The lock to create, update, check or audit
    #[arg(long, value_name = "FILE", default_value = "mailkiln.lock")]
    pub lock: PathBuf,
    /// The mirror to read the indexes from; their signatures are always checked
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// An archive that keeps every package: a URL with {archive} and {time} in it, stored in the
    /// lock and asked last
    #[arg(long, value_name = "URL")]
    pub snapshot_archive: Option<String>,
}

/// `mailkiln cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// List what is in the cache
    List,
    /// Remove files that the lock does not name and that were not used recently
    Prune(CachePruneArguments),
}

/// `mailkiln cache prune`.
#[derive(Debug, Args)]
pub struct CachePruneArguments {
    /// Keep files that were used in the last DAYS days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub older_than: u64,
    /// Then remove the least recently used files until MB megabytes are left
    #[arg(long, value_name = "MB")]
    pub max_size: Option<u64>,
    /// Remove everything, even files that the lock names
    #[arg(long, conflicts_with_all = ["older_than", "max_size"])]
    pub all: bool,
    /// The lock whose files are kept [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
}
