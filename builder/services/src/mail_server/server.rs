//! The server itself: names, storage, secrets, logs, caches, and what readers may do.

use std::net::IpAddr;

use mailkiln_spec::Spec;

use super::secret;
use super::settings::{Section, Value};
use crate::{HostFacts, Resolver};

/// The server's state directory.
const STATE: &str = "/var/lib/mail-server";

/// Mail, indexes and queue.
fn database() -> String {
    format!("{STATE}/mail.sqlite")
}

/// A literal of an IMAP APPEND also holds the message's headers in transfer encoding.
const IMAP_REQUEST_MINIMUM: u64 = 50 << 20;

pub(super) fn sections(spec: &Spec, host: &HostFacts) -> Vec<Section> {
    let mut sections = vec![
        Section::new(
            "config",
            "Every key of this file wins over the database and can't be changed through the API.",
        )
        .set("local-keys", ["*"]),
        Section::new("version", "Any value stops the download of rules and default settings.")
            .set("spam-filter", "mailkiln"),
        Section::new("server", "The name in greetings, HELO and reports.")
            .set("hostname", spec.host.name.as_str()),
    ];
    sections.extend(storage());
    sections.push(space(spec));
    sections.extend(api(spec));
    sections.extend(readers(spec));
    sections.push(resolver(host));
    sections
}

/// All that is indexed of a message; without `email-headers`, SEARCH HEADER finds nothing but the
/// fields that have a name of their own.
const EMAIL_FIELDS: [&str; 12] = [
    "email-from",
    "email-to",
    "email-cc",
    "email-bcc",
    "email-subject",
    "email-body",
    "email-attachment",
    "email-received-at",
    "email-sent-at",
    "email-size",
    "email-has-attachment",
    "email-headers",
];

fn storage() -> [Section; 6] {
    [
        Section::new("store.db", "Mail, indexes and queue in one database: one thing to back up.")
            .set("type", "sqlite")
            .set("path", database())
            .set("pool.max-connections", 10)
            .set("pool.workers", 4)
            .set("compression", "lz4"),
        Section::new("storage", "")
            .set("data", "db")
            .set("blob", "db")
            .set("lookup", "db")
            .set("fts", "db")
            .set("directory", "internal")
            .set("search-index.email.fields", EMAIL_FIELDS),
        Section::new("directory.internal", "Accounts and domains, made through the API.")
            .set("type", "internal")
            .set("store", "db")
            .set("cache.ttl.positive", "10s")
            // Mail to an address that was refused once must not wait for its new account.
            .set("cache.ttl.negative", "2s"),
        Section::new("tracer.journal", "To the journal, which adds time and unit.")
            .set("type", "stdout")
            .set("level", "info")
            .set("ansi", false)
            .set("buffered", false)
            .set("enable", true),
        Section::new("metrics", "").set("prometheus.enable", false),
        Section::new(
            "cache",
            "Bytes. The server's defaults are made for 100 MB and more; this one shares a machine.",
        )
        // One shard: what is larger than a part of a shard is never cached, and a mailbox of 100,000
        // messages is one item of 10 MB.
        .set("message.size", 32 << 20)
        .set("message.capacity", 32)
        .set("access-token.size", 2 << 20)
        .set("http-auth.size", 1 << 20)
        .set("files.size", 2 << 20)
        .set("events.size", 4 << 20)
        .set("contacts.size", 4 << 20)
        .set("scheduling.size", 1 << 20),
    ]
}

/// A full disk can't delete either. So mail is deferred, and nothing is taken from users, while there is
/// still room for three messages of the largest size, or 5 % of the disk if that is more; the server keeps
/// at most a quarter of a small disk free.
fn space(spec: &Spec) -> Section {
    Section::new("server.space", "Below this many free bytes nothing new is stored.")
        .set("path", STATE)
        .set("reserve", spec.mail.max_message_size.saturating_mul(3))
}

fn api(spec: &Spec) -> [Section; 4] {
    let web = spec.web.is_some();
    let reach = match web {
        true => "The web unit passes requests on, and says for whom.",
        false => "Only loopback reaches it, and nothing forwards for others.",
    };
    [
        Section::new("authentication.fallback-admin", "The API's administrator.")
            .set("user", "admin")
            .set("secret", secret("admin-hash")),
        Section::new("oauth", "Without a key of its own every restart would end all sessions.")
            .set("key", secret("oauth-key"))
            .set("client-registration.anonymous", false)
            .set("client-registration.require", true),
        Section::new("http", reach)
            .set("url", "'https://' + config_get('server.hostname')")
            .set("use-x-forwarded", web)
            .set("rate-limit.account", "1000/1m")
            .set("rate-limit.anonymous", "100/1m"),
        Section::new("form", "No contact form.").set("enable", false),
    ]
}

fn readers(spec: &Spec) -> [Section; 5] {
    let append = spec.mail.max_message_size.max(IMAP_REQUEST_MINIMUM);
    [
        Section::new("imap", "LOGIN only under TLS; a message of the largest size can be stored.")
            .set("auth.allow-plain-text", false)
            .set("auth.max-failures", 3)
            .set("request.max-size", append)
            .set("timeout.authenticated", "30m")
            .set("timeout.anonymous", "1m")
            .set("timeout.idle", "30m"),
        Section::new("jmap.email", "The same limit inside the server.").set("max-size", append),
        Section::new("email", "The bin and the junk folder are emptied after this time.")
            .set("auto-expunge", "30d"),
        Section::new("calendar", "Invitations by mail; no page for answers, it is not part of us.")
            .set("alarms.enabled", true)
            .set("scheduling.enable", true)
            .set("scheduling.http-rsvp.enable", false),
        Section::new("sharing", "Accounts do not see who else has one.")
            .set("allow-directory-query", false),
    ]
}

fn resolver(host: &HostFacts) -> Section {
    let addresses = match &host.resolver {
        Resolver::System => {
            return Section::new("resolver", "Those of /etc/resolv.conf, as the host has chosen.")
                .set("type", "system")
                .set("timeout", "4s")
                .set("attempts", 2)
                .set("edns", true);
        }
        Resolver::Resolved => vec!["127.0.0.54".to_owned()],
        Resolver::Addresses(addresses) => addresses.iter().map(literal).collect(),
    };
    let both = |address: &String| [format!("udp://{address}"), format!("tcp://{address}")];
    let why = match &host.resolver {
        Resolver::Resolved => {
            "systemd-resolved's proxy: unlike 127.0.0.53 it hands DNSSEC records through, which\n\
             DANE needs. TCP for answers that do not fit."
        }
        _ => "The host's choice. TCP for answers that do not fit.",
    };
    Section::new("resolver", why)
        .set("type", "custom")
        .set("custom", Value::List(addresses.iter().flat_map(both).collect()))
        .set("timeout", "4s")
        .set("attempts", 2)
        .set("edns", true)
}

/// As part of a URL.
fn literal(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
