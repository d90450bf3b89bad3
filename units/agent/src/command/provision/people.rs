//! Passwords of accounts, and the two accounts that no `mail.toml` names: the administrator's own and
//! the health check's.
//!
//! In: files that systemd hands over, and the secrets. Out: accounts whose passwords are those.

use super::{create_account, find, is_password};
use crate::account_password;
use crate::api::{ADMINISTRATOR, Api, NewPrincipal, Principal};
use crate::appliance::{Address, Appliance};
use crate::command::CommandError;
use crate::journal;
use crate::password;
use crate::secrets::{SecretName, Secrets};

/// The probe's mailbox holds one small message at a time; whoever else writes to it fills no disk.
const PROBE_QUOTA: u64 = 10 << 20;

/// What came as files of their own, as a NixOS host has them.
pub(super) struct Given {
    folder: Option<Secrets>,
}

/// A password of which a file has counts at each start.
enum Password {
    Plain(String),
    Hash(String),
}

impl Given {
    pub(super) fn new(folder: Option<Secrets>) -> Self {
        Self { folder }
    }

    fn read(
        &self,
        plain: &SecretName,
        hash: &SecretName,
    ) -> Result<Option<Password>, CommandError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        if let Some(password) = folder.read_written(plain)? {
            password::check(&password)?;
            return Ok(Some(Password::Plain(password)));
        }
        let Some(hash) = folder.read_written(hash)? else { return Ok(None) };
        password::check_hash(&hash)?;
        Ok(Some(Password::Hash(hash)))
    }

    fn of_account(&self, index: usize) -> Result<Option<Password>, CommandError> {
        let plain = SecretName::account_credential(index);
        self.read(&plain, &SecretName::account_hash_credential(index))
    }

    fn of_administrator(&self) -> Result<Option<Password>, CommandError> {
        self.read(&SecretName::admin_password(), &SecretName::admin_hash())
    }
}

impl Password {
    fn is_of(&self, principal: &Principal) -> bool {
        match self {
            Self::Plain(password) => is_password(principal, password),
            Self::Hash(hash) => principal.secrets.as_slice().contains(hash),
        }
    }

    fn hash(&self) -> Result<String, CommandError> {
        match self {
            Self::Plain(password) => Ok(password::hash(password)?),
            Self::Hash(hash) => Ok(hash.clone()),
        }
    }
}

/// The hash of the password that a new account gets.
pub(super) fn first_hash(
    secrets: &Secrets,
    given: &Given,
    address: &Address,
    index: usize,
) -> Result<String, CommandError> {
    if let Some(password) = given.of_account(index)? {
        return password.hash();
    }
    match secrets.read(&SecretName::account_hash(address))? {
        Some(hash) => Ok(hash),
        // Kept before it is used: see `account_password`.
        None => Ok(password::hash(&account_password::initial(secrets, address)?)?),
    }
}

/// A password that came as a file is the account's at each start; any other is its first one alone.
pub(super) fn ensure_password(
    api: &Api,
    secrets: &Secrets,
    given: &Given,
    address: &Address,
    index: usize,
) -> Result<(), CommandError> {
    let Some(password) = given.of_account(index)? else { return Ok(()) };
    let name = address.as_str();
    let Some(principal) = find(api, name, "individual")? else { return Ok(()) };
    if password.is_of(&principal) {
        return Ok(());
    }
    api.set_password_hash(name, &password.hash()?)?;
    secrets.remove(&SecretName::account_hash(address))?;
    secrets.remove(&SecretName::account(address))?;
    journal::note(&format!("{name} has the password of its file"));
    Ok(())
}

/// The administrator and the probe; returns how many of them failed.
pub(super) fn ensure(
    api: &Api,
    secrets: &Secrets,
    given: &Given,
    appliance: &Appliance,
) -> Result<usize, CommandError> {
    let probe = appliance.probe_address()?;
    let done = [
        (ADMINISTRATOR, ensure_administrator(api, secrets, given)),
        (probe.as_str(), ensure_probe(api, secrets, &probe)),
    ];
    let mut failures = 0;
    for (name, result) in done {
        if let Err(error) = result {
            journal::error(&format!("{name}: {error}"));
            failures += 1;
        }
    }
    Ok(failures)
}

/// Where a file brought a password, or a seed the hash of one, the administrator is an account of
/// his own: the agent needs a password of the API in plain, and keeps the one that it has made for
/// itself.
fn ensure_administrator(api: &Api, secrets: &Secrets, given: &Given) -> Result<(), CommandError> {
    let brought = given.of_administrator()?;
    let hash = match &brought {
        Some(password) => Some(password.hash()?),
        None => secrets.read(&SecretName::administrator_hash())?,
    };
    let Some(hash) = hash else { return Ok(()) };
    if let Some(principal) = find(api, ADMINISTRATOR, "individual")? {
        if brought.is_some_and(|password| !password.is_of(&principal)) {
            api.set_password_hash(ADMINISTRATOR, &hash)?;
            journal::note("the administrator has the password of the file");
        }
        return Ok(());
    }
    api.create(&NewPrincipal {
        kind: "individual",
        name: ADMINISTRATOR,
        description: "Administrator",
        emails: Vec::new(),
        secrets: vec![&hash],
        roles: vec!["admin"],
        quota: 0,
    })?;
    journal::note("made the account of the administrator");
    Ok(())
}

/// The account of the health check: its password is what the agent has kept.
fn ensure_probe(api: &Api, secrets: &Secrets, address: &Address) -> Result<(), CommandError> {
    let password = secrets.require(&SecretName::probe_password())?;
    let Some(principal) = find(api, address.as_str(), "individual")? else {
        let description = "Checks that mail works; see `mailkiln-agent health`";
        let hash = password::hash(&password)?;
        return create_account(api, address.as_str(), description, PROBE_QUOTA, &hash);
    };
    if !is_password(&principal, &password) {
        api.set_password_hash(address.as_str(), &password::hash(&password)?)?;
    }
    Ok(())
}
