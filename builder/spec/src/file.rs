//! `mail.toml` as it is written: its tables, before any rule has judged them.
//!
//! In: TOML, through serde. Out: values with their spans. The doc comments here are what editors
//! show (through the JSON schema), so they speak to the administrator. Everything is optional:
//! [`shape`](crate::shape) reports what is missing.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::document::Located;

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
    /// How the image is built.
    pub(crate) build: Option<Located<BuildTable>>,
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

/// Certificates from an authority that speaks ACME (RFC 8555).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcmeTable {
    /// Whether certificates are asked for. Default: true. With `false` the certificate is self-signed,
    /// or the one that you put onto the appliance.
    #[schemars(example = true)]
    pub(crate) enable: Option<Located<bool>>,
    /// URL of the authority's directory. By naming an authority you agree to its terms of service.
    /// Default: Let's Encrypt.
    #[schemars(example = "https://acme-v02.api.letsencrypt.org/directory")]
    pub(crate) directory: Option<Text>,
    /// Whom the authority may write to. Default: the postmaster.
    #[schemars(example = "postmaster@example.org")]
    pub(crate) contact: Option<Text>,
    /// Kind of the certificate's key: `ecdsa-p256` (the default), `rsa-2048` or `rsa-4096`.
    #[schemars(example = &"ecdsa-p256")]
    pub(crate) key: Option<Located<AcmeKeyValue>>,
    /// Whether a renewal keeps the key, so that TLSA records stay right. Default: true.
    #[schemars(example = true)]
    pub(crate) keep_key: Option<Located<bool>>,
    /// One of the authority's profiles, such as Let's Encrypt's `shortlived`. Default: the authority's.
    #[schemars(example = &"shortlived")]
    pub(crate) profile: Option<Text>,
    /// Identifier of your account with an authority that asks for external account binding. Its key is
    /// stored on the appliance, never here.
    #[schemars(example = "kid-1")]
    pub(crate) eab_key_id: Option<Text>,
    /// Roots that the authority's own server is trusted by, each as the base64 of its DER on one line.
    /// Default: those of the system.
    #[schemars(extend("examples" = [["MIIB…"]]))]
    pub(crate) roots: Option<Vec<Text>>,
    /// Further names that the certificate shall have.
    #[schemars(extend("examples" = [["imap.example.org"]]))]
    pub(crate) names: Option<Vec<Text>>,
    /// How control over the names is proved: `http-01` (the default; port 80), `tls-alpn-01` (port 443)
    /// or `dns-01`.
    #[schemars(example = &"http-01")]
    pub(crate) challenge: Option<Located<AcmeChallengeValue>>,
    /// For `dns-01`: `rfc2136`, a name server that takes signed updates, a DNS company by its name,
    /// such as `cloudflare`, or `exec`, a program on the appliance.
    #[schemars(example = &"rfc2136")]
    pub(crate) dns_provider: Option<Located<AcmeDnsValue>>,
    /// For `rfc2136`: address and port of the primary name server. Default port: 53.
    #[schemars(example = "192.0.2.53")]
    pub(crate) dns_server: Option<Text>,
    /// For `rfc2136`: name of the TSIG key (HMAC-SHA256). The key is stored on the appliance.
    #[schemars(example = &"acme")]
    pub(crate) dns_key_name: Option<Text>,
    /// For `rfc2136` and companies: zones that are there. Default: the mail domains.
    #[schemars(extend("examples" = [["example.org"]]))]
    pub(crate) dns_zones: Option<Vec<Text>>,
    /// For `dns-01`: seconds until all name servers of the zone have a change. Default: 30.
    #[schemars(example = 30)]
    pub(crate) dns_wait: Option<Located<i64>>,
}

/// Kind of a certificate's key.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum AcmeKeyValue {
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// How control over names is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum AcmeChallengeValue {
    #[serde(rename = "http-01")]
    Http01,
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    #[serde(rename = "dns-01")]
    Dns01,
}

/// Who puts records into the DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AcmeDnsValue {
    Rfc2136,
    Exec,
    Bunny,
    Cloudflare,
    Desec,
    DigitalOcean,
    Dnsimple,
    Ovh,
    Porkbun,
    Route53,
    Spaceship,
}

