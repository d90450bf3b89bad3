//! Which domains and accounts have to be there, and what of them is missing.
//!
//! In: the appliance's description and what the server has. Out: additions, never removals: what
//! an administrator added or changed by hand stays. Pure; `command::provision` carries it out.

use crate::appliance::{Account, Appliance, Domain};

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
    let has = |email: &str| existing.iter().any(|existing| existing.eq_ignore_ascii_case(email));
    wanted.iter().map(String::as_str).filter(|email| !has(email)).collect()
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
mod tests {
    use super::*;
    use crate::appliance::tests::example;

    #[test]
    fn addresses_of_accounts() {
        let mut appliance = example();
        // alice is the catch-all of example.org, and owns no more of it for that.
        assert_eq!(
            wanted_emails(&appliance.accounts[0]),
            ["alice@example.org", "postmaster@example.org"]
        );
        assert_eq!(wanted_emails(&appliance.accounts[1]), ["bob@example.net"]);
        // A catch-all may name an alias.
        appliance.domains[1].catch_all = Some(appliance.postmaster.clone());
        assert_eq!(dangling_catch_alls(&appliance), []);
        appliance.accounts.clear();
        assert_eq!(
            dangling_catch_alls(&appliance),
            [("example.org", "alice@example.org"), ("example.net", "postmaster@example.org")]
        );
    }

    #[test]
    fn only_what_is_missing() {
        let wanted = ["a@x.org", "b@x.org", "@x.org"].map(str::to_owned);
        let has = ["B@x.org", "by-hand@x.org"].map(str::to_owned);
        assert_eq!(missing_emails(&wanted, &has), ["a@x.org", "@x.org"]);
        assert_eq!(missing_emails(&wanted, &wanted), Vec::<&str>::new());
    }
}
