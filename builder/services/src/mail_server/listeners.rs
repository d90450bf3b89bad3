//! Where the mail server listens: one table for its configuration, the firewall and the tests.

use mailkiln_spec::Spec;

use super::settings::Section;
use crate::{HostFacts, Port, Reach};

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

/// One socket.
struct Listener {
    /// Conditions of the configuration ask for it by this name.
    id: &'static str,
    protocol: &'static str,
    port: Port,
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

const fn public(
    id: &'static str,
    protocol: &'static str,
    number: u16,
    purpose: &'static str,
    tls: Tls,
) -> Listener {
    Listener { id, protocol, port: Port { number, purpose, reach: Reach::Public }, tls }
}

/// RFC 8314 wants implicit TLS; 143, 587 and 4190 remain for clients that only know STARTTLS,
/// and take no password without it. There is no 110: POP3 in plain text has no use left.
const LISTENERS: [Listener; 9] = [
    public("smtp", "smtp", 25, "mail from other servers", Tls::Starttls),
    public("submissions", "smtp", 465, "mail from users", Tls::Implicit),
    public("submission", "smtp", 587, "mail from users", Tls::Starttls),
    public("imap", "imap", 143, "IMAP", Tls::Starttls),
    public("imaps", "imap", 993, "IMAP", Tls::Implicit),
    public("pop3s", "pop3", 995, "POP3", Tls::Implicit),
    public("sieve", "managesieve", 4190, "ManageSieve", Tls::Starttls),
    Listener {
        id: API,
        protocol: "http",
        // The host has the last word: see `number`.
        port: Port { number: 0, purpose: "API and DAV", reach: Reach::Loopback },
        tls: Tls::Off,
    },
    Listener {
        id: RELEASE,
        protocol: "smtp",
        port: Port { number: 0, purpose: "released from the quarantine", reach: Reach::Loopback },
        tls: Tls::Off,
    },
];

/// The listeners that there are: without a filter nothing is released.
fn wanted(spec: &Spec) -> impl Iterator<Item = &'static Listener> {
    let filtered = spec.filter.is_some();
    LISTENERS.iter().filter(move |listener| filtered || listener.id != RELEASE)
}

/// All ports of the server.
pub(super) fn ports(spec: &Spec, host: &HostFacts) -> Vec<Port> {
    wanted(spec).map(|listener| Port { number: number(listener, host), ..listener.port }).collect()
}

/// Where it listens: loopback's ports are the host's choice.
fn number(listener: &Listener, host: &HostFacts) -> u16 {
    match listener.id {
        API => host.api_port,
        RELEASE => host.release_port,
        _ => listener.port.number,
    }
}

/// Listeners, their limits and the certificate.
pub(super) fn sections(spec: &Spec, host: &HostFacts) -> Vec<Section> {
    let everywhere = if spec.network.ipv6 { "[::]" } else { "0.0.0.0" };
    let mut sections: Vec<Section> = wanted(spec)
        .map(|listener| listener_section(listener, number(listener, host), everywhere))
        .collect();
    let (chain, key) = match &host.certificate {
        Some(brought) => (brought.chain.clone(), brought.key.clone()),
        None => {
            let own = |file| format!("/var/lib/mailkiln-acme/live/{}/{file}.pem", spec.host.name);
            (own("fullchain"), own("key"))
        }
    };
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

fn listener_section(listener: &Listener, number: u16, everywhere: &str) -> Section {
    let address = match listener.port.reach {
        Reach::Public => everywhere,
        Reach::Loopback => "127.0.0.1",
    };
    let section = Section::item("server.listener", listener.id, listener.port.purpose)
        .set("bind", format!("{address}:{number}"))
        .set("protocol", listener.protocol)
        .set("max-connections", MAX_CONNECTIONS)
        .set("max-connections-per-client", MAX_PER_CLIENT);
    match listener.tls {
        Tls::Implicit => section.set("tls.implicit", true),
        Tls::Starttls => section.set("tls.implicit", false),
        Tls::Off => section.set("tls.enable", false),
    }
}