/// The filter that looks into attachments.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterTable {
    /// Whether there is a filter. Default: true.
    #[schemars(example = true)]
    pub(crate) enable: Option<Located<bool>>,
    /// What happens to a message that could not be looked into: `defer` (the default), it waits
    /// with its sender, or `pass`, it is delivered with a mark.
    #[schemars(example = &"defer")]
    pub(crate) on_failure: Option<Located<OnFailureValue>>,
    /// Days that a message stays in the quarantine. Default: 30.
    #[schemars(example = 30)]
    pub(crate) quarantine_days: Option<Located<i64>>,
    /// Most that the quarantine holds, in bytes or with a unit. Default: 1 GiB.
    #[schemars(example = "1 GiB")]
    pub(crate) quarantine_size: Option<Located<SizeValue>>,
    /// Whether the postmaster gets a daily letter about what is new in the quarantine. Default:
    /// true.
    #[schemars(example = true)]
    pub(crate) digest: Option<Located<bool>>,
    /// Address of further malware rules (YARA), fetched once a day. It needs `rules_key`.
    #[schemars(example = "https://rules.example.net/mail.yar")]
    pub(crate) rules_url: Option<Text>,
    /// The Ed25519 key that signs the rules of `rules_url`: 32 bytes in base64.
    #[schemars(example = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    pub(crate) rules_key: Option<Text>,
    /// Whether ClamAV runs beside the filter and is asked too. It needs 3 GiB of memory, and mail waits
    /// until it has fetched its signatures. Default: false.
    #[schemars(example = true)]
    pub(crate) clamav: Option<Located<bool>>,
    /// Address and port of a ClamAV (`clamd`) on a private network, which is asked too. Default:
    /// none.
    #[schemars(example = "10.0.0.5:3310")]
    pub(crate) clamd: Option<Text>,
    /// What is done about which kind of attachment.
    pub(crate) actions: Option<Located<ActionsTable>>,
}

/// What is done about a message that could not be looked into.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailureValue {
    Defer,
    Pass,
}

/// What is done about a kind of attachment.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActionValue {
    Pass,
    Mark,
    Strip,
    Quarantine,
    Reject,
}

/// What is done about which kind of attachment: `reject` refuses the message, `quarantine` keeps it
/// on the appliance, `strip` replaces the part by a text, `mark` adds a header field, `pass` does
/// nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionsTable {
    /// What a malware rule knows. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) malware: Option<Located<ActionValue>>,
    /// Programs, by their content or by a name that would start them. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) executable: Option<Located<ActionValue>>,
    /// Scripts that a double click would run. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) script: Option<Located<ActionValue>>,
    /// Links to programs: `.lnk`, `.url` and their kin. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) shortcut: Option<Located<ActionValue>>,
    /// Names that pretend: `invoice.pdf.exe`, text that runs backwards. Default: `reject`.
    #[schemars(example = &"reject")]
    pub(crate) deceptive_name: Option<Located<ActionValue>>,
    /// Web pages that make a file in the browser. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) html_smuggling: Option<Located<ActionValue>>,
    /// Macros that start by themselves or do what documents have no need of. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) auto_macro: Option<Located<ActionValue>>,
    /// Documents that reach outside: DDE, remote templates, objects. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) active_document: Option<Located<ActionValue>>,
    /// What a limit ended before all of it was seen, such as a bomb. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) limit: Option<Located<ActionValue>>,
    /// What programs read in different ways, or may see where the filter could not. Default: `quarantine`.
    #[schemars(example = &"quarantine")]
    pub(crate) ambiguous: Option<Located<ActionValue>>,
    /// Other macros. Default: `mark`.
    #[schemars(example = &"mark")]
    pub(crate) r#macro: Option<Located<ActionValue>>,
    /// What needs a password, so that nobody could look into it. Default: `mark`.
    #[schemars(example = &"mark")]
    pub(crate) encrypted_archive: Option<Located<ActionValue>>,
    /// What is broken, so that not all of it could be read. Default: `mark`.
    #[schemars(example = &"mark")]
    pub(crate) damaged: Option<Located<ActionValue>>,
    /// Containers of a kind that the filter cannot open. Default: `mark`.
    #[schemars(example = &"mark")]
    pub(crate) opaque: Option<Located<ActionValue>>,
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
