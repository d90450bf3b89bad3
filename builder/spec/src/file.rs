//! `mail.toml` as it is written: its tables, before any rule has judged them.
//!
//! In: TOML, through serde. Out: values with their spans. The doc comments here are what editors
//! show (through the JSON schema), so they speak to the administrator. Everything is optional:
//! [`shape`](crate::shape) reports what is missing.

mod acme;
mod filter;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::document::Located;

pub(crate) use acme::*;
pub(crate) use filter::*;

/// Text with its place.
pub(crate) type Text = Located<String>;

/// The file that describes a mail appliance: one host, its domains and its accounts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "mail.toml")]
pub(crate) struct MailToml {
    /// The machine itself.
    #[schemars(required)]
    pub(crate) host: Option<Located<HostTable>>,
    /// How the machine reaches the world. Without this table: DHCP and router advertisements.
    pub(crate) network: Option<Located<NetworkTable>>,
    /// Remote shells, by key only. Without this table no SSH server runs.
    pub(crate) ssh: Option<Located<SshTable>>,
    /// The domains that mail is taken for, one table each.
    #[schemars(required)]
    pub(crate) domain: Option<Vec<Located<DomainTable>>>,
    /// The mailboxes, one table each. `postmaster@` and `abuse@` of every domain go to the first,
    /// unless an account claims them.
    pub(crate) account: Option<Vec<Located<AccountTable>>>,
    /// A host that takes all outgoing mail. Without this table mail goes out directly.
    pub(crate) relay: Option<Located<RelayTable>>,
    /// Limits of the mail server.
    pub(crate) mail: Option<Located<MailTable>>,
    /// The spam filter.
    pub(crate) spam: Option<Located<SpamTable>>,
    /// Certificates from an authority that speaks ACME. Without this table: from Let's Encrypt, to whose
    /// terms of service (https://letsencrypt.org/repository/) you then agree.
    pub(crate) acme: Option<Located<AcmeTable>>,
    /// The filter that looks into attachments.
    pub(crate) filter: Option<Located<FilterTable>>,
    /// The web unit on ports 80 and 443: webmail, calendars and contacts, MTA-STS, what mail programs ask
    /// to set themselves up.
    pub(crate) web: Option<Located<WebTable>>,
    /// What a machine may be told at its first boot.
    pub(crate) first_boot: Option<Located<FirstBootTable>>,
    /// How the image is built.
    pub(crate) build: Option<Located<BuildTable>>,
}

/// What a machine may be told at its first boot, by the user-data of its cloud or hypervisor.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstBootTable {
    /// Whether user-data may set host name, domains, accounts and relay: `allowed` (the default), `required`
    /// (no mail service runs before; host and domains may be left out here), or `refused`.
    #[schemars(example = &"required")]
    pub(crate) fragment: Option<Located<FragmentValue>>,
}

/// Whether user-data counts.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FragmentValue {
    Allowed,
    Required,
    Refused,
}

/// The machine itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostTable {
    /// Full name of the machine, as its MX and PTR records say it. 64 characters at most.
    #[schemars(required, example = "mail.example.org")]
    pub(crate) name: Option<Text>,
    /// Time zone by its IANA name. Default: `UTC`.
    #[schemars(example = "Europe/Berlin")]
    pub(crate) timezone: Option<Text>,
}

