//! What has to change so that the server has what `mail.toml` declares.
//!
//! In: the appliance's description, what earlier runs made ([`Record`]), what the server has. Out:
//! steps in their order. What an administrator made by hand is in none of them. Pure;
//! `command::provision` carries the steps out, or prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::api::Principal;
use crate::appliance::{Account, Appliance, Domain, RemovedMail};
use crate::provisioned::{AccountRecord, Record};

/// What a suspended account must not do: sign in, and send from a session that is still open.
pub const SUSPENDED: [&str; 2] = ["authenticate", "email-send"];

/// A quota that no message fits into: mail to the account waits in the queue.
pub const SUSPENDED_QUOTA: u64 = 1;

const DAY: i64 = 24 * 60 * 60;

/// What the server has of what is declared or recorded.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Names of domains.
    pub domains: BTreeSet<String>,
    /// Accounts by address.
    pub accounts: BTreeMap<String, Principal>,
}

/// One change. Accounts are named by their addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes a domain.
    MakeDomain(String),
    /// Forgets an account that was deleted by hand after it had been taken out of `mail.toml`.
    Forget(String),
    /// Refuses the sign-in of an account that is no longer declared.
    Suspend {
        /// The account.
        account: String,
        /// What becomes of its mail.
        mail: RemovedMail,
        /// When it is deleted, in seconds since 1970.
        delete: Option<i64>,
    },
    /// Takes an address from an account.
    RemoveEmail {
        /// The account.
        account: String,
        /// The address.
        email: String,
    },
    /// Makes an account: the one at this place of `mail.toml`.
    MakeAccount {
        /// The account.
        account: String,
        /// Counted from 0.
        index: usize,
    },
    /// Gives a suspended account back what it had.
    Resume(String),
    /// Sets the name that recipients see.
    SetName {
        /// The account.
        account: String,
        /// The new name; empty for none.
        name: String,
    },
    /// Sets the quota.
    SetQuota {
        /// The account.
        account: String,
        /// Bytes; `None` for no limit.
        quota: Option<u64>,
    },
    /// Gives an address to an account.
    AddEmail {
        /// The account.
        account: String,
        /// The address.
        email: String,
    },
    /// Deletes an account with its mail.
    DeleteAccount(String),
    /// Deletes a domain that nobody uses any more.
    DeleteDomain(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDomain(name) => write!(f, "create the domain {name}"),
            Self::Forget(account) => write!(f, "forget {account}, which was deleted by hand"),
            Self::Suspend { account, mail, delete } => {
                let mail = match mail {
                    RemovedMail::Refuse => "refused",
                    RemovedMail::Defer => "deferred",
                };
                write!(f, "suspend {account}: no sign-in, new mail is {mail}, its mail is kept")?;
                match delete {
                    Some(at) => write!(f, " until {}", day(*at)),
                    None => Ok(()),
                }
            }
            Self::RemoveEmail { account, email } => {
                write!(f, "{account} no longer has the address {email}")
            }
            Self::MakeAccount { account, .. } => write!(f, "create the account {account}"),
            Self::Resume(account) => {
                write!(f, "resume {account}: it has its addresses and its mail again")
            }
            Self::SetName { account, name } => write!(f, "{account}: name {name:?}"),
            Self::SetQuota { account, quota: Some(bytes) } => {
                write!(f, "{account}: quota {bytes} bytes")
            }
            Self::SetQuota { account, quota: None } => write!(f, "{account}: no quota"),
            Self::AddEmail { account, email } => write!(f, "{account} gets the address {email}"),
            Self::DeleteAccount(account) => write!(f, "delete {account} and its mail"),
            Self::DeleteDomain(name) => {
                write!(f, "delete the domain {name}, once no address is in it")
            }
        }
    }
}

/// `2026-12-28`, in UTC.
fn day(at: i64) -> String {
    match time::OffsetDateTime::from_unix_timestamp(at) {
        Ok(at) => format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day()),
        Err(_) => at.to_string(),
    }
}

