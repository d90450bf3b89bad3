//! `mailkiln check`: what is wrong with `mail.toml`; when nothing is, what it says.

use std::fmt;

use mailkiln_spec::{Address, Domain, DomainName, RelayTls, Spec, display_size};
use serde::Serialize;

use crate::arguments::CheckArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::spec_file::SpecFile;

/// Reads the file and prints what follows from it.
pub(super) fn run(arguments: &CheckArguments, printer: &Printer) -> Result<(), Failure> {
    let file = SpecFile::read(&arguments.config.config)?;
    printer.result(&Summary::of(file.path.display().to_string(), &file.spec))
}

/// What a right `mail.toml` says, in the words of the person who wrote it.
#[derive(Serialize)]
struct Summary {
    path: String,
    host: String,
    timezone: String,
    network: String,
    ssh: String,
    outgoing: String,
    limits: String,
    domains: Vec<String>,
    mailboxes: Vec<Mailbox>,
    catch_all: Vec<Route>,
    /// What is allowed but may surprise.
    advice: Vec<String>,
}

#[derive(Serialize)]
struct Mailbox {
    address: String,
    quota: Option<u64>,
    aliases: Vec<String>,
}

/// Mail for `from` is delivered to `to`.
#[derive(Serialize)]
struct Route {
    from: String,
    to: String,
}

impl Summary {
    fn of(path: String, spec: &Spec) -> Self {
        let mailboxes = spec.accounts.iter().map(|account| Mailbox {
            address: address(&account.address),
            quota: account.quota,
            aliases: account.aliases.iter().map(address).collect(),
        });
        let catch_all = spec.domains.iter().filter_map(|Domain { name, catch_all }| {
            let to = address(catch_all.as_ref()?);
            Some(Route { from: format!("*@{}", domain(name)), to })
        });
        Self {
            path,
            host: domain(&spec.host.name),
            timezone: spec.host.timezone.clone(),
            network: network(spec),
            ssh: ssh(spec),
            outgoing: outgoing(spec),
            limits: limits(spec),
            domains: spec.domains.iter().map(|it| domain(&it.name)).collect(),
            mailboxes: mailboxes.collect(),
            catch_all: catch_all.collect(),
            advice: mailkiln_spec::advice(spec),
        }
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
    let mut words = match network.addresses.as_slice() {
        [] => "addresses by DHCP and router advertisements".to_owned(),
        addresses => listed(addresses),
    };
    if !network.gateways.is_empty() {
        words += &format!(", gateway {}", listed(&network.gateways));
    }
    if !network.resolvers.is_empty() {
        words += &format!(", resolver {}", listed(&network.resolvers));
    }
    if !network.ipv6 {
        words += ", no IPv6";
    }
    format!("{words}, on {}", network.interface)
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

fn listed(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is right.\n", self.path)?;
        for (title, value) in [
            ("host", &self.host),
            ("time zone", &self.timezone),
            ("network", &self.network),
            ("ssh", &self.ssh),
            ("outgoing", &self.outgoing),
            ("limits", &self.limits),
            ("domains", &self.domains.join(", ")),
        ] {
            writeln!(f, "  {title:<10} {value}")?;
        }
        if !self.mailboxes.is_empty() {
            writeln!(f, "\n  mailboxes, and which other addresses reach them")?;
        }
        for Mailbox { address, quota, aliases } in &self.mailboxes {
            let quota = quota.map_or(String::new(), |quota| format!(", {}", display_size(quota)));
            writeln!(f, "    {address}{quota}")?;
            aliases.iter().try_for_each(|alias| writeln!(f, "      ← {alias}"))?;
            for route in
                self.catch_all.iter().filter(|it| it.to == *address || aliases.contains(&it.to))
            {
                writeln!(f, "      ← {} that do not exist", route.from)?;
            }
        }
        if !self.advice.is_empty() {
            writeln!(f, "\n  worth a thought")?;
            self.advice.iter().try_for_each(|advice| writeln!(f, "    - {advice}"))?;
        }
        Ok(())
    }
}
