//! What real Nix makes of what is written: values, units, refusals.
//!
//! `MAILKILN_NIX` names the folder of its commands (`tests/nix/unpack` makes one). Without it these tests judge nothing
//! and say so; where CI is set that is a failure. nixpkgs is not needed: `tests/nix/stub.nix` stands in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it stands")]
#![allow(clippy::print_stderr, reason = "a test that judges nothing says so")]

mod hosts;
mod schema;
mod specs;
mod surroundings;
mod systemd;
mod units;
mod values;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use tempfile::TempDir;

/// Real Nix, and a folder for what it reads.
struct Nix {
    commands: PathBuf,
    folder: TempDir,
}

/// What Nix made of an expression, or why nothing.
type Evaluated = Result<Json, String>;

impl Nix {
    /// `None` where there is none, which on CI is a failure.
    fn here() -> Option<Self> {
        match std::env::var_os("MAILKILN_NIX") {
            Some(commands) => {
                Some(Self { commands: commands.into(), folder: TempDir::new().unwrap() })
            }
            None => {
                assert!(std::env::var_os("CI").is_none(), "set MAILKILN_NIX: see tests/nix/unpack");
                eprintln!("*** SKIPPED: MAILKILN_NIX is not set, so nothing is evaluated ***");
                None
            }
        }
    }

    /// Evaluates an expression to JSON.
    fn json(&self, expression: &str) -> Evaluated {
        let file = self.folder.path().join("expression.nix");
        std::fs::write(&file, expression).unwrap();
        let output = Command::new(self.commands.join("nix-instantiate"))
            .args(["--readonly-mode", "--eval", "--strict", "--json"])
            .arg(&file)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Evaluates `wanted` of a configuration in which `settings` are given, and `more` modules.
    fn configuration(&self, settings: &str, more: &str, wanted: &str) -> Evaluated {
        let given = format!(
            "{{ services.mailkiln = {{ enable = true; openFirewall = true; settings = {settings}; }}; }}"
        );
        self.evaluated(&given, more, wanted)
    }

    /// Evaluates `wanted` of the configuration that a host of this `mail.toml` gets, and `more` modules.
    fn host(&self, mail_toml: &str, more: &str, wanted: &str) -> Evaluated {
        let sources = mailkiln_nix::host(&toml::from_str(mail_toml).unwrap()).unwrap();
        let file = self.folder.path().join("configuration.nix");
        std::fs::write(&file, &sources[1].text).unwrap();
        self.evaluated(&file.display().to_string(), more, wanted)
    }

    fn evaluated(&self, given: &str, more: &str, wanted: &str) -> Evaluated {
        let (stub, modules) = (at("tests/nix/stub.nix"), at("modules"));
        let (stub, modules) = (stub.display(), modules.display());
        self.json(&format!(
            "let inherit (import {stub} {{ modules = [ {modules}/default.nix {given} {more} ]; }}) config; \
             in {wanted}"
        ))
    }
}

/// A place in the checkout.
fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).canonicalize().unwrap()
}
