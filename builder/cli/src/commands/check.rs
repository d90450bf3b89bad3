//! `mailkiln check`: what is wrong with `mail.toml`; when nothing is, what it says.

use std::fmt;

use mailkiln_spec::{
    Account, Address, ClamAv, Domain, DomainName, FilterAction, RelayTls, Spec, display_size,
};
use serde::Serialize;

use crate::arguments::CheckArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::spec_file::SpecFile;

/// Reads the file and prints what follows from it.
pub(super) fn run(arguments: &CheckArguments, printer: &Printer) -> Result<(), Failure> {
    let file = SpecFile::read(arguments.config.path())?;
    printer.result(&Summary::of(&file))
}

/// What a right `mail.toml` says: for people in their own words, for programs in A-labels and bytes.
struct Summary<'a> {
    path: String,
    spec: &'a Spec,
    /// What is allowed but may surprise.
    advice: Vec<String>,
}

impl<'a> Summary<'a> {
    fn of(file: &'a SpecFile) -> Self {
        let advice = mailkiln_spec::advice(&file.spec);
        Self { path: file.path.display().to_string(), spec: &file.spec, advice }
    }
}

/// A name as it was meant, and as machines write it where that differs.
fn domain(name: &DomainName) -> String {
    let (ours, theirs) = (name.to_unicode(), name.to_string());
    if ours == theirs { ours } else { format!("{ours} ({theirs})") }
}

fn address(address: &Address) -> String {
    let (ours, theirs) = (address.to_unicode(), address.to_string());
    if ours == theirs { ours } else { format!("{ours} ({theirs})") }
}

fn network(spec: &Spec) -> String {
    let network = &spec.network;
    let asked = match (network.dhcp4, network.dhcp6) {
        (true, true) => Some("addresses by DHCP and router advertisements"),
        (true, false) if network.ipv6 => Some("IPv4 by DHCP"),
        (true, false) => Some("addresses by DHCP and router advertisements"),
        (false, true) => Some("IPv6 by router advertisements and DHCP"),
        (false, false) => None,
    };
    let fixed = (!network.addresses.is_empty()).then(|| listed(&network.addresses));
    let words: Vec<String> = fixed.into_iter().chain(asked.map(str::to_owned)).collect();
    let mut words = words.join(", ");
    if !network.gateways.is_empty() {
        words += &format!(", gateway {}", listed(&network.gateways));
    }
    if !network.resolvers.is_empty() {
        words += &format!(", resolver {}", listed(&network.resolvers));
    }
    if !network.ipv6 {
        words += ", no IPv6";
    }
    words += &format!(", on {}", network.interface);
    if let Some(mac) = &network.mac {
        words += &format!(" with the address {mac}");
    }
    if let Some(driver) = &network.driver {
        words += &format!(" of the driver {driver}");
    }
    match network.vlan {
        Some(vlan) => format!("{words}, VLAN {vlan}"),
        None => words,
    }
}

fn ssh(spec: &Spec) -> String {
    match &spec.ssh {
        None => "off".to_owned(),
        Some(ssh) if ssh.keys.len() == 1 => format!("port {}, one key", ssh.port),
        Some(ssh) => format!("port {}, {} keys", ssh.port, ssh.keys.len()),
    }
}

fn outgoing(spec: &Spec) -> String {
    let Some(relay) = &spec.relay else { return "straight to the recipients' servers".to_owned() };
    let tls = match relay.tls {
        RelayTls::Starttls => "STARTTLS",
        RelayTls::Implicit => "TLS",
        RelayTls::Off => "no TLS",
    };
    let login = relay.user.as_ref().map_or(String::new(), |user| format!(", as {user}"));
    format!("through {}, port {}, {tls}{login}", relay.host, relay.port)
}

fn limits(spec: &Spec) -> String {
    let score = |tenths: i32| f64::from(tenths) / 10.0;
    let refused = match spec.spam.reject_score {
        Some(tenths) => format!(", refused from {}", score(tenths)),
        None => String::new(),
    };
    let size = display_size(spec.mail.max_message_size);
    format!("messages up to {size}; junk from score {}{refused}", score(spec.spam.junk_score))
}

