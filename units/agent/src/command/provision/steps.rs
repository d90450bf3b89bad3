//! Carrying out the steps of a plan.
//!
//! In: a step. Out: the server has it, and the record says so. A step that fails has a line in the
//! journal and keeps no other from being carried out.

use std::path::PathBuf;

use super::people::{self, Given};
use super::{create_account, find};
use crate::api::{Api, ApiError, NewPrincipal};
use crate::appliance::{Address, Appliance, RemovedMail};
use crate::command::CommandError;
use crate::journal;
use crate::provisioned::{AccountRecord, Record, Suspension};
use crate::provisioning::{self, Found, SUSPENDED, SUSPENDED_QUOTA, Step};
use crate::secrets::{SecretName, Secrets};

/// All that carrying out needs, and what comes of it.
pub(super) struct Work<'a> {
    pub(super) appliance: &'a Appliance,
    pub(super) api: &'a Api,
    pub(super) secrets: &'a Secrets,
    pub(super) given: &'a Given,
    /// Whether accounts that are there already count as made by us.
    pub(super) adopts: bool,
    pub(super) record: Record,
    /// Where the record is kept.
    pub(super) path: PathBuf,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// How many steps failed.
    pub(super) failures: usize,
}

impl Work<'_> {
    /// Carries out one step.
    pub(super) fn carry_out(&mut self, step: &Step) {
        match self.attempt(step) {
            Ok(true) => journal::note(&step.to_string()),
            Ok(false) => {}
            Err(error) => {
                journal::error(&format!("{step}: {error}"));
                self.failures += 1;
            }
        }
    }

    /// Whether anything was done.
    fn attempt(&mut self, step: &Step) -> Result<bool, CommandError> {
        let api = self.api;
        match step {
            Step::MakeDomain(name) => self.make_domain(name)?,
            Step::Forget(account) => drop(self.record.accounts.remove(account)),
            Step::Suspend { account, mail, .. } => self.suspend(account, *mail)?,
            Step::Resume(account) => self.resume(account)?,
            Step::MakeAccount { account, index } => self.make_account(account, *index)?,
            Step::RemoveEmail { account, email } => api.remove_email(account, email)?,
            Step::AddEmail { account, email } => return self.add_email(account, email),
            Step::SetName { account, name } => api.set_description(account, name)?,
            Step::SetQuota { account, quota } => api.set_quota(account, *quota)?,
            Step::DeleteAccount(account) => {
                api.delete(account)?;
                if let Ok(address) = Address::try_from(account.clone()) {
                    self.secrets.remove(&SecretName::account(&address))?;
                    self.secrets.remove(&SecretName::account_hash(&address))?;
                }
                self.record.accounts.remove(account);
                self.record.write(&self.path)?;
            }
            Step::DeleteDomain(name) => return self.delete_domain(name),
        }
        Ok(true)
    }

    fn make_domain(&self, name: &str) -> Result<(), CommandError> {
        Ok(self.api.create(&NewPrincipal {
            kind: "domain",
            name,
            description: name,
            emails: Vec::new(),
            secrets: Vec::new(),
            roles: Vec::new(),
            quota: 0,
        })?)
    }

    /// Recorded only once it is made: what was there before, however late, is never deleted.
    fn make_account(&mut self, account: &str, index: usize) -> Result<(), CommandError> {
        let Some(declared) = self.appliance.accounts.get(index) else { return Ok(()) };
        let hash = people::first_hash(self.secrets, self.given, &declared.address, index)?;
        let quota = declared.quota.unwrap_or(0);
        create_account(self.api, account, &declared.name, quota, &hash)?;
        let known = AccountRecord { created: true, ..AccountRecord::default() };
        self.record.accounts.insert(account.to_owned(), known);
        Ok(self.record.write(&self.path)?)
    }

    fn add_email(&self, account: &str, email: &str) -> Result<bool, CommandError> {
        match self.api.add_email(account, email) {
            Ok(()) => Ok(true),
            // An administrator gave it to somebody else; that is not ours to undo.
            Err(ApiError::Taken { .. }) => {
                journal::warn(&format!("{account} does not get {email}: another account has it"));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What it had is recorded before it is taken away, so that nothing is lost with the power.
    fn suspend(&mut self, account: &str, mail: RemovedMail) -> Result<(), CommandError> {
        let Some(principal) = find(self.api, account, "individual")? else { return Ok(()) };
        let known = self.record.accounts.entry(account.to_owned()).or_default();
        let disabled = principal.disabled.as_slice();
        let suspended = known.suspended.get_or_insert_with(|| Suspension {
            since: self.now,
            emails: principal.emails.as_slice().to_vec(),
            quota: principal.quota,
            permissions: SUSPENDED
                .iter()
                .filter(|permission| !disabled.iter().any(|it| it == *permission))
                .map(ToString::to_string)
                .collect(),
        });
        let (permissions, emails) = (suspended.permissions.clone(), suspended.emails.clone());
        self.record.write(&self.path)?;
        // Not what an administrator had taken from it already: that stays taken.
        for permission in permissions {
            self.api.disable(account, &permission, true)?;
        }
        for email in principal.emails.as_slice() {
            if mail == RemovedMail::Refuse || self.is_wanted(email) {
                self.api.remove_email(account, email)?;
            }
        }
        if mail == RemovedMail::Defer {
            for email in emails.iter().filter(|email| !self.is_wanted(email)) {
                if !principal.emails.as_slice().contains(email) {
                    self.add_email(account, email)?;
                }
            }
            self.api.set_quota(account, Some(SUSPENDED_QUOTA))?;
        }
        Ok(())
    }

    /// Whether a declared account has this address.
    fn is_wanted(&self, email: &String) -> bool {
        let mut accounts = self.appliance.accounts.iter();
        accounts.any(|account| provisioning::wanted_emails(account).contains(email))
    }

    /// Aliases that are no longer declared do not come back.
    fn resume(&mut self, account: &str) -> Result<(), CommandError> {
        let Some(known) = self.record.accounts.get(account) else { return Ok(()) };
        let Some(suspended) = known.suspended.clone() else { return Ok(()) };
        let declared = self.appliance.accounts.iter();
        let mut declared = declared.filter(|declared| declared.address.as_str() == account);
        let wanted = declared.next().map(provisioning::wanted_emails).unwrap_or_default();
        let gone = |email: &String| known.aliases.contains(email) && !wanted.contains(email);
        let principal = find(self.api, account, "individual")?.unwrap_or_default();
        for email in suspended.emails.iter().filter(|email| !gone(email)) {
            if !principal.emails.as_slice().contains(email) {
                self.add_email(account, email)?;
            }
        }
        if principal.quota != suspended.quota {
            self.api.set_quota(account, Some(suspended.quota).filter(|quota| *quota > 0))?;
        }
        for permission in &suspended.permissions {
            self.api.disable(account, permission, false)?;
        }
        if let Some(known) = self.record.accounts.get_mut(account) {
            known.suspended = None;
        }
        Ok(self.record.write(&self.path)?)
    }

    /// Accounts made by hand, and those that wait for their end, keep it.
    fn delete_domain(&mut self, name: &str) -> Result<bool, CommandError> {
        let probe = format!("mailkiln-probe@{name}");
        let mut users = self.api.users_of_domain(name)?;
        users.retain(|user| *user != probe);
        if let Some(user) = users.first() {
            journal::note(&format!("the domain {name} stays: {user} has an address in it"));
            return Ok(false);
        }
        self.api.delete(&probe)?;
        self.api.delete(name)?;
        self.record.domains.remove(name);
        self.record.write(&self.path)?;
        Ok(true)
    }

    /// Its password, where a file brings one, and what the record says of it from now on.
    pub(super) fn finish_account(&mut self, index: usize, found: &Found) {
        let Some(account) = self.appliance.accounts.get(index) else { return };
        let name = account.address.to_string();
        let finished = self.finish(index, &name, found);
        if let Err(error) = finished {
            journal::error(&format!("{name}: {error}"));
            self.failures += 1;
        }
    }

    fn finish(&mut self, index: usize, name: &str, found: &Found) -> Result<(), CommandError> {
        let Some(account) = self.appliance.accounts.get(index) else { return Ok(()) };
        let Some(principal) = find(self.api, name, "individual")? else { return Ok(()) };
        let known = self.record.accounts.get(name);
        // A step that failed is to be tried again.
        if known.is_none_or(|known| known.suspended.is_none()) {
            let created = match known {
                Some(known) => known.created,
                None => self.adopts && found.accounts.contains_key(name),
            };
            let record = provisioning::recorded(account, created, known, &principal);
            self.record.accounts.insert(name.to_owned(), record);
        }
        people::ensure_password(self.api, self.secrets, self.given, &account.address, index)
    }
}
