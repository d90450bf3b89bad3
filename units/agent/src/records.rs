//! The DNS records that mail needs, and which of them are missing.
//!
//! In: the appliance, its DKIM keys, a resolver. Out: lines of a zone file to publish. Only what
//! mail depends on is asked for; the full list is what `mailkiln dns` prints.

use crate::appliance::{Appliance, DomainName};
use crate::certificate::Facts;
use crate::dkim::{self, Algorithm};
use crate::dns::{DnsError, Kind};

/// A record that has to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    name: String,
    kind: Kind,
    accepted: Accepted,
    /// What to publish.
    line: String,
}

/// Which data will do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Accepted {
    /// Any record of the kind.
    Any,
    /// This very data.
    Exactly(String),
    /// Data that starts like this: administrators tune SPF and DMARC.
    StartingWith(&'static str),
    /// A DKIM record with this key, whatever else it says.
    Key(String),
    /// None at all, or this data among others: without DNSSEC there is no use in TLSA records, but one
    /// that is wrong keeps mail away (RFC 7672 section 2.2).
    NoneOr(String),
}

/// What is known about the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Findings {
    /// These lines have to be published; none means that all is there.
    Missing(Vec<String>),
    /// The resolver could not tell, and why.
    Unknown(String),
}

/// The records of all domains. `key` gives the DKIM record of a domain where it is known.
pub fn wanted(
    appliance: &Appliance,
    tlsa: Option<&str>,
    key: impl Fn(Algorithm, &DomainName) -> Option<String>,
) -> Vec<Record> {
    let host = &appliance.host;
    let mut records = vec![Record {
        name: host.to_string(),
        kind: Kind::A,
        accepted: Accepted::Any,
        line: format!("{host}. IN A (the public address of this machine)"),
    }];
    if let Some(data) = tlsa {
        let name = format!("_25._tcp.{host}");
        let line = format!("{name}. IN TLSA {data} (another key is published)");
        let accepted = Accepted::NoneOr(data.to_owned());
        records.push(Record { name, kind: Kind::Tlsa, accepted, line });
    }
    for domain in appliance.domains.iter().map(|domain| &domain.name) {
        records.push(Record {
            name: domain.to_string(),
            kind: Kind::Mx,
            accepted: Accepted::Exactly(host.to_string()),
            line: format!("{domain}. IN MX 10 {host}."),
        });
        records.push(Record {
            name: domain.to_string(),
            kind: Kind::Txt,
            accepted: Accepted::StartingWith("v=spf1"),
            line: format!("{domain}. IN TXT \"v=spf1 mx -all\""),
        });
        records.push(Record {
            name: format!("_dmarc.{domain}"),
            kind: Kind::Txt,
            accepted: Accepted::StartingWith("v=DMARC1"),
            line: format!(
                "_dmarc.{domain}. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:{}\"",
                appliance.postmaster
            ),
        });
        for algorithm in dkim::ALGORITHMS {
            let Some(record) = key(algorithm, domain) else { continue };
            records.push(Record {
                name: format!("{}._domainkey.{domain}", algorithm.selector()),
                kind: Kind::Txt,
                line: dkim::zone_line(algorithm, domain, &record).trim_end().to_owned(),
                accepted: Accepted::Key(key_of(&record).unwrap_or_default()),
            });
        }
    }
    records
}

/// What a TLSA record says about a certificate's key: `3 1 1 DIGEST` (RFC 6698 section 2.1).
pub fn tlsa(facts: &Facts) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &facts.public_key_info);
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("3 1 1 {digest}")
}

/// Asks for every record; stops at the first question without an answer, since the others would
/// have none either.
pub fn examine(
    records: &[Record],
    ask: impl Fn(&str, Kind) -> Result<Vec<String>, DnsError>,
) -> Findings {
    let mut missing = Vec::new();
    for record in records {
        match ask(&record.name, record.kind) {
            Ok(data) if data.iter().any(|data| record.accepts(data)) => {}
            Ok(data) if data.is_empty() && matches!(record.accepted, Accepted::NoneOr(_)) => {}
            // A host may be reachable over IPv6 alone.
            Ok(_) if record.kind == Kind::A => match ask(&record.name, Kind::Aaaa) {
                Ok(data) if !data.is_empty() => {}
                Ok(_) => missing.push(record.line.clone()),
                Err(error) => return Findings::Unknown(error.to_string()),
            },
            Ok(_) => missing.push(record.line.clone()),
            Err(error) => return Findings::Unknown(error.to_string()),
        }
    }
    Findings::Missing(missing)
}

