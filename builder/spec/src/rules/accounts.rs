//! `[[domain]]` and `[[account]]`: who gets which mail.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::{each, filter, limits, needed, parsed};
use crate::address::Address;
use crate::document::Located;
use crate::domain_name::DomainName;
use crate::file::{AccountTable, DomainTable, Text};
use crate::filter::FilterActions;
use crate::model::{Account, Domain};
use crate::problem::{Flaw, Problems, Reported, nearest, shown};
use crate::roles;

/// Sizes of a mailbox that make sense, in bytes.
const QUOTAS: RangeInclusive<u64> = 1 << 20..=1 << 50;
/// Longest display name in bytes.
const LONGEST_NAME: usize = 200;

/// Domains and accounts that belong together.
pub(super) struct People {
    pub(super) domains: Vec<Domain>,
    pub(super) accounts: Vec<Account>,
}

impl People {
    /// Whether mail to `address` would be ours to deliver, and nobody's to receive.
    pub(super) fn would_lose(&self, address: &Address) -> bool {
        let ours = self.domains.iter().find(|domain| domain.name == *address.domain());
        let has = |it: &Account| it.address == *address || it.aliases.contains(address);
        ours.is_some_and(|domain| domain.catch_all.is_none()) && !self.accounts.iter().any(has)
    }

    /// `postmaster@` the first domain.
    pub(super) fn postmaster(&self) -> Option<Address> {
        self.domains.first().map(|domain| Address::of_role("postmaster", &domain.name))
    }
}

pub(super) fn judge(
    domains: Option<Vec<Located<DomainTable>>>,
    accounts: Option<Vec<Located<AccountTable>>>,
    problems: &mut Problems,
) -> Result<People, Reported> {
    let Some(domains) = domains else { return Err(problems.absent(&(0..0), "domain")) };
    if domains.is_empty() {
        let flaw = Flaw::new(
            "there is no [[domain]]",
            "the list is empty",
            "add `[[domain]]` and below it `name = \"example.org\"`",
        );
        return Err(problems.add(flaw.at(&(0..0))));
    }
    let mut names = BTreeSet::new();
    let domains = each(Some(domains), |table| domain(table, &mut names, problems));
    // Without the whole list of domains, a foreign one can't be told from a refused one.
    let names = domains.is_ok().then_some(names);
    let mut claims = Claims { domains: names, owners: BTreeMap::new() };
    let accounts = each(accounts, |table| account(table, &mut claims, problems));
    let (domains, mut accounts) = (domains?, accounts?);
    let names: Vec<DomainName> = domains.iter().map(|domain| domain.value.name.clone()).collect();
    roles::assign(&names, &mut accounts);
    let domains = each(Some(domains), |found| catch_all(found, &accounts, problems))?;
    Ok(People { domains, accounts })
}

/// A domain whose catch-all was read but not yet compared with the accounts.
struct Found {
    name: DomainName,
    catch_all: Option<(Address, Text)>,
    filter: FilterActions,
}

fn domain(
    table: Located<DomainTable>,
    names: &mut BTreeSet<DomainName>,
    problems: &mut Problems,
) -> Result<Located<Found>, Reported> {
    let Located { value: table, span } = table;
    let catch_all = table
        .catch_all
        .map(|text| parsed::<Address>(&text, problems).map(|address| (address, text)))
        .transpose();
    let text = needed(table.name.as_ref(), &span, "domain.name", problems)?;
    let name: DomainName = parsed(text, problems)?;
    if !names.insert(name.clone()) {
        let flaw = Flaw::new(
            format!("the domain {name} is there twice"),
            "for the second time",
            "keep one [[domain]] of this name",
        );
        return Err(problems.add(flaw.at(&text.span)));
    }
    let filter = table.filter.map(|table| filter::actions(&table.value)).unwrap_or_default();
    Ok(Located { value: Found { name, catch_all: catch_all?, filter }, span })
}

