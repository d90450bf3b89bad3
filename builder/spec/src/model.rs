//! What a checked `mail.toml` says. A value of these types has passed every rule.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::address::Address;
use crate::domain_name::DomainName;
use crate::filter::{Filter, FilterActions};
use crate::fragment::FragmentRule;

/// The whole appliance, as `mail.toml` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `[host]`: the machine itself.
    pub host: Host,
    /// `[network]`: how it reaches the world.
    pub network: Network,
    /// `[ssh]`: present when remote shells are wanted.
    pub ssh: Option<Ssh>,
    /// `[[domain]]`: at least one, in file order.
    pub domains: Vec<Domain>,
    /// `[[account]]`: in file order; may be empty, when an administrator makes them later.
    pub accounts: Vec<Account>,
    /// `[relay]`: the smarthost, when outgoing mail does not go directly.
    pub relay: Option<Relay>,
    /// `[mail]`: limits of the server.
    pub mail: MailSettings,
    /// `[spam]`: the filter's thresholds and sources.
    pub spam: Spam,
    /// `[acme]`: certificates from an authority; `None` when they are turned off.
    pub acme: Option<Acme>,
    /// `[filter]`: what looks into attachments; `None` when it is switched off.
    pub filter: Option<Filter>,
    /// `[web]`: the web unit; `None` when it is switched off.
    pub web: Option<Web>,
    /// `[first_boot] fragment`: whether user-data may change all this.
    pub fragment: FragmentRule,
    /// True while there is no fragment and `fragment` is required: no mail service may run.
    pub is_waiting: bool,
    /// `[build] mirror`: where packages are downloaded from, if the file says so.
    pub mirror: Option<String>,
    /// `[build] units_from` and `units_keys`.
    pub units: UnitCaches,
}

/// `[build]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) mirror: Option<String>,
    pub(crate) units: UnitCaches,
}

/// Where compiled units may be taken from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitCaches {
    /// Addresses, the first to be asked first.
    pub from: Vec<String>,
    /// Public keys that may sign, as `NAME:BASE64`.
    pub keys: Vec<String>,
}

/// `[host]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Fully qualified host name, lower case, IDNA A-label form: `mail.example.org`.
    pub name: DomainName,
    /// IANA time zone: `Europe/Berlin`. `UTC` when not given.
    pub timezone: String,
}

/// `[network]`. One interface; more are a later concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Interface name pattern for systemd.network's `Name=`; `en* eth*` when not given.
    pub interface: String,
    /// Hardware address of the card, in lower case, where one is named.
    pub mac: Option<String>,
    /// Driver of the card, where one is named.
    pub driver: Option<String>,
    /// VLAN on the card that the addresses are in.
    pub vlan: Option<u16>,
    /// Whether DHCP is asked for an IPv4 address.
    pub dhcp4: bool,
    /// Whether router advertisements, and DHCP where they say so, bring IPv6 addresses.
    pub dhcp6: bool,
    /// Static addresses with prefix lengths.
    pub addresses: Vec<IpNet>,
    /// Default gateways, at most one for each address family.
    pub gateways: Vec<IpAddr>,
    /// Resolvers; empty means those that DHCP names.
    pub resolvers: Vec<IpAddr>,
    /// Whether IPv6 is used at all; `true` when not given.
    pub ipv6: bool,
}

impl Network {
    /// Whether a gateway is on the link though no static address shares a network with it, as where a
    /// machine has a /32.
    pub fn is_on_link_only(&self, gateway: IpAddr) -> bool {
        let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        !link_local && !self.addresses.iter().any(|address| address.contains(&gateway))
    }
}

/// `[ssh]`: keys only, never passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// TCP port; 22 when not given.
    pub port: u16,
    /// Lines of `authorized_keys` for root; at least one.
    pub keys: Vec<String>,
}

/// `[[domain]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The mail domain in A-label form.
    pub name: DomainName,
    /// Address that gets mail for addresses which do not exist.
    pub catch_all: Option<Address>,
    /// What is done about findings in mail of this domain, where it differs.
    pub filter: FilterActions,
}

/// `[[account]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login and primary address.
    pub address: Address,
    /// Display name; may be empty.
    pub name: String,
    /// Further addresses that are delivered here and that the account may send from: those of the
    /// file, in its order, and on the first account also the [role addresses](crate::ROLES) that no
    /// account claims.
    pub aliases: Vec<Address>,
    /// Mailbox quota in bytes; `None` is unlimited.
    pub quota: Option<u64>,
    /// Whether it may write as anybody, not only from its own addresses.
    pub any_sender: bool,
}

/// `[relay]`: outgoing mail goes through this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Host name or address literal.
    pub host: String,
    /// TCP port; 587 when not given, 465 with `tls = "implicit"`.
    pub port: u16,
    /// How the connection is protected.
    pub tls: RelayTls,
    /// Login, if the relay asks for one. The password is never in `mail.toml`: it is stored on the device
    /// (`mailkiln-agent secret set relay-password`).
    pub user: Option<String>,
}

