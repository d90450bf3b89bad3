//! What is refused, as tables: one key of an otherwise valid file is changed at a time.

mod any_text;

use crate::{ClamAv, FilterAction, FilterClass, OnFailure, Problem, Spec, parse};

/// The problems of a text that must have some.
fn problems(text: &str) -> Vec<Problem> {
    parse(text).unwrap_err().problems().to_vec()
}

/// A valid file with `extra` lines in the table `table` (which `base` must not have).
fn with(table: &str, extra: &str) -> String {
    format!("{BASE}\n[{table}]\n{extra}\n")
}

const BASE: &str = r#"
[host]
name = "mail.example.org"
[[domain]]
name = "example.org"
[[account]]
address = "alice@example.org"
aliases = ["info@example.org"]
"#;

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

/// Asserts that the text has exactly one problem, that it marks `marked` and gives `reason`.
fn refused(text: &str, marked: &str, reason: &str) {
    let problems = problems(text);
    let [problem] = problems.as_slice() else { panic!("{text}\n{problems:#?}") };
    assert_eq!(&text[problem.span.clone()], marked, "{problem:#?}");
    let said = format!("{}; {}; {}", problem.message, problem.label, problem.help);
    assert!(said.contains(reason), "{reason:?} is not in {said:?}");
}

#[test]
fn a_small_file_has_the_usual_values() {
    let spec = parse(BASE).unwrap();
    assert_eq!(spec.host.timezone, "UTC");
    assert_eq!(spec.network.interface, "en* eth*");
    assert!(spec.network.ipv6 && spec.network.addresses.is_empty());
    assert_eq!((spec.mail.max_message_size, spec.spam.junk_score), (50 << 20, 50));
    assert_eq!(spec.mail.postmaster.to_string(), "postmaster@example.org");
    assert_eq!((spec.mail.removed.defers, spec.mail.removed.days), (false, Some(30)));
    let filter = spec.filter.unwrap();
    assert_eq!((filter.on_failure, filter.quarantine_days), (OnFailure::Defer, 30));
    assert_eq!(filter.actions.len(), FilterClass::ALL.len());
    assert_eq!(filter.actions[&FilterClass::Macro], FilterAction::Mark);
    assert!(spec.domains[0].filter.is_empty());
    assert!(spec.ssh.is_none() && spec.relay.is_none() && spec.mirror.is_none());
    assert_eq!(spec.web, Some(crate::Web { hsts: true, behind_proxy: false }));
}

#[test]
fn the_web_unit_has_its_port_for_itself() {
    assert!(parse(&with("web", "enable = false")).unwrap().web.is_none());
    let said = parse(&with("web", "hsts = false\nbehind_proxy = true")).unwrap().web;
    assert_eq!(said, Some(crate::Web { hsts: false, behind_proxy: true }));
    refused(&with("web", "enable = 'no'"), "'no'", "web.enable");
    let proof = with("acme", "challenge = 'tls-alpn-01'");
    refused(&proof, "'tls-alpn-01'", "both need port 443");
    assert!(parse(&format!("{proof}[web]\nenable = false\n")).is_ok());
    assert!(parse(&format!("{proof}enable = false\n")).is_ok());
}

#[test]
fn a_full_file_is_read_in_full() {
    let text = format!(
        r#"
host = {{ name = "MAIL.example.org", timezone = "Europe/Berlin" }}
domain = [
    {{ name = "example.org", catch_all = "info@example.org" }},
    {{ name = "Bücher.example" }},
]
[network]
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
gateways = ["192.0.2.1", "fe80::1"]
resolvers = ["192.0.2.53"]
[ssh]
port = 22222
keys = ["{ED25519} alice"]
[[account]]
address = "alice@example.org"
aliases = ["info@example.org", "abuse@bücher.example"]
quota = "5 GiB"
[[account]]
address = "bob@xn--bcher-kva.example"
quota = 1048576
[relay]
host = "10.0.0.1"
tls = "off"
port = 25
[mail]
postmaster = "reports@elsewhere.example"
[spam]
junk_score = 4
reject_score = 12.5
dnsbl = ["dnsbl.example.net"]
[build]
mirror = "https://mirror.example.net/debian/"
units_from = ["https://units.example.org/", "file:///srv/units"]
units_keys = ["a-1:qi4BEtHhBmIpa6xyPWhfJXGbYx0G1kY5RDz+7ujZ4Rw="]
"#
    );
    let Spec { host, accounts, domains, relay, spam, mirror, units, ssh, .. } =
        parse(&text).unwrap();
    assert_eq!(host.name.as_str(), "mail.example.org");
    assert_eq!(domains[1].name.as_str(), "xn--bcher-kva.example");
    let aliases: Vec<String> = accounts[0].aliases.iter().map(|it| it.to_string()).collect();
    assert_eq!(
        aliases,
        [
            "info@example.org",
            "abuse@xn--bcher-kva.example",
            "postmaster@example.org",
            "abuse@example.org",
            "postmaster@xn--bcher-kva.example",
        ]
    );
    assert_eq!((accounts[0].quota, accounts[1].quota), (Some(5 << 30), Some(1 << 20)));
    assert_eq!(relay.unwrap().port, 25);
    assert_eq!((spam.junk_score, spam.reject_score), (40, Some(125)));
    assert_eq!(units.from, ["https://units.example.org", "file:///srv/units"]);
    assert_eq!(units.keys.len(), 1);
    assert_eq!(mirror.unwrap(), "https://mirror.example.net/debian");
    assert_eq!(ssh.unwrap().port, 22222);
}

