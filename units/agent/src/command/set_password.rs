//! `password ADDRESS`: a new password for an account, or for the administrator (`admin`).
//!
//! In: the address, and the password on standard input or none. Out: the random password on
//! standard output, for the person who asked; nothing when it was given.

use super::{CommandError, print, read_secret};
use crate::account_password;
use crate::api::{ADMINISTRATOR, Api};
use crate::appliance::{Address, Appliance};
use crate::layout::Layout;
use crate::password;
use crate::secrets::{SecretName, Secrets};

/// Runs the command.
///
/// # Errors
/// [`CommandError`] when there is no such account or the server does not take the password.
pub(super) fn run(layout: &Layout, who: &str, from_stdin: bool) -> Result<(), CommandError> {
    let secrets = Secrets::new(layout.secrets());
    let new = if from_stdin { read_secret()? } else { password::generate()? };
    password::check(&new)?;
    if who == ADMINISTRATOR {
        administrator(layout, &secrets, &new)?;
    } else {
        let appliance = Appliance::read(&layout.appliance())?;
        let api = Api::new(&appliance.api, &secrets.require(&SecretName::admin_password())?);
        account_password::set(&api, &secrets, &Address::try_from(who.to_owned())?, &new)?;
    }
    if from_stdin { Ok(()) } else { print(&format!("{new}\n")) }
}

/// Where a seed brought a password, it is that of an account. Else the server has read the old hash
/// when it started, so it has to start again.
fn administrator(layout: &Layout, secrets: &Secrets, password: &str) -> Result<(), CommandError> {
    let hash = password::hash(password)?;
    let own = SecretName::administrator_hash();
    if secrets.read(&own)?.is_some() {
        let appliance = Appliance::read(&layout.appliance())?;
        let api = Api::new(&appliance.api, &secrets.require(&SecretName::admin_password())?);
        // Without the account yet, `provision` makes it with this hash.
        if api.principal(ADMINISTRATOR)?.is_some() {
            api.set_password_hash(ADMINISTRATOR, &hash)?;
        }
        return Ok(secrets.write(&own, &hash)?);
    }
    // The password decides: `prepare` makes a hash again that does not fit it.
    secrets.write(&SecretName::admin_password(), password)?;
    secrets.write(&SecretName::admin_hash(), &hash)?;
    crate::journal::note("run `systemctl restart mail-server` to make it count");
    Ok(())
}
