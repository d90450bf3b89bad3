//! Which records a spec asks for.

use std::net::IpAddr;

use mailkiln_pin::Sha256;
use mailkiln_spec::{Address, DomainName, Spec};

use crate::{Data, DkimKey, Record};

/// Services that mail programs look up, with ports and priorities (RFC 6186, RFC 8314 section 5.1,
/// RFC 5804 section 1.8, RFC 6764). IMAP comes before POP3.
const SERVICES: [(&str, u16, u16, &str); 4] = [
    ("_submissions", 0, 465, "programs find where to send"),
    ("_imaps", 0, 993, "programs find where to read"),
    ("_pop3s", 10, 995, "programs find where to fetch"),
    ("_sieve", 0, 4190, "programs find where filters go"),
];

/// Those that the web unit serves.
const WEB_SERVICES: [(&str, u16, u16, &str); 2] = [
    ("_caldavs", 0, 443, "programs find the calendars"),
    ("_carddavs", 0, 443, "programs find the contacts"),
];

/// How long other servers keep the MTA-STS policy, in seconds: a week.
const POLICY_AGE: u32 = 604_800;

/// The records to publish: the host's, then each domain's in the order of the file.
pub fn records(spec: &Spec, keys: &[DkimKey]) -> Vec<Record> {
    let mut records = host_records(spec);
    for domain in &spec.domains {
        records.extend(mail_records(spec, &domain.name));
        records.extend(keys.iter().filter(|key| key.domain == domain.name).map(DkimKey::record));
        records.extend(policy_records(spec, &domain.name));
        records.extend(program_records(spec, &domain.name));
    }
    records
}

/// What must be done beside publishing the records, in sentences for people.
pub fn notes(spec: &Spec, keys: &[DkimKey]) -> Vec<String> {
    let host = &spec.host.name;
    let mut notes = Vec::new();
    if public_addresses(spec).next().is_none() {
        notes.push(format!(
            "{host} needs an A record (and AAAA, with IPv6): this file does not know its public \
             address."
        ));
    }
    notes.push(format!(
        "The reverse name (PTR) of the machine's address must be {host}; your provider sets it."
    ));
    let without: Vec<&str> = spec
        .domains
        .iter()
        .filter(|domain| !keys.iter().any(|key| key.domain == domain.name))
        .map(|domain| domain.name.as_str())
        .collect();
    if !without.is_empty() {
        notes.push(format!(
            "DKIM of {}: the keys are made at the first boot. The console shows their records; a \
             copy of /var/lib/mailkiln/dkim/DOMAIN.txt goes in with `--dkim FILE`.",
            without.join(", ")
        ));
    }
    if spec.web.is_none() {
        notes.push(
            "Without the web unit (`[web] enable = false`) there is no server for an MTA-STS policy, calendars and contacts, or \
             what programs ask to set themselves up: there are no records for them."
                .to_owned(),
        );
    }
    if spec.acme.is_some() {
        notes.push(format!(
            "DANE, if the zone is signed (DNSSEC): once {host} has its certificate, `mailkiln-acme \
             status` shows the TLSA record; a copy of /var/lib/mailkiln-acme/tlsa.txt goes in with \
             `--tlsa FILE`."
        ));
    }
    if let Some(relay) = &spec.relay {
        notes.push(format!(
            "Mail leaves through {}: put what its operator says for SPF (mostly `include:…`) \
             before `~all`.",
            relay.host
        ));
    }
    let reports = spec.mail.postmaster.domain();
    if !spec.domains.iter().any(|domain| domain.name == *reports) {
        notes.push(format!(
            "Reports go to {}: {reports} must allow it, with the TXT record `v=DMARC1` at \
             DOMAIN._report._dmarc.{reports} for each domain above.",
            spec.mail.postmaster
        ));
    }
    notes
}

/// What `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` must serve (RFC 8461, 3.2), the same for
/// every domain of the spec.
///
/// The mode is `testing`: others report a certificate that they can't trust, and deliver
/// nonetheless. A new appliance has a self-signed one until ACME has had its turn.
pub fn mta_sts_policy(spec: &Spec) -> String {
    let host = &spec.host.name;
    format!("version: STSv1\r\nmode: testing\r\nmx: {host}\r\nmax_age: {POLICY_AGE}\r\n")
}

fn host_records(spec: &Spec) -> Vec<Record> {
    let host = &spec.host.name;
    let mut records: Vec<Record> = public_addresses(spec)
        .map(|ip| record(host, Data::Address(ip), "where the machine is"))
        .collect();
    // A domain of the same name has its own SPF record, and a second one voids both (RFC 7208, 3.2).
    if !spec.domains.iter().any(|domain| domain.name == *host) {
        let text = Data::Text("v=spf1 a -all".to_owned());
        records.push(record(host, text, "SPF of the machine's own name"));
    }
    records
}

