//! `provision`: the domains and accounts of `mail.toml`, through the mail server's API.
//!
//! In: `appliance.json`, the secrets, a server that is starting. Out: what was missing is there.
//! Runs at every boot and only ever adds: passwords, quotas and accounts changed by hand stay.

use std::time::Duration;

use super::CommandError;
use crate::account_password;
use crate::api::{ADMINISTRATOR, Api, ApiError, NewPrincipal, Principal};
use crate::appliance::{Account, Address, Appliance};
use crate::deadline::Deadline;
use crate::journal;
use crate::layout::Layout;
use crate::password;
use crate::provisioning;
use crate::secrets::{SecretName, Secrets};

/// How long a server may take to answer; an emulated machine needs minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// The probe's mailbox holds one small message at a time; whoever else writes to it fills no disk.
const PROBE_QUOTA: u64 = 10 << 20;

/// Runs the command.
///
/// # Errors
/// [`CommandError::Provision`] when some could not be made; the others then are there.
pub fn run(layout: &Layout) -> Result<(), CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let secrets = Secrets::new(layout.secrets());
    let brought = Layout::credentials().map(Secrets::new);
    let password = |name: &SecretName| match &brought {
        Some(brought) => brought.read_written(name),
        None => Ok(None),
    };
    let api = Api::new(&appliance.api, &secrets.require(&SecretName::admin_password())?);
    api.wait(Deadline::after(PATIENCE))?;
    let mut failures = 0;
    let mut attempt = |name: &str, result: Result<(), CommandError>| {
        if let Err(error) = result {
            journal::error(&format!("{name}: {error}"));
            failures += 1;
        }
    };
    for domain in &appliance.domains {
        attempt(domain.name.as_str(), ensure_domain(&api, domain.name.as_str()));
    }
    for (domain, target) in provisioning::dangling_catch_alls(&appliance) {
        journal::warn(&format!("{domain}: its catch-all `{target}` is no account of mail.toml"));
    }
    for (index, account) in appliance.accounts.iter().enumerate() {
        let password = password(&SecretName::account_credential(index))?;
        let made = ensure_account(&api, &secrets, account, password.as_deref());
        attempt(account.address.as_str(), made);
    }
    let administrator = password(&SecretName::admin_password())?;
    attempt(ADMINISTRATOR, ensure_administrator(&api, &secrets, administrator.as_deref()));
    let probe = appliance.probe_address()?;
    attempt(probe.as_str(), ensure_probe(&api, &secrets, &probe));
    if failures > 0 { Err(CommandError::Provision(failures)) } else { Ok(()) }
}

fn ensure_domain(api: &Api, name: &str) -> Result<(), CommandError> {
    if find(api, name, "domain")?.is_some() {
        return Ok(());
    }
    api.create(&NewPrincipal {
        kind: "domain",
        name,
        description: name,
        emails: Vec::new(),
        secrets: Vec::new(),
        roles: Vec::new(),
        quota: 0,
    })?;
    journal::note(&format!("made the domain {name}"));
    Ok(())
}

/// A password that came as a file is the account's at each start; any other is its first one alone.
fn ensure_account(
    api: &Api,
    secrets: &Secrets,
    account: &Account,
    password: Option<&str>,
) -> Result<(), CommandError> {
    let address = &account.address;
    let existing = match find(api, address.as_str(), "individual")? {
        Some(principal) => {
            if let Some(password) = password.filter(|it| !is_password(&principal, it)) {
                account_password::set(api, secrets, address, password)?;
                journal::note(&format!("{address} has the password of its file"));
            }
            principal.emails.as_slice().to_vec()
        }
        None => {
            let hash = first_hash(secrets, address, password)?;
            create_account(api, address, &account.name, account.quota.unwrap_or(0), &hash)?;
            journal::note(&format!("made the account {address}"));
            vec![address.to_string()]
        }
    };
    let emails = provisioning::wanted_emails(account);
    for email in provisioning::missing_emails(&emails, &existing) {
        match api.add_email(address.as_str(), email) {
            Ok(()) => journal::note(&format!("{address} gets mail for {email}")),
            // An administrator gave it to somebody else; that is not ours to undo.
            Err(ApiError::Taken { .. }) => {
                journal::warn(&format!("{address} does not get {email}: another account has it"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The hash of the password that a new account gets.
fn first_hash(
    secrets: &Secrets,
    address: &Address,
    password: Option<&str>,
) -> Result<String, CommandError> {
    if let Some(password) = password {
        password::check(password)?;
        return Ok(password::hash(password)?);
    }
    match secrets.read(&SecretName::account_hash(address))? {
        Some(hash) => Ok(hash),
        // Kept before it is used: see `account_password`.
        None => Ok(password::hash(&account_password::initial(secrets, address)?)?),
    }
}

fn is_password(principal: &Principal, password: &str) -> bool {
    principal.secrets.as_slice().iter().any(|hash| password::verify(password, hash))
}

/// Where a file brought a password, or a seed the hash of one, the administrator is an account of
/// his own: the agent needs a password of the API in plain, and keeps the one that it has made for
/// itself.
fn ensure_administrator(
    api: &Api,
    secrets: &Secrets,
    password: Option<&str>,
) -> Result<(), CommandError> {
    let hash = match password {
        Some(password) => {
            password::check(password)?;
            Some(password::hash(password)?)
        }
        None => secrets.read(&SecretName::administrator_hash())?,
    };
    let Some(hash) = hash else { return Ok(()) };
    if let Some(principal) = find(api, ADMINISTRATOR, "individual")? {
        if password.is_some_and(|password| !is_password(&principal, password)) {
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
        return create_account(api, address, description, PROBE_QUOTA, &hash);
    };
    if !is_password(&principal, &password) {
        api.set_password_hash(address.as_str(), &password::hash(&password)?)?;
    }
    Ok(())
}

fn create_account(
    api: &Api,
    address: &Address,
    description: &str,
    quota: u64,
    hash: &str,
) -> Result<(), CommandError> {
    Ok(api.create(&NewPrincipal {
        kind: "individual",
        name: address.as_str(),
        description,
        emails: vec![address.as_str()],
        secrets: vec![hash],
        roles: vec!["user"],
        quota,
    })?)
}

/// A name can be taken by another kind of principal, a list for example.
fn find(api: &Api, name: &str, kind: &str) -> Result<Option<Principal>, CommandError> {
    match api.principal(name)? {
        Some(principal) if principal.kind != kind => {
            Err(ApiError::Taken { value: name.to_owned() }.into())
        }
        other => Ok(other),
    }
}
