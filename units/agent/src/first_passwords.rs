//! The passwords that this device made for itself on its first boot: who may see them, and until when.
//!
//! In: for how long the appliance has run. Out: whether they may still be shown, and whether those
//! that nobody has used end now. Time is counted while the appliance runs, not by its clock: a board
//! without one jumps by months when it finds the network, and must not lock anybody out for that.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account_password::{self, AccountPasswordError};
use crate::api::Api;
use crate::appliance::{Address, Appliance, NameError};
use crate::deadline::Deadline;
use crate::durable::{self, DurableError};
use crate::imap::Inbox;
use crate::password::{self, PasswordError};
use crate::secrets::{SecretError, SecretName, Secrets};
use crate::tls::{Connection, TlsError};

/// Consoles show first passwords for so long.
pub const SHOWN: Duration = Duration::from_secs(60 * 60);
/// After so long their owners are reminded by mail.
pub const REMINDED: Duration = Duration::from_secs(5 * DAY);
/// After so long those that nobody has used end.
pub const ENDED: Duration = Duration::from_secs(7 * DAY);
/// What a boot counts at least, however short it was: else pulling the plug would stop the time.
const LEAST: Duration = Duration::from_secs(60);
const DAY: u64 = 24 * 60 * 60;
/// For looking into one mailbox.
const TIME: Duration = Duration::from_secs(30);

/// Why the first passwords of this device could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum FirstPasswordError {
    /// A secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The account.
    #[error(transparent)]
    Account(#[from] AccountPasswordError),
    /// Its name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its mailbox.
    #[error(transparent)]
    Mailbox(#[from] TlsError),
    /// A new one.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// What was done could not be kept.
    #[error(transparent)]
    Write(#[from] DurableError),
}

/// For how long the appliance has run with first passwords, kept across boots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Age {
    /// Seconds.
    seconds: u64,
    /// Accounts that were reminded.
    reminded: BTreeSet<String>,
}

impl Age {
    /// What was kept; without it, or when it is damaged, the time starts again.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`DurableError`].
    pub fn write(&self, path: &Path) -> Result<(), DurableError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        durable::write(path, text.as_bytes(), 0o644, None)
    }

    /// Counts a boot that has come as far as `ready`.
    pub fn boot(&mut self) {
        self.pass(LEAST);
    }

    /// Counts time that has passed.
    pub fn pass(&mut self, time: Duration) {
        self.seconds = self.seconds.saturating_add(time.as_secs());
    }

    /// Returns true while consoles may show first passwords.
    pub fn may_show(&self) -> bool {
        self.seconds < SHOWN.as_secs()
    }

    /// Returns true once passwords that nobody has used end.
    pub fn is_over(&self) -> bool {
        self.seconds >= ENDED.as_secs()
    }

    /// Returns true once the owner of `account` is to be reminded, and remembers that.
    pub fn reminds(&mut self, account: &str) -> bool {
        self.seconds >= REMINDED.as_secs() && self.reminded.insert(account.to_owned())
    }
}

/// Ends what is left of the first passwords. An account whose mailbox shows that its owner was there
/// keeps its password, and only the copy of it goes; one that nobody has opened gets a password that
/// nobody knows. The administrator's is made anew at the next start, by `prepare`.
///
/// # Errors
/// [`FirstPasswordError`] of the last account that failed; it is tried again.
pub fn end(
    appliance: &Appliance,
    api: &Api,
    secrets: &Secrets,
    certificate: &[u8],
) -> Result<Vec<String>, FirstPasswordError> {
    let (mut done, mut failure) = (Vec::new(), None);
    for name in secrets.initial_passwords()? {
        match end_one(appliance, api, secrets, certificate, &name) {
            Ok(line) => done.push(line),
            Err(error) => failure = Some(error),
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    if secrets.read(&SecretName::administrator_hash())?.is_none() {
        secrets.write(&SecretName::administrator_expired(), "yes")?;
        done.push("the administrator's first password ends with the next start".to_owned());
    }
    // Last: what could not be ended is tried again.
    secrets.write(&SecretName::acknowledged(), "yes")?;
    Ok(done)
}

fn end_one(
    appliance: &Appliance,
    api: &Api,
    secrets: &Secrets,
    certificate: &[u8],
    name: &SecretName,
) -> Result<String, FirstPasswordError> {
    let (Some(account), Some(first)) = (name.account_address(), secrets.read(name)?) else {
        secrets.remove(name)?;
        return Ok(format!("removed {}, which was not a password", name.as_str()));
    };
    let address = Address::try_from(account)?;
    let principal = api.principal(address.as_str()).map_err(AccountPasswordError::Api)?;
    let is_current = principal.is_some_and(|principal| {
        principal.secrets.as_slice().iter().any(|hash| password::verify(&first, hash))
    });
    if !is_current {
        secrets.remove(name)?;
        return Ok(format!("{address} has another password already"));
    }
    let (at, deadline) = (appliance.loopback.imaps, Deadline::after(TIME));
    let connection = Connection::open(at, &appliance.host, certificate, deadline)?;
    let mut inbox = Inbox::open(connection, address.as_str(), &first)?;
    let was_used = inbox.was_used()?;
    inbox.close()?;
    if was_used {
        secrets.remove(name)?;
        return Ok(format!("{address} uses its first password, which is no longer kept here"));
    }
    account_password::set(api, secrets, &address, &password::generate()?)?;
    Ok(format!(
        "the first password of {address} was never used and has ended; \
         `mailkiln-agent password {address}` sets a new one"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_five_days_seven_days_of_running() {
        let mut age = Age::default();
        age.boot();
        assert!(age.may_show() && !age.reminds("a") && !age.is_over());
        age.pass(SHOWN);
        assert!(!age.may_show());
        age.pass(REMINDED);
        assert!(age.reminds("a") && !age.reminds("a") && age.reminds("b") && !age.is_over());
        age.pass(ENDED);
        assert!(age.is_over());
    }

    #[test]
    fn pulling_the_plug_does_not_stop_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("age");
        for _ in 0..60 {
            let mut age = Age::read(&path);
            assert!(age.may_show());
            age.boot();
            age.write(&path).unwrap();
        }
        assert!(!Age::read(&path).may_show());
        // Damage shows them again rather than never: whoever damages it could read them too.
        fs::write(&path, "{").unwrap();
        assert_eq!(Age::read(&path), Age::default());
    }
}