impl Record {
    fn accepts(&self, data: &str) -> bool {
        match &self.accepted {
            Accepted::Any => true,
            Accepted::Exactly(wanted) => data.trim_end_matches('.').eq_ignore_ascii_case(wanted),
            Accepted::StartingWith(start) => {
                data.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
            }
            Accepted::Key(key) => key_of(data).as_ref() == Some(key),
            Accepted::NoneOr(wanted) => data == wanted,
        }
    }
}

/// The `p=` of a DKIM record, without blanks (RFC 6376 section 3.2 allows them).
fn key_of(record: &str) -> Option<String> {
    let tags = record.split(';').filter_map(|tag| tag.split_once('='));
    let (_, key) = tags.into_iter().find(|(name, _)| name.trim() == "p")?;
    Some(key.chars().filter(|c| !c.is_whitespace()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::tests::example;

    fn records() -> Vec<Record> {
        let mut appliance = example();
        appliance.domains.truncate(1);
        wanted(&appliance, Some("3 1 1 ab"), |algorithm, _| {
            Some(format!("v=DKIM1; k={}; p=AAAA", algorithm.selector()))
        })
    }

    fn lookup(name: &str, kind: Kind) -> Vec<String> {
        let data: &[&str] = match (name, kind) {
            ("mail.example.org", Kind::Aaaa) => &["2001:db8::1"],
            ("_25._tcp.mail.example.org", Kind::Tlsa) => &["3 1 1 cd", "3 1 1 ab"],
            ("example.org", Kind::Mx) => &["MAIL.example.org."],
            ("example.org", Kind::Txt) => &["google-site=1", "V=SPF1 a -all"],
            ("_dmarc.example.org", Kind::Txt) => &["v=DMARC1; p=none"],
            ("rsa._domainkey.example.org", Kind::Txt) => &["v=DKIM1;k=rsa; p=AA AA"],
            ("ed25519._domainkey.example.org", Kind::Txt) => &["v=DKIM1; p=AAAA"],
            _ => &[],
        };
        data.iter().map(|data| (*data).to_owned()).collect()
    }

    #[test]
    fn nothing_is_missing_however_it_is_spelt() {
        let found = examine(&records(), |name, kind| Ok(lookup(name, kind)));
        assert_eq!(found, Findings::Missing(Vec::new()));
    }

    #[test]
    fn everything_missing_is_listed_as_zone_lines() {
        let found = examine(&records(), |_, _| Ok(Vec::new()));
        let Findings::Missing(lines) = found else { panic!("{found:?}") };
        assert_eq!(
            lines,
            [
                "mail.example.org. IN A (the public address of this machine)",
                "example.org. IN MX 10 mail.example.org.",
                "example.org. IN TXT \"v=spf1 mx -all\"",
                "_dmarc.example.org. IN TXT \"v=DMARC1; p=quarantine; \
                 rua=mailto:postmaster@example.org\"",
                "rsa._domainkey.example.org. IN TXT \"v=DKIM1; k=rsa; p=AAAA\"",
                "ed25519._domainkey.example.org. IN TXT \"v=DKIM1; k=ed25519; p=AAAA\"",
            ]
        );
    }

    #[test]
    fn an_old_key_or_another_host_does_not_do() {
        let found = examine(&records(), |name, kind| {
            let data = lookup(name, kind);
            let data = data.iter().map(|d| d.replace("p=AA AA", "p=BBBB").replace("MAIL", "old"));
            Ok(data.collect())
        });
        let Findings::Missing(lines) = found else { panic!("{found:?}") };
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("MX") && lines[1].starts_with("rsa._domainkey"));
    }

    #[test]
    fn a_tlsa_record_of_another_key_is_loud() {
        let found = examine(&records(), |name, kind| {
            let data = lookup(name, kind);
            Ok(data.into_iter().filter(|data| data != "3 1 1 ab").collect())
        });
        let Findings::Missing(lines) = found else { panic!("{found:?}") };
        assert_eq!(
            lines,
            ["_25._tcp.mail.example.org. IN TLSA 3 1 1 ab (another key is published)"]
        );
    }

    #[test]
    fn a_silent_resolver_is_no_missing_record() {
        let found = examine(&records(), |_, _| {
            let resolver = ([127, 0, 0, 53], 53).into();
            Err(DnsError::Silent { resolver, source: std::io::ErrorKind::TimedOut.into() })
        });
        assert!(matches!(found, Findings::Unknown(reason) if reason.contains("127.0.0.53:53")));
    }
}
