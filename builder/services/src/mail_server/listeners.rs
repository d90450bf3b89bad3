//! Where the mail server listens: one table for its configuration, the firewall and the tests.

use mailkiln_spec::Spec;

use super::settings::Section;
use crate::{HostFacts, Port, Reach, acme};

/// Name of the API's listener.
const API: &str = "http";

/// Name of the listener where the filter hands in what was released from the quarantine. It takes mail for its own mailboxes only, as port 25 does, but looks at
/// it neither for spam nor through the filter.
pub(super) const RELEASE: &str = "release";

/// Clients on one listener at a time. Each costs some 30 KB and a file descriptor.
const MAX_CONNECTIONS: u64 = 2048;

/// Connections of one client (an IPv4 address, an IPv6 /64) on one listener, as long as nobody has
/// signed in there. Postfix has the same number.
const MAX_PER_CLIENT: u64 = 50;

/// What is spoken on a port of `units/mail-server/unit.toml`.
struct Listener {
    /// The port's name, by which conditions of the configuration ask for it too.
    id: &'static str,
    protocol: &'static str,
    tls: Tls,
}

#[derive(PartialEq, Eq)]
enum Tls {
    /// From the first byte.
    Implicit,
    /// When the client asks; passwords are refused before.
    Starttls,
    /// None: it does not leave the machine.
    Off,
}

const fn listener(id: &'static str, protocol: &'static str, tls: Tls) -> Listener {
    Listener { id, protocol, tls }
}

/// Listeners of the web unit. It says for whom it asks by a PROXY header, so that delays and bans meet the reader.
const OF_WEB: [&str; 2] = ["web-imaps", "web-submissions"];
/// Whose PROXY headers are believed. The firewall lets nobody but the web unit connect from there.
const PROXIES: [&str; 1] = ["127.0.0.1/32"];

const LISTENERS: [Listener; 11] = [
    listener("smtp", "smtp", Tls::Starttls),
    listener("submissions", "smtp", Tls::Implicit),
    listener("submission", "smtp", Tls::Starttls),
    listener("imap", "imap", Tls::Starttls),
    listener("imaps", "imap", Tls::Implicit),
    listener("pop3s", "pop3", Tls::Implicit),
    listener("sieve", "managesieve", Tls::Starttls),
    listener(API, "http", Tls::Off),
    listener(RELEASE, "smtp", Tls::Off),
    listener("web-imaps", "imap", Tls::Implicit),
    listener("web-submissions", "smtp", Tls::Implicit),
];

/// The listeners that there are, with their ports: without a filter nothing is released, and without a web unit
/// nobody asks for others. Loopback's numbers are the
/// host's choice.
fn wanted(spec: &Spec, host: &HostFacts) -> Vec<(&'static Listener, Port)> {
    let wanted = LISTENERS.iter().filter(|listener| match listener.id {
        RELEASE => spec.filter.is_some(),
        id if OF_WEB.contains(&id) => spec.web.is_some(),
        _ => true,
    });
    let with_port = wanted.filter_map(|listener| {
        let port = Port::of(mailkiln_unit::port(listener.id)?);
        let number = match listener.id {
            API => host.api_port,
            RELEASE => host.release_port,
            _ => port.number,
        };
        Some((listener, Port { number, ..port }))
    });
    with_port.collect()
}

/// All ports of the server.
pub(super) fn ports(spec: &Spec, host: &HostFacts) -> Vec<Port> {
    wanted(spec, host).into_iter().map(|(_, port)| port).collect()
}

/// Listeners, their limits and the certificate.
pub(super) fn sections(spec: &Spec, host: &HostFacts) -> Vec<Section> {
    let everywhere = if spec.network.ipv6 { "[::]" } else { "0.0.0.0" };
    let mut sections: Vec<Section> = wanted(spec, host)
        .iter()
        .map(|(listener, port)| listener_section(listener, port, everywhere))
        .collect();
    let (chain, key) = certificate(spec, host);
    sections.push(
        Section::new(
            "certificate.default",
            "Read again on SIGHUP. Clients that name no host get it too.",
        )
        .set("cert", format!("%{{file:{chain}}}%"))
        .set("private-key", format!("%{{file:{key}}}%"))
        .set("subjects", [spec.host.name.as_str()])
        .set("default", true),
    );
    sections.extend(acme::further(spec, host).iter().map(|further| {
        let (chain, key) = acme::files(&further.name);
        let why = "For clients that ask for one of its names.";
        Section::item("certificate", further.name.as_str(), why)
            .set("cert", format!("%{{file:{chain}}}%"))
            .set("private-key", format!("%{{file:{key}}}%"))
    }));
    sections.push(
        Section::new(
            "server.auto-ban",
            "A client that does this too often is banned for an hour, then twice as long, a day at\n\
             most. Wrong passwords never ban: they delay.",
        )
            .set("abuse.rate", "35/1d")
            .set("loiter.rate", "150/1d")
            .set("scan.rate", "30/1d"),
    );
    sections
}

/// Absolute paths of the certificate and of its key.
pub(crate) fn certificate(spec: &Spec, host: &HostFacts) -> (String, String) {
    match &host.certificate {
        Some(brought) => (brought.chain.clone(), brought.key.clone()),
        None => acme::files(&spec.host.name),
    }
}

fn listener_section(listener: &Listener, port: &Port, everywhere: &str) -> Section {
    let address = match port.reach {
        Reach::Public => everywhere,
        Reach::Loopback => "127.0.0.1",
    };
    let section = Section::item("server.listener", listener.id, port.purpose)
        .set("bind", format!("{address}:{}", port.number))
        .set("protocol", listener.protocol)
        .set("max-connections", MAX_CONNECTIONS)
        .set("max-connections-per-client", MAX_PER_CLIENT);
    let section = match OF_WEB.contains(&listener.id) {
        true => section.set("proxy.trusted-networks", PROXIES),
        false => section,
    };
    match listener.tls {
        Tls::Implicit => section.set("tls.implicit", true),
        Tls::Starttls => section.set("tls.implicit", false),
        Tls::Off => section.set("tls.enable", false),
    }
}
