//! `mailkiln seed new`: makes the keys that are published before the first boot, and the rest.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mailkiln_image::disk::SEED_ROOM;
use mailkiln_seed::{Passwords, Secret, Seed, generate_password, make};
use serde::Serialize;

use super::folder;
use crate::arguments::SeedNewArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::spec_file::{SpecFile, read_text};

/// Longest list of passwords on standard input, in bytes.
const LONGEST_LIST: u64 = 1 << 20;
/// Bytes that the DKIM keys of a domain take in a seed at least: 1.6 KiB of RSA and a little of Ed25519, as PEM.
const LEAST_KEYS: u64 = 1800;

/// Makes a seed.
pub(super) fn run(arguments: &SeedNewArguments, printer: &Printer) -> Result<(), Failure> {
    let spec = SpecFile::read_named(&arguments.config.config)?.spec;
    check_room(spec.domains.len())?;
    folder::check_empty(&arguments.directory)?;
    let mut passwords = match &arguments.passwords {
        Some(path) => Passwords::parse(&list(path)?).map_err(|error| Failure::input(&error))?,
        None => Passwords::default(),
    };
    let mut shown = None;
    // What programs read is kept in logs, so with --json the device makes the password and shows it.
    if passwords.admin.is_none() && !printer.is_json() {
        let password = generate_password().map_err(|error| Failure::work(&error))?;
        shown = Some(password.clone());
        passwords.admin = Some(password);
    }
    let seed = make(&spec, &passwords).map_err(|error| Failure::input(&error))?;
    folder::write(&arguments.directory, &seed)?;
    printer.result(&Made::of(arguments, spec.accounts.len(), &seed, shown))
}

/// Refuses, before any key is made, what has no room on the boot partition.
fn check_room(domains: usize) -> Result<(), Failure> {
    let most = SEED_ROOM / LEAST_KEYS;
    if domains as u64 <= most {
        return Ok(());
    }
    Err(Failure::Input {
        message: format!(
            "the DKIM keys of {domains} domains do not fit into a seed of {} KiB",
            SEED_ROOM >> 10
        ),
        causes: Vec::new(),
        hint: Some(format!(
            "without a seed the appliance makes all keys itself; with one, there can be {most} domains"
        )),
    })
}

/// The list of passwords, from a file or from standard input.
fn list(path: &Path) -> Result<String, Failure> {
    if path != Path::new("-") {
        return read_text(
            path,
            "`--passwords` names a file with an address, a blank and a password on each line; `-` is standard input",
        );
    }
    let mut text = String::new();
    io::stdin()
        .take(LONGEST_LIST)
        .read_to_string(&mut text)
        .map_err(Failure::file("read", "standard input".as_ref()))?;
    Ok(text)
}

/// What was made.
#[derive(Serialize)]
struct Made {
    directory: PathBuf,
    host: String,
    /// Domains with DKIM keys.
    domains: Vec<String>,
    /// Accounts with a password.
    accounts: Vec<String>,
    /// Whether the administrator has one.
    admin: bool,
    /// The device's SSH key, as a `known_hosts` file has it.
    ssh_host_key: Option<String>,
    ssh_fingerprint: Option<String>,
    #[serde(skip)]
    password: Option<Secret>,
    #[serde(skip)]
    others: usize,
    #[serde(skip)]
    config: PathBuf,
}

impl Made {
    fn of(
        arguments: &SeedNewArguments,
        accounts: usize,
        seed: &Seed,
        password: Option<Secret>,
    ) -> Self {
        Self {
            directory: arguments.directory.clone(),
            host: seed.host.to_string(),
            domains: seed.dkim.keys().map(ToString::to_string).collect(),
            accounts: seed.accounts.keys().map(ToString::to_string).collect(),
            admin: seed.admin.is_some(),
            ssh_host_key: seed.host_key_line(),
            ssh_fingerprint: seed.host_key_fingerprint(),
            password,
            others: accounts - seed.accounts.len(),
            config: arguments.config.config.clone(),
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.directory.display();
        writeln!(f, "The seed of {} is in {directory}. Keep it private.", self.host)?;
        match &self.password {
            Some(password) => writeln!(
                f,
                "  admin         password {}: write it down, only its hash is kept",
                password.expose()
            )?,
            None => writeln!(f, "  admin         the password that was given")?,
        }
        let people = match self.accounts.len() {
            0 => "the device makes the passwords and shows them".to_owned(),
            _ if self.others == 0 => format!("{}: passwords given", self.accounts.join(", ")),
            _ => format!(
                "{}: passwords given; the device makes the other {}",
                self.accounts.join(", "),
                self.others
            ),
        };
        writeln!(f, "  accounts      {people}")?;
        writeln!(f, "  DKIM          {}", self.domains.join(", "))?;
        if let Some(fingerprint) = &self.ssh_fingerprint {
            writeln!(f, "  SSH host key  {fingerprint}")?;
        }
        let config = match self.config.to_str() {
            Some("mail.toml") => String::new(),
            _ => format!(" -c {}", self.config.display()),
        };
        write!(
            f,
            "\nNext: mailkiln dns{config} --seed {directory}\n      \
             mailkiln flash --seed {directory} IMAGE DEVICE\n\
             Wi-Fi, a static network and SSH keys go into {directory}/seed.toml."
        )
    }
}
