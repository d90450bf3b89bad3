//! Addresses that every domain must have.
//!
//! In: the domains and the accounts as the file has them. Out: the same accounts, the first one
//! with the role addresses that nobody claimed.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::domain_name::DomainName;
use crate::model::Account;

/// The local parts that reach a person at every domain: `postmaster` is demanded by RFC 5321,
/// 4.5.1, `abuse` by RFC 2142, 4 and by everybody who runs a block list.
pub const ROLES: [&str; 2] = ["postmaster", "abuse"];

/// Gives the role addresses that no account claims to the first account, after its own aliases, in
/// the order of the domains. Without an account nothing happens.
pub(crate) fn assign(domains: &[DomainName], accounts: &mut [Account]) {
    let mut claimed: BTreeSet<Address> = BTreeSet::new();
    for account in &*accounts {
        claimed.insert(account.address.clone());
        claimed.extend(account.aliases.iter().cloned());
    }
    let Some(first) = accounts.first_mut() else { return };
    let wanted = domains
        .iter()
        .flat_map(|domain| ROLES.into_iter().map(move |role| Address::of_role(role, domain)));
    first.aliases.extend(wanted.filter(|address| !claimed.contains(address)));
}
