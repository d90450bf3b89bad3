//! Where the mail server listens: one table for its configuration, the firewall and the tests.

use mailkiln_spec::Spec;

use super::settings::Section;
use crate::{Port, Reach};

/// The API, on loopback.
pub(crate) const API_PORT: u16 = 8080;

/// Where the filter hands in what was released from the quarantine, on loopback.
pub(crate) const RELEASE_PORT: u16 = 10_026;

/// Name of that listener. It takes mail for its own mailboxes only, as port 25 does, but looks at
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
        id: "http",
        protocol: "http",
        port: Port { number: API_PORT, purpose: "API and DAV", reach: Reach::Loopback },
        tls: Tls::Off,
    },
    Listener {
        id: RELEASE,
        protocol: "smtp",
        port: Port {
            number: RELEASE_PORT,
            purpose: "released from the quarantine",
            reach: Reach::Loopback,
        },
        tls: Tls::Off,
    },
];

/// The listeners that there are: without a filter nothing is released.
fn wanted(spec: &Spec) -> impl Iterator<Item = &'static Listener> {
    let filtered = spec.filter.is_some();
    LISTENERS.iter().filter(move |listener| filtered || listener.id != RELEASE)
}

/// All ports of the server.
pub(super) fn ports(spec: &Spec) -> Vec<Port> {
    wanted(spec).map(|listener| listener.port).collect()
}

/// Listeners, their limits and the certificate.
pub(super) fn sections(spec: &Spec) -> Vec<Section> {
    let everywhere = if spec.network.ipv6 { "[::]" } else { "0.0.0.0" };
    let mut sections: Vec<Section> =
        wanted(spec).map(|listener| listener_section(listener, everywhere)).collect();
    let certificate = |file| format!("%{{file:/var/lib/acme/{}/{file}.pem}}%", spec.host.name);
    sections.push(
        Section::new(
            "certificate.default",
            "Read again on SIGHUP. Clients that name no host get it too.",
        )
        .set("cert", certificate("fullchain"))
        .set("private-key", certificate("key"))
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

fn listener_section(listener: &Listener, everywhere: &str) -> Section {
    let address = match listener.port.reach {
        Reach::Public => everywhere,
        Reach::Loopback => "127.0.0.1",
    };
    let section = Section::item("server.listener", listener.id, listener.port.purpose)
        .set("bind", format!("{address}:{}", listener.port.number))
        .set("protocol", listener.protocol)
        .set("max-connections", MAX_CONNECTIONS)
        .set("max-connections-per-client", MAX_PER_CLIENT);
    match listener.tls {
        Tls::Implicit => section.set("tls.implicit", true),
        Tls::Starttls => section.set("tls.implicit", false),
        Tls::Off => section.set("tls.enable", false),
    }
}