/// The steps from what the server has to what is declared; `now` is in seconds since 1970.
///
/// Addresses are taken away before others get them, and accounts are deleted last.
pub fn plan(appliance: &Appliance, record: &Record, found: &Found, now: i64) -> Vec<Step> {
    let mut steps: Vec<Step> = appliance
        .domains
        .iter()
        .map(|domain| domain.name.to_string())
        .filter(|name| !found.domains.contains(name))
        .map(Step::MakeDomain)
        .collect();
    let mut deletions = Vec::new();
    for (account, known) in &record.accounts {
        if !is_declared(appliance, account) {
            match removed(appliance, account, known, found.accounts.get(account), now) {
                Some(step @ Step::DeleteAccount(_)) => deletions.push(step),
                step => steps.extend(step),
            }
        }
    }
    let declared = || appliance.accounts.iter().enumerate();
    for (_, account) in declared() {
        steps.extend(surplus_emails(account, record, found));
    }
    for (index, account) in declared() {
        steps.extend(declared_account(index, account, record, found));
    }
    steps.extend(deletions);
    let gone = record.domains.iter().filter(|name| {
        found.domains.contains(*name)
            && !appliance.domains.iter().any(|domain| domain.name.as_str() == name.as_str())
    });
    steps.extend(gone.cloned().map(Step::DeleteDomain));
    steps
}

/// Whether `mail.toml` has an account of this address.
pub fn is_declared(appliance: &Appliance, account: &str) -> bool {
    appliance.accounts.iter().any(|declared| declared.address.as_str() == account)
}

/// What becomes of an account that is no longer declared.
fn removed(
    appliance: &Appliance,
    account: &str,
    known: &AccountRecord,
    found: Option<&Principal>,
    now: i64,
) -> Option<Step> {
    let account = account.to_owned();
    let Some(principal) = found else { return Some(Step::Forget(account)) };
    let grace = appliance.removed.grace_days.filter(|_| known.created);
    // A clock that ran ahead then, or runs behind now, only makes it longer.
    let since = known.suspended.as_ref().map(|suspended| suspended.since);
    let had = known.suspended.as_ref().map_or(0, |suspended| suspended.emails.len());
    let end = |since: i64| grace.map(|days| since.saturating_add(i64::from(days) * DAY));
    match since {
        Some(since) if is_suspended(principal, appliance.removed.mail, had) => {
            let over = end(since).is_some_and(|end| now >= end);
            over.then_some(Step::DeleteAccount(account))
        }
        _ => Some(Step::Suspend {
            account,
            mail: appliance.removed.mail,
            delete: end(since.unwrap_or(now)),
        }),
    }
}

/// `had` is how many addresses it had before.
fn is_suspended(principal: &Principal, mail: RemovedMail, had: usize) -> bool {
    let disabled = principal.disabled.as_slice();
    let has_none = principal.emails.as_slice().is_empty();
    let mail_is = match mail {
        RemovedMail::Refuse => has_none,
        RemovedMail::Defer => principal.quota == SUSPENDED_QUOTA && (had == 0 || !has_none),
    };
    mail_is && SUSPENDED.iter().all(|permission| disabled.iter().any(|it| it == permission))
}

/// Addresses that were declared and no longer are. Those given by hand are not among them.
fn surplus_emails(account: &Account, record: &Record, found: &Found) -> Vec<Step> {
    let name = account.address.to_string();
    let (Some(known), Some(principal)) = (record.accounts.get(&name), found.accounts.get(&name))
    else {
        return Vec::new();
    };
    let wanted = wanted_emails(account);
    let surplus = known
        .aliases
        .iter()
        .filter(|email| !wanted.contains(email) && has(principal.emails.as_slice(), email));
    surplus.map(|email| Step::RemoveEmail { account: name.clone(), email: email.clone() }).collect()
}

