//! Mail that goes out: routes, retries, reports.

use mailkiln_spec::{Relay, RelayTls, Spec};

use super::identity::both;
use super::settings::{Section, Value, constant, when};
use super::{RELAY_PASSWORD, secret};

pub(super) fn sections(spec: &Spec) -> Vec<Section> {
    let mut sections = strategy(spec.relay.as_ref()).to_vec();
    sections.extend(schedules());
    sections.extend(routes(spec));
    sections.extend(reports(spec));
    sections.extend(scripts(spec));
    sections
}

const LOCAL: &str = "is_local_domain('*', rcpt_domain)";

fn strategy(relay: Option<&Relay>) -> [Section; 2] {
    let schedule =
        [(LOCAL, "'local'"), ("source == 'dsn'", "'dsn'"), ("source == 'report'", "'report'")]
            .map(|(condition, then)| (condition.to_owned(), then.to_owned()));
    let (route, tls) = match relay {
        Some(_) => ("'relay'", Value::Text("'relay'".to_owned())),
        None => ("'mx'", when("retry_num > 0 && last_error == 'tls'", "'unverified'", "'default'")),
    };
    [
        Section::new("queue.strategy", "Local mail stays here.")
            .set("route", when(LOCAL, "'local'", route))
            .set("schedule", Value::Rules(schedule.to_vec(), "'remote'".to_owned()))
            .set("connection", "'default'")
            .set("tls", tls),
        Section::new("queue.virtual", "Deliveries at a time.")
            .set("local.threads-per-node", 10)
            .set("remote.threads-per-node", 25)
            .set("dsn.threads-per-node", 2)
            .set("report.threads-per-node", 2),
    ]
}

/// RFC 5321 section 4.5.4.1: give up after four to five days, and tell the sender earlier.
fn schedules() -> [Section; 4] {
    let retry = ["2m", "5m", "10m", "15m", "30m", "1h", "2h"];
    let mail = |id| {
        Section::item("queue.schedule", id, "")
            .set("queue-name", id)
            .set("retry", retry)
            .set("notify", ["1d", "3d"])
            .set("expire", "5d")
    };
    [
        mail("local"),
        mail("remote"),
        Section::new("queue.schedule.dsn", "")
            .set("queue-name", "dsn")
            .set("retry", ["15m", "30m", "1h", "2h"])
            .set("max-attempts", 10),
        Section::new("queue.schedule.report", "")
            .set("queue-name", "report")
            .set("retry", ["30m", "1h", "2h"])
            .set("max-attempts", 8),
    ]
}

fn routes(spec: &Spec) -> Vec<Section> {
    let lookup = if spec.network.ipv6 { "ipv4_then_ipv6" } else { "ipv4_only" };
    let mut sections = vec![
        Section::new("queue.route.local", "").set("type", "local"),
        Section::new("queue.route.mx", "")
            .set("type", "mx")
            .set("ip-lookup", lookup)
            .set("limits.mx", 5)
            .set("limits.multihomed", 2),
        Section::new("queue.connection.default", "")
            .set("ehlo-hostname", spec.host.name.as_str())
            .set("timeout.connect", "3m"),
        Section::new(
            "queue.tls.default",
            "By MTA-STS or the certificate, as far as offered. DANE stays off: the validator of DNSSEC is\n\
             an alpha release, and what it can't validate would not be delivered.",
        )
        .set("dane", "disable")
        .set("mta-sts", "optional")
        .set("starttls", "optional")
        .set("allow-invalid-certs", false),
        Section::new(
            "queue.tls.unverified",
            "Second try at a host whose certificate is wrong and which promised nothing else.",
        )
        .set("dane", "disable")
        .set("mta-sts", "optional")
        .set("starttls", "optional")
        .set("allow-invalid-certs", true),
    ];
    sections.extend(spec.relay.iter().flat_map(relay));
    sections
}

fn relay(relay: &Relay) -> [Section; 2] {
    let mut route = Section::new("queue.route.relay", "Everything for others goes here.")
        .set("type", "relay")
        .set("address", relay.host.as_str())
        .set("port", u64::from(relay.port))
        .set("protocol", "smtp")
        .set("tls.implicit", relay.tls == RelayTls::Implicit)
        .set("tls.allow-invalid-certs", false);
    if let Some(user) = &relay.user {
        route =
            route.set("auth.username", user.as_str()).set("auth.secret", secret(RELAY_PASSWORD));
    }
    let starttls = match relay.tls {
        RelayTls::Starttls => "require",
        RelayTls::Implicit | RelayTls::Off => "disable",
    };
    let tls = Section::new("queue.tls.relay", "The certificate of the relay has to be right.")
        .set("dane", "disable")
        .set("mta-sts", "disable")
        .set("starttls", starttls)
        .set("allow-invalid-certs", false);
    [route, tls]
}

/// Reports that come in are ordinary mail to the postmaster: no address is analysed, so nobody
/// can make the server unpack what they send. Failure reports are off, as they tell strangers
/// what our users receive.
fn reports(spec: &Spec) -> Vec<Section> {
    let Some(first) = spec.domains.first().map(|domain| &domain.name) else {
        return Vec::new();
    };
    let sign = both(first);
    let postmaster = constant(&spec.mail.postmaster.to_string());
    let aggregate = |id| {
        Section::item("report", id, "")
            .set("sign", sign.as_str())
            .set("send", false)
            .set("aggregate.send", "daily")
            .set("aggregate.sign", sign.as_str())
            .set("aggregate.contact-info", postmaster.as_str())
    };
    vec![
        Section::new("report", "")
            .set("domain", first.as_str())
            .set("submitter", "config_get('server.hostname')")
            .set("dsn.sign", sign.as_str())
            .set("dkim.send", false)
            .set("dkim.sign", sign.as_str())
            .set("spf.send", false)
            .set("spf.sign", sign.as_str()),
        aggregate("dmarc"),
        aggregate("tls"),
    ]
}

/// What the scripts of users send: forwarded mail, answers, notices. It is signed for the domain
/// of its envelope sender, or for the first one when that is empty.
fn scripts(spec: &Spec) -> Vec<Section> {
    let Some(first) = spec.domains.first().map(|domain| &domain.name) else {
        return Vec::new();
    };
    let rules = spec
        .domains
        .iter()
        .map(|domain| {
            let condition = format!("sender_domain == {}", constant(domain.name.as_str()));
            (condition, both(&domain.name))
        })
        .collect();
    vec![
        Section::new("sieve.trusted", "").set("sign", Value::Rules(rules, both(first))),
        Section::new(
            "sieve.untrusted.limits",
            "Room for what people do; a message that has come through more servers than this goes\n\
             in circles.",
        )
        .set("redirects", 32)
        .set("outgoing-messages", 40)
        .set("received-headers", 50)
        .set("includes", 10)
        .set("nested-includes", 5),
    ]
}