#[test]
fn acme_needs_no_table_and_says_what_is_wrong_with_one() {
    let acme = parse(BASE).unwrap().acme.unwrap();
    assert_eq!(acme.contact.to_string(), "postmaster@example.org");
    assert_eq!(acme.challenge, crate::AcmeChallenge::Http01);
    assert!(acme.keep_key && acme.names.is_empty() && acme.roots.is_empty());
    assert!(parse(&with("acme", "enable = false")).unwrap().acme.is_none());
    let dns = "challenge = 'dns-01'\ndns_provider = 'rfc2136'\n";
    for (extra, marked, reason) in [
        ("directory = 'http://ca.example'", "'http://ca.example'", "start with `https://`"),
        ("directory = 'https://'", "'https://'", "not the URL"),
        ("contact = 'nobody'", "'nobody'", "nobody"),
        ("key = 'rsa'", "'rsa'", "rsa-2048"),
        ("profile = 'two words'", "'two words'", "one word"),
        ("roots = ['MIIB!']", "'MIIB!'", "openssl x509"),
        ("roots = ['AAAA']", "'AAAA'", "not a root certificate"),
        ("names = ['a b']", "'a b'", "a b"),
        ("dns_wait = 5", "5", "only for the challenge dns-01"),
        ("challenge = 'dns-01'", "'dns-01'", "dns_provider"),
        ("challenge = 'dns-02'\ndns_provider = 'exec'", "'dns-02'", "did you mean"),
        ("challenge = 'dns-01'\ndns_provider = 'cloudfare'", "'cloudfare'", "did you mean"),
        ("challenge = 'dns-01'\ndns_provder = 'exec'", "dns_provder", "did you mean"),
        (&format!("{dns}dns_key_name = 'k'\ndns_server = 5"), "5", "acme.dns_server"),
        (&format!("{dns}dns_key_name = 'k'"), "'dns-01'", "dns_server"),
        (&format!("{dns}dns_server = '192.0.2.1'"), "'dns-01'", "dns_key_name"),
        (
            &format!("{dns}dns_key_name = 'k'\ndns_server = 'ns.example.org'"),
            "'ns.example.org'",
            "looked up first",
        ),
        ("challenge = 'dns-01'\ndns_provider = 'exec'\ndns_wait = 4000", "4000", "0 to 3600"),
        (
            "challenge = 'dns-01'\ndns_provider = 'desec'\ndns_key_name = 'k'",
            "'k'",
            "only for name servers",
        ),
    ] {
        refused(&with("acme", extra), marked, reason);
    }
    let text = with("acme", &format!("{dns}dns_key_name = 'k'\ndns_server = '[::1]:5353'"));
    let Some(crate::AcmeChallenge::Dns01 { provider, wait: 30 }) =
        parse(&text).unwrap().acme.map(|acme| acme.challenge)
    else {
        panic!("{text}")
    };
    let crate::AcmeDns::Rfc2136 { server, zones, .. } = provider else { panic!() };
    assert_eq!((server.port(), zones[0].as_str()), (5353, "example.org"));
    let text =
        with("acme", "challenge = 'dns-01'\ndns_provider = 'desec'\ndns_zones = ['org.example']");
    let company = crate::AcmeDns::Company {
        company: crate::DnsCompany::Desec,
        zones: vec!["org.example".parse().unwrap()],
    };
    let expected = crate::AcmeChallenge::Dns01 { provider: company, wait: 30 };
    assert_eq!(parse(&text).unwrap().acme.unwrap().challenge, expected);
}