fn declared_account(index: usize, account: &Account, record: &Record, found: &Found) -> Vec<Step> {
    let name = account.address.to_string();
    let wanted = wanted_emails(account);
    let give = |emails: &[String]| -> Vec<Step> {
        let missing = missing_emails(&wanted, emails).into_iter();
        missing
            .map(|email| Step::AddEmail { account: name.clone(), email: email.to_owned() })
            .collect()
    };
    let Some(principal) = found.accounts.get(&name) else {
        let mut steps = vec![Step::MakeAccount { account: name.clone(), index }];
        steps.extend(give(std::slice::from_ref(&name)));
        return steps;
    };
    let known = record.accounts.get(&name);
    let suspended = known.and_then(|known| known.suspended.as_ref());
    let mut steps = Vec::new();
    let (mut emails, mut quota) = (principal.emails.as_slice().to_vec(), principal.quota);
    if let (Some(suspended), Some(known)) = (suspended, known) {
        steps.push(Step::Resume(name.clone()));
        emails = suspended.emails.clone();
        emails.retain(|email| !known.aliases.contains(email) || wanted.contains(email));
        quota = suspended.quota;
    }
    // What is not declared is only reset where it was declared before.
    let was_named = known.is_some_and(|known| !known.name.is_empty());
    if principal.description != account.name && (!account.name.is_empty() || was_named) {
        steps.push(Step::SetName { account: name.clone(), name: account.name.clone() });
    }
    let declared = account.quota.filter(|bytes| *bytes > 0);
    let was_limited = known.is_some_and(|known| known.quota.is_some());
    if quota != declared.unwrap_or(0) && (declared.is_some() || was_limited) {
        steps.push(Step::SetQuota { account: name.clone(), quota: declared });
    }
    steps.extend(give(&emails));
    steps
}

/// What the record says of a declared account once all was tried; `principal` is what it then is. What
/// could not be taken back stays in it, for the next time.
pub fn recorded(
    account: &Account,
    created: bool,
    known: Option<&AccountRecord>,
    principal: &Principal,
) -> AccountRecord {
    let emails = principal.emails.as_slice();
    let mut aliases: Vec<String> = wanted_emails(account).into_iter().skip(1).collect();
    let (mut name, mut quota) = (account.name.clone(), account.quota.filter(|bytes| *bytes > 0));
    if let Some(known) = known {
        let others = known.aliases.iter().filter(|email| !wanted_emails(account).contains(email));
        aliases.extend(others.cloned());
        if name.is_empty() && principal.description == known.name {
            name.clone_from(&known.name);
        }
        quota = quota.or(known.quota.filter(|bytes| principal.quota == *bytes));
    }
    aliases.retain(|email| has(emails, email));
    AccountRecord { created, name, quota, aliases, suspended: None }
}

fn has(emails: &[String], email: &str) -> bool {
    emails.iter().any(|existing| existing.eq_ignore_ascii_case(email))
}

/// The addresses an account must have: its own and its aliases. Not `@DOMAIN`, the server's way to
/// spell a catch-all: it would let the account send as everybody of the domain. A catch-all is a rule
/// of the server's configuration.
pub fn wanted_emails(account: &Account) -> Vec<String> {
    let mut emails = Vec::new();
    for email in std::iter::once(&account.address).chain(&account.aliases).map(ToString::to_string)
    {
        if !emails.contains(&email) {
            emails.push(email);
        }
    }
    emails
}

fn catches_all(account: &Account, domain: &Domain) -> bool {
    domain
        .catch_all
        .as_ref()
        .is_some_and(|target| *target == account.address || account.aliases.contains(target))
}

/// What of `wanted` an account lacks, in order.
pub fn missing_emails<'a>(wanted: &'a [String], existing: &[String]) -> Vec<&'a str> {
    wanted.iter().map(String::as_str).filter(|email| !has(existing, email)).collect()
}

/// Catch-alls that point to nobody in `mail.toml`, as `(domain, target)`.
pub fn dangling_catch_alls(appliance: &Appliance) -> Vec<(&str, &str)> {
    let dangling = |domain: &&Domain| !appliance.accounts.iter().any(|a| catches_all(a, domain));
    let domains = appliance.domains.iter().filter(dangling);
    domains
        .filter_map(|domain| Some((domain.name.as_str(), domain.catch_all.as_ref()?.as_str())))
        .collect()
}

#[cfg(test)]
mod tests;
