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

#[cfg(test)]
mod tests {
    use crate::parse;

    const BASE: &str = "[host]\nname = 'mail.example.org'\n[[domain]]\nname = 'example.org'\n";

    /// The names of each certificate.
    fn certificates(text: &str) -> Vec<Vec<String>> {
        let certificates = parse(text).unwrap().certificates();
        certificates.iter().map(|it| it.names.iter().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn names_of_the_web_unit_come_and_go_with_it() {
        assert_eq!(certificates(BASE).concat().len(), 4);
        assert_eq!(certificates(&format!("{BASE}[web]\nenable = false\n")).concat().len(), 1);
    }

    #[test]
    fn a_certificate_has_the_names_that_programs_look_for_once_each() {
        let text = format!("{BASE}[acme]\nnames = ['imap.example.org', 'mail.example.org']\n");
        let labels = ["mail", "autoconfig", "autodiscover", "mta-sts", "imap"];
        assert_eq!(certificates(&text), [labels.map(|label| format!("{label}.example.org"))]);
    }

    #[test]
    fn each_domain_has_a_certificate_of_its_own() {
        let text = "[host]\nname = 'mail.b.example'\n\
                    [acme]\nnames = ['imap.a.example', 'x.other.example', 'imap.b.example', 'w.sub.b.example']\n\
                    [[domain]]\nname = 'a.example'\n[[domain]]\nname = 'b.example'\n[[domain]]\nname = 'sub.b.example'\n";
        let web = |domain: &str, more: &[&str]| -> Vec<String> {
            let labels = ["autoconfig", "autodiscover", "mta-sts"];
            let names = labels.map(|label| format!("{label}.{domain}"));
            names.into_iter().chain(more.iter().map(|it| (*it).to_owned())).collect()
        };
        let own = |name: &str| vec![name.to_owned()];
        let host = [own("mail.b.example"), web("b.example", &["imap.b.example"])].concat();
        let expected = [
            host,
            web("a.example", &["imap.a.example"]),
            web("sub.b.example", &["w.sub.b.example"]),
            own("x.other.example"),
        ];
        assert_eq!(certificates(text), expected);
        let folders: Vec<_> =
            parse(text).unwrap().certificates().into_iter().map(|it| it.name.to_string()).collect();
        assert_eq!(folders, ["mail.b.example", "a.example", "sub.b.example", "x.other.example"]);
        // Nobody is asked to answer for a host of somebody else.
        let apart = text.replace("mail.b.example", "mail.provider.example");
        assert_eq!(certificates(&apart)[0], own("mail.provider.example"));
    }

    #[test]
    fn one_domain_has_one_certificate_wherever_its_host_and_further_names_lie() {
        let text = "[host]\nname = 'mail.provider.example'\n[acme]\nnames = ['x.other.example']\n\
                    [[domain]]\nname = 'a.example'\n";
        let names = ["mail.provider", "autoconfig.a", "autodiscover.a", "mta-sts.a", "x.other"];
        assert_eq!(certificates(text), [names.map(|name| format!("{name}.example"))]);
    }

    #[test]
    fn no_certificate_has_more_names_than_authorities_take() {
        let domains: String =
            (0..200).map(|number| format!("\n[[domain]]\nname = 'd{number}.example'\n")).collect();
        let file = |acme: &str| format!("[host]\nname = 'mail.d0.example'\n{acme}{domains}");
        let found = certificates(&file(""));
        assert_eq!(found.len(), 200);
        assert!(found.iter().all(|names| names.len() <= 4), "{found:?}");
        let extra = |count: usize| {
            let names: Vec<_> =
                (0..count).map(|number| format!("'n{number}.d0.example'")).collect();
            file(&format!("[acme]\nnames = [{}]\n", names.join(", ")))
        };
        assert_eq!(certificates(&extra(96))[0].len(), 100);
        let said = format!("{:?}", parse(&extra(97)).unwrap_err().problems());
        assert!(said.contains("too many names") && said.contains("at most 100"), "{said}");
    }
}