/// How the machine reaches the world.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkTable {
    /// Which interface is used, by name or pattern. Default: the first that matches `en* eth*`.
    #[schemars(example = "en*")]
    pub(crate) interface: Option<Text>,
    /// Which card, by its hardware address, where names are not certain. Default: whichever.
    #[schemars(example = "52:54:00:12:34:56")]
    pub(crate) mac: Option<Text>,
    /// Which card, by the driver that serves it. Default: whichever.
    #[schemars(example = &"igb")]
    pub(crate) driver: Option<Text>,
    /// Number of the VLAN that mail goes through, tagged, on that card. Default: none.
    #[schemars(example = 100)]
    pub(crate) vlan: Option<Located<i64>>,
    /// What is asked of DHCP and of router advertisements: `both`, `ipv4`, `ipv6` or `none`. Default:
    /// `both` without `addresses`, else `none`.
    #[schemars(example = &"ipv4")]
    pub(crate) dhcp: Option<Located<DhcpValue>>,
    /// Static addresses with their prefix lengths. Default: DHCP and router advertisements.
    #[schemars(extend("examples" = [["192.0.2.10/24", "2001:db8::10/64"]]))]
    pub(crate) addresses: Option<Vec<Text>>,
    /// Default gateways of the static addresses, at most one for IPv4 and one for IPv6.
    #[schemars(extend("examples" = [["192.0.2.1", "fe80::1"]]))]
    pub(crate) gateways: Option<Vec<Text>>,
    /// DNS resolvers. Default: those that DHCP names.
    #[schemars(extend("examples" = [["192.0.2.53"]]))]
    pub(crate) resolvers: Option<Vec<Text>>,
    /// Whether IPv6 is used at all. Default: true.
    #[schemars(example = true)]
    pub(crate) ipv6: Option<Located<bool>>,
}

/// For which family addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DhcpValue {
    Both,
    Ipv4,
    Ipv6,
    None,
}

/// Remote shells, by key only.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SshTable {
    /// TCP port. Default: 22.
    #[schemars(example = 22)]
    pub(crate) port: Option<Located<i64>>,
    /// Public keys that may log in as root: lines of an `authorized_keys` file, without options.
    #[schemars(required, extend("examples" = [["ssh-ed25519 AAAA… alice@laptop"]]))]
    pub(crate) keys: Option<Located<Vec<Text>>>,
}

/// A domain that mail is taken for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainTable {
    /// The domain: the part behind the `@`. Letters beyond ASCII are welcome.
    #[schemars(required, example = "example.org")]
    pub(crate) name: Option<Text>,
    /// The account or alias that gets mail for addresses of this domain that do not exist.
    #[schemars(example = "alice@example.org")]
    pub(crate) catch_all: Option<Text>,
    /// What is done about attachments for this domain, where that is not what `[filter.actions]`
    /// says.
    pub(crate) filter: Option<Located<ActionsTable>>,
}

/// A mailbox.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountTable {
    /// Login and address, of one of the domains above.
    #[schemars(required, example = "alice@example.org")]
    pub(crate) address: Option<Text>,
    /// The name that recipients see.
    #[schemars(example = "Alice Example")]
    pub(crate) name: Option<Text>,
    /// Further addresses that are delivered here, and that this account may send from.
    #[schemars(extend("examples" = [["info@example.org"]]))]
    pub(crate) aliases: Option<Vec<Text>>,
    /// Most that the mailbox holds, in bytes or with a unit. Default: no limit.
    #[schemars(example = "5 GiB")]
    pub(crate) quota: Option<Located<SizeValue>>,
    /// Lets this account write as anybody, as a program that sends for others must. Default: false, an
    /// account writes from its own addresses only.
    #[schemars(example = false)]
    pub(crate) any_sender: Option<Located<bool>>,
}

/// A host that takes all outgoing mail.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelayTable {
    /// Name or address of the relay.
    #[schemars(required, example = "smtp.example.net")]
    pub(crate) host: Option<Text>,
    /// TCP port. Default: 465 with `tls = "implicit"`, otherwise 587.
    #[schemars(example = 587)]
    pub(crate) port: Option<Located<i64>>,
    /// `starttls` (the default), `implicit` (TLS from the first byte), or `off`, which is for a
    /// private address only.
    #[schemars(example = &"starttls")]
    pub(crate) tls: Option<Located<TlsValue>>,
    /// Login at the relay. Its password is stored on the appliance, never here.
    #[schemars(example = "alice@example.net")]
    pub(crate) user: Option<Text>,
}

/// How the connection to the relay is protected.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TlsValue {
    Starttls,
    Implicit,
    Off,
}

