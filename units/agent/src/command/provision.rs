//! `provision`: the domains and accounts of `mail.toml`, through the mail server's API.
//!
//! In: `appliance.json`, the secrets, what earlier runs made, a server that is starting. Out: the
//! server has what is declared. Runs at every boot and after every change of the configuration;
//! what an administrator made by hand stays.

use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;

use super::{CommandError, print};
use crate::api::{Api, ApiError, NewPrincipal, Principal};
use crate::appliance::Appliance;
use crate::deadline::Deadline;
use crate::journal;
use crate::layout::Layout;
use crate::password;
use crate::provisioned::Record;
use crate::provisioning::{self, Found};
use crate::secrets::{SecretName, Secrets};

mod people;
mod steps;
mod web;

use people::Given;
use steps::Work;

/// How long a server may take to answer; an emulated machine needs minutes.
const PATIENCE: Duration = Duration::from_secs(300);
/// A person who asks has a server that runs.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command.
///
/// # Errors
/// [`CommandError::Provision`] when something could not be changed; all else then is.
pub fn run(layout: &Layout) -> Result<(), CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    let secrets = Secrets::new(layout.secrets());
    let given = Given::new(Layout::credentials().map(Secrets::new));
    let api = Api::new(&appliance.api, &secrets.require(&SecretName::admin_password())?);
    api.wait(Deadline::after(PATIENCE))?;
    let known = Record::read(&layout.provisioned())?;
    let mut work = Work {
        appliance: &appliance,
        api: &api,
        secrets: &secrets,
        given: &given,
        // What was declared before there was a record was made by us.
        adopts: known.is_none(),
        record: known.unwrap_or_default(),
        path: layout.provisioned(),
        now: OffsetDateTime::now_utc().unix_timestamp(),
        failures: 0,
    };
    let found = look(&api, &appliance, &work.record)?;
    for step in provisioning::plan(&appliance, &work.record, &found, work.now) {
        work.carry_out(&step);
    }
    for (domain, target) in provisioning::dangling_catch_alls(&appliance) {
        journal::warn(&format!(
            "{domain}: its catch-all `{target}` is not an account of mail.toml"
        ));
    }
    for index in 0..appliance.accounts.len() {
        work.finish_account(index, &found);
    }
    work.record.domains.extend(appliance.domains.iter().map(|domain| domain.name.to_string()));
    work.record.write(&work.path)?;
    let failures = work.failures
        + people::ensure(&api, &secrets, &given, &appliance)?
        + web::ensure(&api, &appliance);
    if failures > 0 { Err(CommandError::Provision(failures)) } else { Ok(()) }
}

/// Prints what [`run`] would change; `other` is another description than the one in use.
///
/// # Errors
/// [`CommandError`] when the server or a file can't be asked.
pub fn print_plan(layout: &Layout, other: Option<PathBuf>) -> Result<(), CommandError> {
    let appliance = Appliance::read(&other.unwrap_or_else(|| layout.appliance()))?;
    let secrets = Secrets::new(layout.secrets());
    let api = Api::new(&appliance.api, &secrets.require(&SecretName::admin_password())?);
    api.wait(Deadline::after(SHORT_PATIENCE))?;
    let record = Record::read(&layout.provisioned())?.unwrap_or_default();
    let found = look(&api, &appliance, &record)?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let steps = provisioning::plan(&appliance, &record, &found, now);
    let mut text: String = steps.iter().map(|step| format!("{step}\n")).collect();
    if text.is_empty() {
        text.push_str("nothing to change\n");
    }
    print(&text)
}

/// What the server has of what is declared or recorded.
fn look(api: &Api, appliance: &Appliance, record: &Record) -> Result<Found, CommandError> {
    let mut found = Found::default();
    let declared = appliance.domains.iter().map(|domain| domain.name.as_str());
    for name in declared.chain(record.domains.iter().map(String::as_str)) {
        if there(find(api, name, "domain"))?.is_some() {
            found.domains.insert(name.to_owned());
        }
    }
    let declared = appliance.accounts.iter().map(|account| account.address.as_str());
    for name in declared.chain(record.accounts.keys().map(String::as_str)) {
        if let Some(principal) = there(find(api, name, "individual"))? {
            found.accounts.insert(name.to_owned(), principal);
        }
    }
    Ok(found)
}

/// A name that is taken by something else is not there: making it then fails, and says so.
fn there(
    found: Result<Option<Principal>, CommandError>,
) -> Result<Option<Principal>, CommandError> {
    match found {
        Err(CommandError::Api(ApiError::Taken { .. })) => Ok(None),
        other => other,
    }
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

fn create_account(
    api: &Api,
    name: &str,
    description: &str,
    quota: u64,
    hash: &str,
) -> Result<(), CommandError> {
    Ok(api.create(&NewPrincipal {
        kind: "individual",
        name,
        description,
        emails: vec![name],
        secrets: vec![hash],
        roles: vec!["user"],
        quota,
    })?)
}

fn is_password(principal: &Principal, password: &str) -> bool {
    principal.secrets.as_slice().iter().any(|hash| password::verify(password, hash))
}