#[test]
fn the_filter_is_set_up_for_all_and_for_a_domain() {
    let text = format!(
        r#"{BASE}
[filter]
on_failure = "pass"
quarantine_days = 7
quarantine_size = "200 MiB"
digest = false
clamd = "10.0.0.5:3310"
rules_url = "https://rules.example/mail.yar"
rules_key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
[filter.actions]
executable = "quarantine"
[[domain]]
name = "lax.example"
[domain.filter]
executable = "pass"
"#
    );
    let spec = parse(&text).unwrap();
    let filter = spec.filter.unwrap();
    assert_eq!((filter.on_failure, filter.digest), (OnFailure::Pass, false));
    assert_eq!((filter.quarantine_days, filter.quarantine_size), (7, 200 << 20));
    assert_eq!(filter.clamav, Some(ClamAv::At(([10, 0, 0, 5], 3310).into())));
    assert_eq!(filter.rules.unwrap().url, "https://rules.example/mail.yar");
    assert_eq!(filter.actions[&FilterClass::Executable], FilterAction::Quarantine);
    let own: Vec<_> = spec.domains[1].filter.clone().into_iter().collect();
    assert_eq!(own, [(FilterClass::Executable, FilterAction::Pass)]);
    assert!(parse(&format!("{BASE}[filter]\nenable = false\n")).unwrap().filter.is_none());
    for (url, key) in [
        ("http://rules.example/a.yar", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        ("https://rules.example", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        ("https://rules.example/a.yar", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
    ] {
        let text = format!("{BASE}[filter]\nrules_url = '{url}'\nrules_key = '{key}'\n");
        assert_eq!(problems(&text).len(), 1, "{url} {key}");
    }
}

#[test]
fn each_rule_marks_its_value() {
    for (table, extra, marked, reason) in [
        ("network", "addresses = ['192.0.2.10']", "'192.0.2.10'", "write `192.0.2.10/24`"),
        ("network", "addresses = ['192.0.2.0/24']", "'192.0.2.0/24'", "the network itself"),
        ("network", "addresses = ['192.0.2.255/24']", "'192.0.2.255/24'", "broadcast"),
        ("network", "addresses = ['127.0.0.1/8']", "'127.0.0.1/8'", "loopback"),
        ("network", "addresses = ['192.0.2.1/33']", "'192.0.2.1/33'", "prefix length"),
        ("network", "addresses = ['10.0.0.1/8', '10.0.0.1/16']", "'10.0.0.1/16'", "twice"),
        ("network", "gateways = ['192.0.2.1']", "'192.0.2.1'", "no static addresses"),
        (
            "network",
            "addresses = ['192.0.2.10/24']\ngateways = ['198.51.100.1']",
            "'198.51.100.1'",
            "not in 192.0.2.0/24",
        ),
        (
            "network",
            "addresses = ['192.0.2.10/24']\ngateways = ['192.0.2.1', '192.0.2.2']",
            "'192.0.2.2'",
            "second gateway",
        ),
        ("network", "ipv6 = false\nresolvers = ['2001:db8::53']", "'2001:db8::53'", "is off"),
        ("network", "resolvers = ['::ffff:192.0.2.1']", "'::ffff:192.0.2.1'", "notation"),
        (
            "network",
            "addresses = ['192.0.2.10/24']\ngateways = ['192.0.2.10']",
            "'192.0.2.10'",
            "this machine itself",
        ),
        (
            "network",
            "addresses = ['192.0.2.10/24']\nresolvers = ['192.0.2.10']",
            "'192.0.2.10'",
            "this machine itself",
        ),
        (
            "network",
            "addresses = ['2001:db8::10/128']\ngateways = ['172.31.1.1']",
            "'172.31.1.1'",
            "with /32 or /128",
        ),
        ("network", "dhcp = 'ipv4'\naddresses = ['192.0.2.10/24']", "'ipv4'", "both of one family"),
        ("network", "dhcp = 'ipv6'\nipv6 = false", "'ipv6'", "is false"),
        ("network", "dhcp = 'none'", "'none'", "no address"),
        ("network", "mac = '52:54:00:12:34'", "'52:54:00:12:34'", "six pairs"),
        ("network", "mac = '01:00:5e:00:00:01'", "'01:00:5e:00:00:01'", "of a group"),
        ("network", "driver = 'igb, e1000'", "'igb, e1000'", "name of a driver"),
        ("network", "vlan = 4095", "4095", "between 1 and 4094"),
        ("network", "interface = 'eth0; reboot'", "'eth0; reboot'", "letters, digits"),
        ("ssh", "keys = []", "[]", "no one could log in"),
        (
            "ssh",
            "keys = ['-----BEGIN PRIVATE KEY-----']",
            "'-----BEGIN PRIVATE KEY-----'",
            "secret",
        ),
        ("ssh", "keys = ['ssh-dss AAAA']", "'ssh-dss AAAA'", "DSA"),
        ("ssh", &format!("port = 25\nkeys = ['{ED25519}']"), "25", "mail, web"),
        ("ssh", &format!("port = 65536\nkeys = ['{ED25519}']"), "65536", "65535"),
        ("relay", "host = 'smtp.example.net'\ntls = 'off'", "'off'", "private IP"),
        ("relay", "host = '198.51.100.1'\ntls = 'off'", "'off'", "unprotected"),
        ("relay", "host = 'localhost'", "'localhost'", "only one part"),
        ("relay", "host = 'smtp.example.net'\nport = 0", "0", "not a port"),
        ("relay", "host = 'smtp.example.net'\ntls = 'startls'", "'startls'", "`\"starttls\"`?"),
        ("relay", "host = 'smtp.example.net'\nuser = ' '", "' '", "not a login"),
        ("mail", "max_message_size = '5 GiB'", "'5 GiB'", "between 1 MiB and 1 GiB"),
        ("mail", "max_message_size = -1", "-1", "negative"),
        ("mail", "recipients_per_hour = 0", "0", "out of range"),
        ("mail", "recipients_per_day = 1000001", "1000001", "out of range"),
        (
            "mail",
            "recipients_per_hour = 20\nrecipients_per_day = 10",
            "20",
            "more than `recipients_per_day`",
        ),
        ("mail", "removed_days = -1", "-1", "or 0 for never"),
        ("mail", "removed_days = 3651", "3651", "from 1 to 3650"),
        ("mail", "postmaster = 'root@example.org'", "'root@example.org'", "does not exist"),
        ("spam", "junk_score = 0", "0", "between 0.1 and 100"),
        ("spam", "junk_score = nan", "nan", "between 0.1 and 100"),
        ("spam", "junk_score = 5.25", "5.25", "one decimal"),
        ("spam", "junk_score = '5.0'", "'5.0'", "must be a number"),
        ("spam", "reject_score = 5", "5", "nothing would ever reach"),
        ("spam", "dnsbl = ['a.example', 'A.example']", "'A.example'", "twice"),
        ("spam", "dnsbl = ['zen']", "'zen'", "only one part"),
        ("filter", "quarantine_days = 0", "0", "between 1 and 365"),
        ("filter", "quarantine_size = '1 MiB'", "'1 MiB'", "the quarantine"),
        ("filter", "on_failure = 'drop'", "'drop'", "write one of `defer`, `pass`"),
        ("filter", "rules_url = 'https://a.example/x'", "'https://a.example/x'", "`rules_key`"),
        (
            "filter",
            "clamav = true\nclamd = '10.0.0.5:3310'",
            "'10.0.0.5:3310'",
            "take one of the two out",
        ),
        ("filter", "clamd = 'localhost:3310'", "'localhost:3310'", "`10.0.0.5:3310`"),
        ("filter", "clamd = '198.51.100.1:3310'", "'198.51.100.1:3310'", "unprotected"),
        ("filter", "clamd = '127.0.0.1:3310'", "'127.0.0.1:3310'", "private IP address"),
        ("filter", "rules_key = 'x'", "'x'", "add `rules_url`"),
        ("filter", "rules_key = 'x'\nrules_ulr = 'https://a.example/x'", "rules_ulr", "rules_url"),
        ("filter", "actions = { virus = 'pass' }", "virus", "unknown key `virus`"),
        ("filter", "actions = { macro = 'delete' }", "'delete'", "`quarantine`"),
        ("build", "mirror = 'ftp://mirror.example'", "'ftp://mirror.example'", "none of"),
        ("build", "mirror = 'https://u:p@m.example/'", "'https://u:p@m.example/'", "secrets"),
        ("build", "mirror = 'https://m.example/ x'", "'https://m.example/ x'", "characters"),
        ("build", "units_from = ['units']", "'units'", "none of"),
        ("build", "units_from = ['https://u:p@m.example/']", "'https://u:p@m.example/'", "secrets"),
        ("build", "units_keys = ['a-1:AAAA']", "'a-1:AAAA'", "mailkiln keygen"),
    ] {
        refused(&with(table, extra), marked, reason);
    }
}

#[test]
fn domains_and_accounts_belong_together() {
    for (extra, marked, reason) in [
        ("[[domain]]\nname = 'EXAMPLE.org'", "'EXAMPLE.org'", "second time"),
        ("[[account]]\naddress = 'Alice@example.org'", "'Alice@example.org'", "twice"),
        ("[[account]]\naddress = 'info@example.org'", "'info@example.org'", "belongs to alice@"),
        ("[[account]]\naddress = 'bob@exmaple.org'", "'bob@exmaple.org'", "`bob@example.org`?"),
        ("[[account]]\naddress = 'bob@other.test'", "'bob@other.test'", "add `[[domain]]`"),
        (
            "[[domain]]\nname = 'a.example'\ncatch_all = 'alcie@example.org'",
            "'alcie@example.org'",
            "`alice@example.org`?",
        ),
        ("[[account]]\nname = 'Bob'", "[[account]]", "has no `address`"),
    ] {
        refused(&format!("{BASE}{extra}"), marked, reason);
    }
    for (from, to, marked, reason) in [
        ("mail.example.org", "mail", "\"mail\"", "only one part"),
        ("info@example.org", "alice@example.org", "\"alice@example.org\"", "twice"),
        ("alice@", "al\\u001bice@", "\"al\\u001bice@example.org\"", "U+001B"),
    ] {
        refused(&BASE.replacen(from, to, 1), marked, reason);
    }
    let long = format!("{}.example.org", "a".repeat(60));
    refused(&BASE.replace("mail.example.org", &long), &format!("\"{long}\""), "Linux keeps 64");
}

#[test]
fn what_is_missing_is_named() {
    let said: Vec<String> = problems("").iter().map(|problem| problem.help.clone()).collect();
    assert_eq!(
        said,
        [
            "add `[[domain]]` and below it `name = \"example.org\"`",
            "add `[host]` and below it `name = \"mail.example.org\"`",
        ]
    );
    refused(&BASE.replace("name = \"mail", "nmae = \"mail"), "nmae", "did you mean `name`?");
}

#[test]
fn several_problems_come_at_once_and_in_order() {
    let text = r#"
[host]
name = "mail"
colour = "red"
[network]
ipv6 = "yes"
[domain]
name = "example.org"
[[account]]
address = 5
"#;
    let problems = problems(text);
    let marked: Vec<&str> = problems.iter().map(|problem| &text[problem.span.clone()]).collect();
    assert_eq!(&marked[..3], ["\"mail\"", "colour", "\"yes\""], "{problems:#?}");
    assert!(problems.len() >= 5);
}

#[test]
fn several_syntax_errors_come_at_once() {
    let problems = problems("[host\nname = mail\n= 5\n");
    assert!(problems.len() >= 2, "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.message.starts_with("this is not TOML")));
}

/// Every example of the page on networks, as a whole file.
#[test]
fn networks_of_the_documentation_are_taken() {
    let page = include_str!("../../../../docs/networks.md");
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
        .collect();
    assert!(examples.len() >= 7, "{}", examples.len());
    for example in examples {
        let spec = parse(&format!("{BASE}\n{example}"))
            .unwrap_or_else(|errors| panic!("{example}\n{errors:?}"));
        let network = spec.network;
        assert!(network.dhcp4 || network.dhcp6 || !network.addresses.is_empty(), "{example}");
    }
    let alone =
        parse(&with("network", "addresses = ['203.0.113.10/32']\ngateways = ['172.31.1.1']"));
    assert!(alone.unwrap().network.is_on_link_only("172.31.1.1".parse().unwrap()));
}

#[test]
fn names_that_would_be_shown_as_others_are_refused() {
    for sign in ['\u{202e}', '\u{2066}', '\u{7}', '\u{200f}'] {
        let text = BASE.replace(
            "aliases",
            &format!("name = \"Alice\\U{:08X}ecilA\"\naliases", u32::from(sign)),
        );
        let said = format!("{:?}", problems(&text));
        assert!(said.contains(&format!("U+{:04X}", u32::from(sign))), "{said}");
    }
    assert!(parse(&BASE.replace("aliases", "name = \"אליס Alice\"\naliases")).is_ok());
}
