//! Which certificates an appliance has, and for which names: the host's, and one for each further domain.
//!
//! An authority gives a certificate for all names of an order or for none, and for at most 100. So names that
//! are answered for by different people are in different certificates: what is wrong with the DNS of one
//! domain costs no other one anything. With one domain there is one certificate.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain_name::DomainName;
use crate::model::{Spec, WEB_LABELS};

/// One certificate that is to be obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What its folder is called: the host's name, a domain's, or the one name that is in no domain.
    pub name: DomainName,
    /// Its names, each in no other certificate of the appliance.
    pub names: Vec<DomainName>,
}

impl Spec {
    /// The certificates of this appliance. The first is the host's: it also has the names of the domain that
    /// the host lies in. Each further domain has its own, for the names that mail programs and other servers
    /// look for in it, if the web unit answers them. Extra names of `[acme]` go with the domain that they
    /// lie in; one that is in none has a certificate to itself. Where there is one domain, all names are in the
    /// host's.
    pub fn certificates(&self) -> Vec<Certificate> {
        let host = &self.host.name;
        let mut groups: Vec<(DomainName, Vec<DomainName>)> =
            vec![(host.clone(), vec![host.clone()])];
        let own = self.domain_of(host).unwrap_or(host);
        let mut places: BTreeMap<DomainName, usize> = BTreeMap::from([(own.clone(), 0)]);
        let is_alone = self.domains.len() < 2;
        let mut add = |of: &DomainName, name: DomainName| {
            let of = if is_alone { own } else { of };
            let place = *places.entry(of.clone()).or_insert_with(|| {
                groups.push((of.clone(), Vec::new()));
                groups.len() - 1
            });
            if let Some((_, names)) = groups.get_mut(place) {
                names.push(name);
            }
        };
        let mut seen = BTreeSet::from([host.clone()]);
        for domain in self.domains.iter().filter(|_| self.web.is_some()) {
            for label in WEB_LABELS {
                // A domain so long that no name fits below it has none.
                let name = format!("{label}.{}", domain.name).parse::<DomainName>();
                if let Some(name) = name.ok().filter(|name| seen.insert(name.clone())) {
                    add(self.domain_of(&name).unwrap_or(&domain.name), name);
                }
            }
        }
        for name in self.acme.iter().flat_map(|acme| &acme.names) {
            if seen.insert(name.clone()) {
                add(self.domain_of(name).unwrap_or(name), name.clone());
            }
        }
        groups.into_iter().map(|(name, names)| Certificate { name, names }).collect()
    }

    /// The mail domain that a name lies in, the longest of several.
    fn domain_of(&self, name: &DomainName) -> Option<&DomainName> {
        let domains = self.domains.iter().map(|domain| &domain.name);
        domains.filter(|domain| name.is_within(domain)).max_by_key(|domain| domain.as_str().len())
    }
}
