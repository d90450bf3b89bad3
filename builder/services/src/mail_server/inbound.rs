//! Mail that comes in: who may submit, for whom, and how much.

use mailkiln_spec::{Domain, Spec};

use super::settings::{Section, Value, constant, when};

/// True for servers on port 25, false for users.
pub(super) const FROM_SERVERS: &str = "listener == 'smtp'";
/// True where nobody logs in: for other servers, and for what is released from the quarantine.
const WITHOUT_LOGIN: &str = "listener == 'smtp' || listener == 'release'";
const AUTHENTICATED: &str = "!is_empty(authenticated_as)";

/// Bytes in one session; at least two messages of the largest size.
const TRANSFER_MINIMUM: u64 = 250 << 20;

pub(super) fn sections(spec: &Spec) -> Vec<Section> {
    let mut sections = vec![session(spec), extensions(), authentication(spec), recipients(spec)];
    sections.extend(message(spec));
    sections.extend(limits());
    sections
}

fn session(spec: &Spec) -> Section {
    let transfer = spec.mail.max_message_size.saturating_mul(2).max(TRANSFER_MINIMUM);
    Section::new("session", "A slow uplink needs its time for a large message.")
        .set("timeout", "5m")
        .set("duration", when(FROM_SERVERS, "15m", "1h"))
        .set("transfer-limit", transfer)
        .set("connect.greeting", "config_get('server.hostname') + ' ESMTP'")
        .set("ehlo.require", true)
        .set("ehlo.reject-non-fqdn", when(FROM_SERVERS, "true", "false"))
        .set("mail.is-allowed", true)
}

fn extensions() -> Section {
    Section::new("session.extensions", "VRFY and EXPN would list our accounts to anybody.")
        .set("vrfy", false)
        .set("expn", false)
        .set("dsn", when(AUTHENTICATED, "true", "false"))
        .set("future-release", when(AUTHENTICATED, "7d", "false"))
        .set("deliver-by", when(AUTHENTICATED, "15d", "false"))
        .set("mt-priority", when(AUTHENTICATED, "mixer", "false"))
}

/// Accounts write from their own addresses, but for those that the file frees.
fn own_addresses(spec: &Spec) -> Value {
    let free: Vec<(String, String)> = spec
        .accounts
        .iter()
        .filter(|account| account.any_sender)
        .map(|account| {
            let login = constant(&account.address.to_string());
            (format!("authenticated_as == {login}"), "false".to_owned())
        })
        .collect();
    if free.is_empty() { Value::Truth(true) } else { Value::Rules(free, "true".to_owned()) }
}

fn authentication(spec: &Spec) -> Section {
    Section::new(
        "session.auth",
        "Never on 25 and for released mail, elsewhere a must, no password without TLS, and the\n\
         sender has to be an address of the account.",
    )
    .set("directory", when(WITHOUT_LOGIN, "false", "'*'"))
    .set("require", when(WITHOUT_LOGIN, "false", "true"))
    .set("mechanisms", when("listener != 'smtp' && is_tls", "[plain, login]", "false"))
    .set("must-match-sender", own_addresses(spec))
    .set("must-match-header", own_addresses(spec))
    .set("errors.total", 3)
    .set("errors.wait", "2s")
}

fn recipients(spec: &Spec) -> Section {
    Section::new("session.rcpt", "Nobody relays without having logged in.")
        .set("relay", when(AUTHENTICATED, "true", "false"))
        .set("directory", "'*'")
        .set("sub-addressing", true)
        .set("catch-all", catch_all(&spec.domains))
        .set("max-recipients", 100)
        .set("errors.total", 5)
        .set("errors.wait", "2s")
        // A stolen password can't flood the world. Beyond that, recipients are refused for the rest
        // of the hour or day, and the postmaster gets a letter.
        .set("account.rate", recipient_rates(spec))
        .set("account.notify", spec.mail.postmaster.to_string())
}

fn recipient_rates(spec: &Spec) -> Value {
    let (hour, day) = (spec.mail.recipients_per_hour, spec.mail.recipients_per_day);
    Value::List(vec![format!("{hour}/1h"), format!("{day}/1d")])
}

/// The server's own catch-all is an account that has `@example.org` among its addresses, which
/// would also let it *send* as everybody in the domain. So the rule is written here instead.
fn catch_all(domains: &[Domain]) -> Value {
    let rules: Vec<(String, String)> = domains
        .iter()
        .filter_map(|domain| {
            let address = domain.catch_all.as_ref()?.to_string();
            let condition = format!("ends_with(rcpt, {})", constant(&format!("@{}", domain.name)));
            Some((condition, constant(&address)))
        })
        .collect();
    if rules.is_empty() { Value::Truth(false) } else { Value::Rules(rules, "rcpt".to_owned()) }
}

fn message(spec: &Spec) -> [Section; 2] {
    [
        Section::new("session.data", "What users send is not judged by the spam filter.")
            .set("spam-filter", when(FROM_SERVERS, "true", "false"))
            .set("limits.messages", 20)
            .set("limits.size", spec.mail.max_message_size)
            .set("limits.received-headers", 50),
        Section::new("session.data.add-headers", "")
            .set("received", true)
            .set("received-spf", when(FROM_SERVERS, "true", "false"))
            .set("return-path", when(FROM_SERVERS, "true", "false"))
            .set("auth-results", when(FROM_SERVERS, "true", "false"))
            .set("message-id", true)
            .set("date", true)
            .set("delivered-to", false),
    ]
}

fn limits() -> [Section; 3] {
    [
        Section::new("queue.limiter.inbound.server", "One server, all its connections.")
            .set("key", ["remote_ip"])
            .set("match", FROM_SERVERS)
            .set("rate", "20/1s")
            .set("enable", true),
        Section::new("queue.limiter.inbound.mailbox", "One sender can't fill one mailbox.")
            .set("key", ["sender_domain", "rcpt"])
            .set("match", FROM_SERVERS)
            .set("rate", "1000/1h")
            .set("enable", true),
        Section::new("queue.quota.size", "The queue can't fill the disk.")
            .set("messages", 100_000)
            .set("size", 2 << 30)
            .set("enable", true),
    ]
}