/// The domain with its catch-all, if that exists.
fn catch_all(
    found: Located<Found>,
    accounts: &[Account],
    problems: &mut Problems,
) -> Result<Domain, Reported> {
    let Found { name, catch_all, filter } = found.value;
    let Some((address, text)) = catch_all else {
        return Ok(Domain { name, catch_all: None, filter });
    };
    let addresses =
        || accounts.iter().flat_map(|it| std::iter::once(&it.address).chain(&it.aliases));
    if addresses().any(|known| *known == address) {
        return Ok(Domain { name, catch_all: Some(address), filter });
    }
    let known: Vec<String> = addresses().map(Address::to_string).collect();
    let help = match nearest(&address.to_string(), known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "write the address of an account, or one of its aliases".to_owned(),
    };
    let message = format!("the catch-all `{address}` does not exist");
    Err(problems.add(Flaw::new(message, "no account has this address", help).at(&text.span)))
}

/// Which addresses are taken, and by whom.
struct Claims {
    /// Every domain of the file; `None` when some could not be read.
    domains: Option<BTreeSet<DomainName>>,
    /// The account whose address or alias it is.
    owners: BTreeMap<Address, String>,
}

impl Claims {
    /// The address, if it is of a known domain and free.
    fn claim(
        &mut self,
        text: &Text,
        owner: &str,
        problems: &mut Problems,
    ) -> Result<Address, Reported> {
        let address: Address = parsed(text, problems)?;
        if let Some(domains) = &self.domains
            && !domains.contains(address.domain())
        {
            return Err(problems.add(foreign(&address, domains).at(&text.span)));
        }
        if let Some(other) = self.owners.get(&address) {
            let flaw = Flaw::new(
                format!("the address `{address}` is there twice"),
                format!("it belongs to {other} already"),
                "give it to one account; an address can't reach two mailboxes",
            );
            return Err(problems.add(flaw.at(&text.span)));
        }
        self.owners.insert(address.clone(), owner.to_owned());
        Ok(address)
    }
}

fn foreign(address: &Address, domains: &BTreeSet<DomainName>) -> Flaw {
    let domain = address.domain().as_str();
    let help = match nearest(domain, domains.iter().map(DomainName::as_str)) {
        Some(meant) => format!("did you mean `{}@{meant}`?", address.local()),
        None => format!("add `[[domain]]` and below it `name = \"{domain}\"`"),
    };
    Flaw::new(format!("there is no [[domain]] for `{address}`"), "of another domain", help)
}

fn account(
    table: Located<AccountTable>,
    claims: &mut Claims,
    problems: &mut Problems,
) -> Result<Account, Reported> {
    let Located { value: table, span } = table;
    let name = match table.name {
        Some(text) => problems.check(&text.span, display_name(&text.value)),
        None => Ok(String::new()),
    };
    let quota = table.quota.map(|size| limits::bytes(&size, QUOTAS, "a quota", problems));
    let quota = quota.transpose();
    let address = needed(table.address.as_ref(), &span, "account.address", problems);
    let owner = address.map_or_else(|_| "another account".to_owned(), |text| shown(&text.value));
    let address = address.and_then(|text| claims.claim(text, &owner, problems));
    let aliases = each(table.aliases, |text| claims.claim(&text, &owner, problems));
    let any_sender = table.any_sender.is_some_and(|any| any.value);
    Ok(Account { address: address?, name: name?, aliases: aliases?, quota: quota?, any_sender })
}

fn display_name(name: &str) -> Result<String, Flaw> {
    let name = name.trim();
    if name.len() > LONGEST_NAME {
        let label = format!("{} bytes, {LONGEST_NAME} is the most", name.len());
        return Err(Flaw::new("this name is too long", label, "shorten it"));
    }
    if let Some(sign) = name.chars().find(|&sign| is_invisible(sign)) {
        return Err(Flaw::new(
            "this name holds a sign that changes how others are shown",
            format!("U+{:04X} is in it", u32::from(sign)),
            "take the sign out; letters of every script stay in their order without it",
        ));
    }
    Ok(name.to_owned())
}

/// Control characters, and those that turn the direction of what follows (Unicode Standard Annex #9 §2): in
/// somebody's inbox a name with them looks like another one.
fn is_invisible(sign: char) -> bool {
    let turns = matches!(
        sign,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns || sign.is_control()
}
