//! The arguments of `build` that take a NixOS system.

use std::path::PathBuf;

use clap::Args;

/// A NixOS system to build from, and where it is.
#[derive(Debug, Args)]
pub struct ClosureArguments {
    /// Take this NixOS system instead of making one from mail.toml: a path of a Nix store, or a link to one as ./result
    #[arg(long, value_name = "PATH", conflicts_with_all = ["file", "config", "toolchain"])]
    pub closure: Option<PathBuf>,
    /// Where its store paths are: binary caches by https://, http:// or file:/// address, asked in this order; or the folder
    /// that another nix/store is in [default: this machine's /nix/store]
    #[arg(long, value_name = "CACHE", requires = "closure")]
    pub from: Vec<String>,
    /// A public key that may sign what comes from a cache (--from, --units-from), as NAME:BASE64; may be given several times
    #[arg(long, visible_alias = "trusted-key", value_name = "KEY")]
    pub trusted_public_key: Vec<String>,
}
