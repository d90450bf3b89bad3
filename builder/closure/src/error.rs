//! What can be wrong with a closure, and with the system in it.

use std::io;
use std::path::PathBuf;

use mailkiln_fetch::FetchError;
use mailkiln_nix_store::{Fault, NarError};
use mailkiln_pin::Arch;

/// A closure can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// What was given is no store path.
    #[error(
        "`{0}` is not a path of a Nix store: name one like /nix/store/HASH-NAME, or a link to one such as ./result"
    )]
    NoStorePath(String),
    /// A local store does not have it.
    #[error(
        "{path} is not in {store}{}; copy it there with `nix copy`, or name a binary cache with --from", needed_by(referrer.as_deref())
    )]
    NotInStore {
        /// The store path.
        path: String,
        /// The folder of the store.
        store: PathBuf,
        /// What needs it.
        referrer: Option<String>,
    },
    /// The folder that should be a store can't be listed.
    #[error(
        "{store} can't be read as a Nix store: {source}; --from takes the folder that `nix/store` is in, or a cache's address"
    )]
    NoStore {
        /// The folder.
        store: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of a local store can't be read.
    #[error("can't read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A store path has something that no archive can hold.
    #[error("{path} can't be archived: {source}")]
    Archive {
        /// The store path.
        path: String,
        /// Why.
        source: NarError,
    },
    /// No cache has it.
    #[error("no cache has {path}{}; tried:\n  {}\nbring it there with `nix copy --to CACHE {path}`, or name another cache with --from", needed_by(referrer.as_deref()), tried.join("\n  "))]
    NotInCache {
        /// The store path.
        path: String,
        /// What needs it.
        referrer: Option<String>,
        /// Each cache's answer.
        tried: Vec<String>,
    },
    /// A cache has it, and it is not what it should be.
    #[error("{cache}: {fault}")]
    Refused {
        /// The cache.
        cache: String,
        /// What is wrong, with the cure.
        fault: Box<Fault>,
    },
    /// A cache can't be reached, or a download did not come to its end.
    #[error(
        "can't fetch {what}:\n  {}\ncheck the network and HTTP_PROXY, and run it again: what has arrived is kept. Or name another cache with --from",
        tried.join("\n  ")
    )]
    Unreachable {
        /// The store paths, or the cache.
        what: String,
        /// What each address answered.
        tried: Vec<String>,
    },
    /// A download was not what its record says, or could not be kept.
    #[error("{path} can't be fetched: {source}")]
    Fetch {
        /// The store path, or the cache.
        path: String,
        /// Why.
        source: Box<FetchError>,
    },
    /// A cache is for another store, or is none.
    #[error(
        "{cache} is not a binary cache for /nix/store: {why}; name one as https://HOST, http://HOST or file:///FOLDER"
    )]
    NoCache {
        /// The cache.
        cache: String,
        /// What is wrong.
        why: String,
    },
    /// A place in a store path is not what it should be.
    #[error("{path} has no content at `{place}`, where {wanted} is expected")]
    Lacking {
        /// The store path.
        path: String,
        /// The place in it.
        place: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// A file is larger than anything of its kind.
    #[error("{path} has {size} bytes, more than the {limit} that such a file may have")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Links lead out of the closure, or in a circle.
    #[error("`{path}` leads {way}: the system is not whole")]
    Link {
        /// The path that was followed.
        path: String,
        /// Where it leads.
        way: String,
    },
}

fn needed_by(referrer: Option<&str>) -> String {
    referrer.map_or_else(String::new, |referrer| format!(", and {referrer} refers to it"))
}

/// A closure holds no system that the target can boot.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// Its contents can't be had.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// It is no NixOS system.
    #[error(
        "{path} is not a NixOS system: it has no `{lacking}`; build one with `nix build .#nixosConfigurations.HOST.config.system.build.toplevel`"
    )]
    NoSystem {
        /// The store path.
        path: String,
        /// What it lacks.
        lacking: &'static str,
    },
    /// Its description can't be understood.
    #[error("{path}: {why}")]
    Description {
        /// The file.
        path: String,
        /// What is wrong, and the cure.
        why: String,
    },
    /// It is for other machines.
    #[error(
        "{path} is a system for {found}, and the target {target} is a machine with {wanted}: choose a target of that architecture with --target, or build the system for {wanted}-linux"
    )]
    Architecture {
        /// The store path, or the kernel.
        path: String,
        /// What it is for.
        found: String,
        /// The target.
        target: String,
        /// What the target is.
        wanted: Arch,
    },
    /// It wants something that only a running system can do.
    #[error("{path} {why}")]
    Unsupported {
        /// The file that says so.
        path: String,
        /// What it wants, and the cure.
        why: String,
    },
}
