//! Passwords of accounts on the running server.
//!
//! In: the API, the secrets, an address. Out: a password that works. An initial password is kept
//! before the account is made, so that a power cut cannot leave an account nobody can use.

use crate::api::{Api, ApiError};
use crate::appliance::Address;
use crate::password::{self, PasswordError};
use crate::secrets::{SecretError, SecretName, Secrets};

/// Why an account has no new password.
#[derive(Debug, thiserror::Error)]
pub enum AccountPasswordError {
    /// There is no such account.
    #[error("there is no account `{0}`; its login may be another of its addresses")]
    NoAccount(Address),
    /// The secret could not be kept.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The password could not be made or hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The server did not take it.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// The initial password of an account: the one kept earlier, or a new one that is kept now.
///
/// # Errors
/// [`AccountPasswordError`].
pub fn initial(secrets: &Secrets, address: &Address) -> Result<String, AccountPasswordError> {
    let name = SecretName::account(address);
    if let Some(password) = secrets.read(&name)? {
        return Ok(password);
    }
    let password = password::generate()?;
    secrets.write(&name, &password)?;
    Ok(password)
}

/// Sets the password of an existing account and forgets the initial one.
///
/// # Errors
/// [`AccountPasswordError`].
pub fn set(
    api: &Api,
    secrets: &Secrets,
    address: &Address,
    password: &str,
) -> Result<(), AccountPasswordError> {
    password::check(password)?;
    match api.principal(address.as_str())? {
        Some(principal) if principal.kind == "individual" => {}
        _ => return Err(AccountPasswordError::NoAccount(address.clone())),
    }
    api.set_password_hash(address.as_str(), &password::hash(password)?)?;
    secrets.remove(&SecretName::account_hash(address))?;
    Ok(secrets.remove(&SecretName::account(address))?)
}