fn mail_records(spec: &Spec, domain: &DomainName) -> Vec<Record> {
    // Which addresses a relay sends from is known to its operator only, hence the soft end.
    let spf = if spec.relay.is_some() { "v=spf1 mx ~all" } else { "v=spf1 mx -all" };
    vec![
        record(domain, Data::Mx(10, spec.host.name.to_string()), "where its mail goes"),
        record(domain, Data::Text(spf.to_owned()), "SPF: who may send for it"),
    ]
}

/// DMARC, TLS reports and MTA-STS.
fn policy_records(spec: &Spec, domain: &DomainName) -> Vec<Record> {
    let reports = &spec.mail.postmaster;
    let mailto = mailto(reports);
    let txt =
        |name: String, text: String, purpose| Record { name, data: Data::Text(text), purpose };
    let mut records = vec![txt(
        format!("_dmarc.{domain}"),
        format!("v=DMARC1; p=quarantine; rua={mailto}"),
        "DMARC: what to do with forgeries",
    )];
    // Reports to another domain need that domain's consent (RFC 7489, 7.1).
    if reports.domain() != domain && spec.domains.iter().any(|it| it.name == *reports.domain()) {
        records.push(txt(
            format!("{domain}._report._dmarc.{}", reports.domain()),
            "v=DMARC1".to_owned(),
            "consent to get its DMARC reports",
        ));
    }
    records.push(txt(
        format!("_smtp._tls.{domain}"),
        format!("v=TLSRPTv1; rua={mailto}"),
        "where TLS problems are reported",
    ));
    if spec.web.is_none() {
        return records;
    }
    let digest = Sha256::of(mta_sts_policy(spec).as_bytes()).to_string();
    // An id is any text that changes when the policy does (RFC 8461, 3.1).
    records.push(txt(
        format!("_mta-sts.{domain}"),
        format!("v=STSv1; id={}", digest.get(..20).unwrap_or(&digest)),
        "MTA-STS: TLS is expected",
    ));
    records.extend(alias(spec, "mta-sts", domain, "serves the MTA-STS policy"));
    records
}

/// An address as DMARC and TLS-RPT want it: as a URI (RFC 6068), in which `!` and `,` would have a
/// meaning of their own (RFC 7489, 6.2).
fn mailto(address: &Address) -> String {
    let mut uri = String::from("mailto:");
    for character in address.to_string().chars() {
        match character {
            '-' | '.' | '_' | '~' | '@' | '+' => uri.push(character),
            _ if character.is_ascii_alphanumeric() => uri.push(character),
            // Addresses are ASCII, so that a character is one byte.
            _ => uri.push_str(&format!("%{:02X}", u32::from(character))),
        }
    }
    uri
}

/// What mail programs ask to set themselves up.
fn program_records(spec: &Spec, domain: &DomainName) -> Vec<Record> {
    let web = spec.web.is_some();
    let aliases = ["autoconfig", "autodiscover"].into_iter().filter(|_| web);
    let mut records: Vec<Record> = aliases
        .filter_map(|label| alias(spec, label, domain, "programs set themselves up"))
        .collect();
    let services = SERVICES.into_iter().chain(WEB_SERVICES.into_iter().filter(|_| web));
    records.extend(services.map(|(service, priority, port, purpose)| {
        let target = spec.host.name.to_string();
        let data = Data::Srv { priority, weight: 1, port, target };
        Record { name: format!("{service}._tcp.{domain}"), data, purpose }
    }));
    records
}

/// `label.DOMAIN` as another name of the host, unless the host or a mail domain is called so: a CNAME
/// stands alone (RFC 1034, 3.6.2).
fn alias(spec: &Spec, label: &str, domain: &DomainName, purpose: &'static str) -> Option<Record> {
    let name = format!("{label}.{domain}");
    let host = spec.host.name.to_string();
    let is_taken = name == host || spec.domains.iter().any(|it| it.name.as_str() == name);
    (!is_taken).then_some(Record { name, data: Data::Alias(host), purpose })
}

fn record(name: &DomainName, data: Data, purpose: &'static str) -> Record {
    Record { name: name.to_string(), data, purpose }
}

/// Static addresses that the rest of the world can reach.
fn public_addresses(spec: &Spec) -> impl Iterator<Item = IpAddr> + '_ {
    spec.network.addresses.iter().map(ipnet::IpNet::addr).filter(|ip| match ip {
        IpAddr::V4(ip) => {
            // 100.64.0.0/10 is behind a carrier's NAT (RFC 6598).
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            !ip.is_private() && !ip.is_link_local() && !shared
        }
        IpAddr::V6(ip) => !ip.is_unique_local() && !ip.is_unicast_link_local(),
    })
}
