//! A new seed for a `mail.toml`.

use std::collections::BTreeMap;

use mailkiln_spec::{Address, Spec};

use crate::{
    Acme, DkimKeys, Passwords, Secret, Seed, SeedError, Ssh, account_key, host_key, password,
};

/// Makes the keys of everything that `spec` has, and hashes the passwords that are given.
///
/// # Errors
/// [`SeedError::NoAccount`] for a password of somebody else; [`SeedError::NotMade`].
pub fn make(spec: &Spec, passwords: &Passwords) -> Result<Seed, SeedError> {
    let is_account = |address: &Address| spec.accounts.iter().any(|it| it.address == *address);
    if let Some(stranger) = passwords.accounts.keys().find(|address| !is_account(address)) {
        return Err(SeedError::NoAccount(stranger.to_string()));
    }
    let hashed =
        |(address, password): (&Address, &Secret)| Ok((address.clone(), password::hash(password)?));
    let keys = |domain: &mailkiln_spec::Domain| Ok((domain.name.clone(), DkimKeys::generate()?));
    let host_key = match &spec.ssh {
        Some(_) => Some(host_key::generate(spec.host.name.as_str())?),
        None => None,
    };
    Ok(Seed {
        host: spec.host.name.clone(),
        admin: passwords.admin.as_ref().map(password::hash).transpose()?,
        accounts: passwords.accounts.iter().map(hashed).collect::<Result<BTreeMap<_, _>, _>>()?,
        dkim: spec.domains.iter().map(keys).collect::<Result<_, _>>()?,
        acme_account_key: Some(account_key::generate()?),
        acme: Acme::default(),
        ssh: Ssh { keys: Vec::new(), host_key },
        wifi: Vec::new(),
        network: None,
    })
}