fn filter(spec: &Spec) -> String {
    let Some(filter) = &spec.filter else {
        return "off: attachments are not looked into".to_owned();
    };
    let with = |wanted| {
        let actions = filter.actions.iter().filter(|(_, action)| **action == wanted);
        actions.map(|(class, _)| class.as_str()).collect::<Vec<_>>().join(", ")
    };
    let clamav = filter.clamav.map(|clamav| match clamav {
        ClamAv::Here => "with ClamAV".to_owned(),
        ClamAv::At(address) => format!("with the ClamAV at {address}"),
    });
    [FilterAction::Reject, FilterAction::Strip, FilterAction::Quarantine]
        .into_iter()
        .map(|action| (action, with(action)))
        .filter(|(_, classes)| !classes.is_empty())
        .map(|(action, classes)| format!("{} {classes}", action.as_str()))
        .chain(clamav)
        .collect::<Vec<_>>()
        .join("; ")
}

fn web(spec: &Spec) -> &'static str {
    match spec.web {
        None => "off: no webmail, calendars, contacts or MTA-STS",
        Some(web) if web.behind_proxy => "behind the host's own web server",
        Some(_) => "on ports 80 and 443",
    }
}

fn listed(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, spec, advice } = self;
        writeln!(f, "{path} is right.\n")?;
        let domains: Vec<String> = spec.domains.iter().map(|it| domain(&it.name)).collect();
        for (title, value) in [
            ("host", domain(&spec.host.name)),
            ("time zone", spec.host.timezone.clone()),
            ("network", network(spec)),
            ("ssh", ssh(spec)),
            ("outgoing", outgoing(spec)),
            ("limits", limits(spec)),
            ("filter", filter(spec)),
            ("web", web(spec).to_owned()),
            ("domains", domains.join(", ")),
        ] {
            writeln!(f, "  {title:<10} {value}")?;
        }
        if !spec.accounts.is_empty() {
            writeln!(f, "\n  mailboxes, and which other addresses reach them")?;
        }
        for account in &spec.accounts {
            mailbox(account, &spec.domains, f)?;
        }
        if !advice.is_empty() {
            writeln!(f, "\n  suggestions")?;
            advice.iter().try_for_each(|advice| writeln!(f, "    - {advice}"))?;
        }
        Ok(())
    }
}

/// One account and what else is delivered to it.
fn mailbox(account: &Account, domains: &[Domain], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quota = account.quota.map_or(String::new(), |quota| format!(", {}", display_size(quota)));
    writeln!(f, "    {}{quota}", address(&account.address))?;
    account.aliases.iter().try_for_each(|alias| writeln!(f, "      ← {}", address(alias)))?;
    let is_ours = |to: &Address| account.address == *to || account.aliases.contains(to);
    let caught = domains.iter().filter(|domain| domain.catch_all.as_ref().is_some_and(is_ours));
    for Domain { name, .. } in caught {
        writeln!(f, "      ← whatever else is sent to {}", domain(name))?;
    }
    Ok(())
}

impl Serialize for Summary<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            path: &'a str,
            host: String,
            timezone: &'a str,
            domains: Vec<DomainEntry>,
            accounts: Vec<AccountEntry<'a>>,
            advice: &'a [String],
        }
        #[derive(Serialize)]
        struct DomainEntry {
            name: String,
            catch_all: Option<String>,
        }
        #[derive(Serialize)]
        struct AccountEntry<'a> {
            address: String,
            name: &'a str,
            aliases: Vec<String>,
            quota: Option<u64>,
        }
        let domains = self.spec.domains.iter().map(|domain| DomainEntry {
            name: domain.name.to_string(),
            catch_all: domain.catch_all.as_ref().map(Address::to_string),
        });
        let accounts = self.spec.accounts.iter().map(|account| AccountEntry {
            address: account.address.to_string(),
            name: &account.name,
            aliases: account.aliases.iter().map(Address::to_string).collect(),
            quota: account.quota,
        });
        Document {
            path: &self.path,
            host: self.spec.host.name.to_string(),
            timezone: &self.spec.host.timezone,
            domains: domains.collect(),
            accounts: accounts.collect(),
            advice: &self.advice,
        }
        .serialize(serializer)
    }
}