/// Limits of the mail server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailTable {
    /// Largest message that is taken, in bytes or with a unit. Default: 50 MiB.
    #[schemars(example = "50 MiB")]
    pub(crate) max_message_size: Option<Located<SizeValue>>,
    /// Recipients that one account may write to in an hour; more are deferred, and the postmaster is
    /// told. Default: 200.
    #[schemars(example = 200)]
    pub(crate) recipients_per_hour: Option<Located<i64>>,
    /// The same for a day. Default: 1000.
    #[schemars(example = 1000)]
    pub(crate) recipients_per_day: Option<Located<i64>>,
    /// Who gets the reports of other servers (DMARC, TLS-RPT). Default: `postmaster@` the first
    /// domain.
    #[schemars(example = "postmaster@example.org")]
    pub(crate) postmaster: Option<Text>,
    /// What happens to new mail for an account that was taken out of this file: `refuse` (the default),
    /// its addresses are unknown, or `defer`, it waits in the queue for the account to come back.
    #[schemars(example = &"refuse")]
    pub(crate) removed: Option<Located<RemovedValue>>,
    /// Days until an account that was taken out of this file is deleted with its mail; 0 is never.
    /// Default: 30.
    #[schemars(example = 30)]
    pub(crate) removed_days: Option<Located<i64>>,
}

/// What becomes of mail for an account that was taken out of the file.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RemovedValue {
    Refuse,
    Defer,
}

/// The spam filter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpamTable {
    /// Score from which a message goes to the Junk folder, one decimal at most. Default: 5.0.
    #[schemars(example = 5.0)]
    pub(crate) junk_score: Option<Located<f64>>,
    /// Score from which a message is refused, one decimal at most. Default: none is refused.
    #[schemars(example = 15.0)]
    pub(crate) reject_score: Option<Located<f64>>,
    /// DNS block lists to ask. Default: none, since they refuse those who ask through a public
    /// resolver.
    #[schemars(extend("examples" = [["dnsbl.example.net"]]))]
    pub(crate) dnsbl: Option<Vec<Text>>,
}

/// The web unit on ports 80 and 443: webmail, calendars and contacts, MTA-STS, what mail programs ask to
/// set themselves up.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebTable {
    /// Whether there is a web unit. Default: true.
    #[schemars(example = true)]
    pub(crate) enable: Option<Located<bool>>,
    /// Whether browsers are told to insist on HTTPS for a year (HSTS). Default: true.
    #[schemars(example = true)]
    pub(crate) hsts: Option<Located<bool>>,
    /// Only on a NixOS host: whether its own web server has ports 80 and 443, and passes requests on to
    /// the Unix socket `/run/mailkiln-web/http`. Default: false; true where
    /// `services.mailkiln.webServer` names one.
    #[schemars(example = false)]
    pub(crate) behind_proxy: Option<Located<bool>>,
}

/// How the image is built.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildTable {
    /// Debian mirror to download packages from. Every package is checked against the lock,
    /// whatever the mirror says. Default: the mirror that this machine's apt uses.
    #[schemars(example = "https://mirror.example.net/debian")]
    pub(crate) mirror: Option<Text>,
    /// Unit caches to take compiled units from, instead of compiling them, where one of `units_keys`
    /// has signed them; asked in this order. Default: none.
    #[schemars(extend("examples" = [["https://units.example.org"]]))]
    pub(crate) units_from: Option<Vec<Text>>,
    /// Public keys of those whom you trust to have compiled units from the sources that they name.
    /// Default: none.
    #[schemars(extend("examples" = [["units.example.org-1:qi4BEtHhBmIpa6xyPWhfJXGbYx0G1kY5RDz+7ujZ4Rw="]]))]
    pub(crate) units_keys: Option<Vec<Text>>,
}

/// A number of bytes: `5368709120` or `"5 GiB"`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum SizeValue {
    /// Plain bytes.
    Bytes(i64),
    /// A number and a unit.
    Text(String),
}

impl JsonSchema for SizeValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"]})
    }
}