/// TLS towards the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayTls {
    /// STARTTLS, required.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// None: only for a relay on a private network.
    Off,
}

/// `[mail]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// Largest message taken, in bytes; 50 MiB when not given.
    pub max_message_size: u64,
    /// Recipients that one account may write to in an hour; 200 when not given.
    pub recipients_per_hour: u32,
    /// The same for a day, at least as many; 1,000 when not given.
    pub recipients_per_day: u32,
    /// Where reports about this domain's mail (DMARC `rua`, TLS-RPT) go; `postmaster@` the first domain when
    /// not given.
    pub postmaster: Address,
    /// What becomes of accounts that were taken out of the file.
    pub removed: Removed,
}

/// What becomes of accounts that were taken out of the file. They can't sign in from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Whether new mail for them waits in the queue; else it is refused.
    pub defers: bool,
    /// After how many days they are deleted with their mail; `None` is never. 30 when not given.
    pub days: Option<u32>,
}

/// `[spam]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spam {
    /// Score in tenths from which a message is filed into Junk; 50 (5.0) when not given.
    pub junk_score: i32,
    /// Score in tenths from which a message is refused at SMTP time; `None` never refuses.
    pub reject_score: Option<i32>,
    /// DNS block list zones to ask; empty when not given, since public resolvers are refused by them.
    pub dnsbl: Vec<DomainName>,
}

/// `[acme]`: there without a word in the file, since a mail server needs a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// URL of the authority's directory; Let's Encrypt's when not given.
    pub directory: String,
    /// Whom the authority may write to; the postmaster when not given.
    pub contact: Address,
    /// Kind of the certificate's key; ECDSA P-256 when not given.
    pub key: AcmeKey,
    /// Which of the authority's profiles is asked for; its default when not given.
    pub profile: Option<String>,
    /// Identifier of the account with the authority that this one is bound to. The key to it is stored
    /// on the device (`mailkiln-agent secret set acme-eab-key`).
    pub eab_key_id: Option<String>,
    /// Roots that the authority's own server is trusted by, DER; empty means the system's.
    pub roots: Vec<Vec<u8>>,
    /// How control over the names is proved.
    pub challenge: AcmeChallenge,
    /// Names that the certificate shall have, beside those that follow from host and domains.
    pub names: Vec<DomainName>,
    /// Whether a renewal keeps the key; `true` when not given.
    pub keep_key: bool,
}

/// `[web]`: there without a word in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Web {
    /// Whether browsers are told to insist on HTTPS.
    pub hsts: bool,
    /// Whether a web server of a NixOS host has the ports and passes requests on.
    pub behind_proxy: bool,
}

/// Kind of a certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeKey {
    /// ECDSA on the curve P-256.
    EcdsaP256,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 4096 bits.
    Rsa4096,
}

/// How control over names is proved to an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// An answer over HTTP on port 80.
    Http01,
    /// A TLS handshake on port 443.
    TlsAlpn01,
    /// A record in the DNS.
    Dns01 {
        /// Who puts it there.
        provider: AcmeDns,
        /// Seconds until all name servers of the zone have it.
        wait: u32,
    },
}

/// Who puts records into the DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcmeDns {
    /// A name server that takes signed updates (RFC 2136, RFC 8945). The key is stored on the device
    /// (`mailkiln-agent secret set acme-dns-key`).
    Rfc2136 {
        /// The primary name server.
        server: SocketAddr,
        /// Name of the key.
        key_name: String,
        /// Its zones.
        zones: Vec<DomainName>,
    },
    /// The interface of a company. The key to it is stored on the device, as that of a name server.
    Company {
        /// Which.
        company: DnsCompany,
        /// Its zones.
        zones: Vec<DomainName>,
    },
    /// The program at `/var/lib/mailkiln/hooks/acme-dns` on the device.
    Exec,
}

/// Companies whose interfaces the ACME client knows (crate `dns-update-lite`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsCompany {
    /// bunny.net.
    Bunny,
    /// Cloudflare.
    Cloudflare,
    /// deSEC.
    Desec,
    /// DigitalOcean.
    DigitalOcean,
    /// DNSimple.
    Dnsimple,
    /// OVHcloud.
    Ovh,
    /// Porkbun.
    Porkbun,
    /// Amazon Route 53.
    Route53,
    /// Spaceship.
    Spaceship,
}

impl DnsCompany {
    /// What it is called in `mail.toml` and in the client's settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bunny => "bunny",
            Self::Cloudflare => "cloudflare",
            Self::Desec => "desec",
            Self::DigitalOcean => "digitalocean",
            Self::Dnsimple => "dnsimple",
            Self::Ovh => "ovh",
            Self::Porkbun => "porkbun",
            Self::Route53 => "route53",
            Self::Spaceship => "spaceship",
        }
    }
}

/// What the web unit answers in each domain: names below it.
pub const WEB_LABELS: [&str; 3] = ["autoconfig", "autodiscover", "mta-sts"];
