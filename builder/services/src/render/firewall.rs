//! The firewall as nftables rules: nft(8).

use crate::firewall::{METADATA4, METADATA6};
use crate::{Firewall, LocalPort};

/// The text for `nft --file`. Loading it twice leaves the same rules: the table is made (so that
/// deleting it can't fail), deleted and made anew in one transaction.
pub(super) fn rules(firewall: &Firewall) -> String {
    let mut input = Vec::new();
    input.extend(basics());
    input.extend(icmp());
    if firewall.ipv6 {
        input.extend(icmp6());
    }
    if firewall.dhcp {
        input.extend(dhcp(firewall.ipv6));
    }
    input.extend(services(firewall));
    let input = input.join("\n        ");
    let sets = flood_sets(firewall);
    let mut output = metadata(firewall);
    output.extend(local(firewall));
    let local = output.join("\n        ");
    format!(
        "\
# Made by mailkiln from mail.toml; every change is lost with the next image.
table inet mailkiln
delete table inet mailkiln

table inet mailkiln {{
{sets}
    chain input {{
        type filter hook input priority filter; policy drop;
        {input}
    }}

    chain output {{
        type filter hook output priority filter; policy accept;
        {local}
    }}

    chain forward {{
        type filter hook forward priority filter; policy drop;
    }}
}}
"
    )
}

fn basics() -> [String; 2] {
    [
        "iifname \"lo\" accept".to_owned(),
        "ct state vmap { established : accept, related : accept, invalid : drop }".to_owned(),
    ]
}

/// Errors about our own packets are `related`. What remains is to answer ping, slowly.
fn icmp() -> [String; 1] {
    ["icmp type echo-request limit rate 10/second burst 20 packets accept".to_owned()]
}

/// RFC 4890 section 4.4: without these IPv6 does not work. Neighbour discovery can't come from
/// beyond the link, which the hop limit proves.
fn icmp6() -> [String; 4] {
    [
        "icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } \
         ip6 hoplimit 255 accept"
            .to_owned(),
        "icmpv6 type { mld-listener-query, mld-listener-report, mld2-listener-report } \
         ip6 saddr fe80::/10 accept"
            .to_owned(),
        "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, \
         parameter-problem } accept"
            .to_owned(),
        "icmpv6 type echo-request limit rate 10/second burst 20 packets accept".to_owned(),
    ]
}

/// Answers that are broadcast, which connection tracking does not take for answers.
fn dhcp(ipv6: bool) -> Vec<String> {
    let mut rules = vec!["udp sport 67 udp dport 68 accept".to_owned()];
    if ipv6 {
        rules.push("ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept".to_owned());
    }
    rules
}

fn services(firewall: &Firewall) -> Vec<String> {
    if firewall.open.is_empty() {
        return Vec::new();
    }
    let ports: Vec<String> = firewall.open.iter().map(|port| port.number.to_string()).collect();
    let ports = ports.join(", ");
    let flood = &firewall.flood;
    let over = format!("limit rate over {}/second burst {} packets", flood.per_second, flood.burst);
    let mut rules: Vec<String> =
        firewall.open.iter().map(|port| format!("# {}: {}", port.number, port.purpose)).collect();
    rules.push(format!(
        "meta nfproto ipv4 tcp dport {{ {ports} }} ct state new add @flood4 {{ ip saddr {over} }} drop"
    ));
    if firewall.ipv6 {
        rules.push(format!(
            "meta nfproto ipv6 tcp dport {{ {ports} }} ct state new \
             add @flood6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: {over} }} drop"
        ));
        rules.push(format!("tcp dport {{ {ports} }} accept"));
    } else {
        rules.push(format!("meta nfproto ipv4 tcp dport {{ {ports} }} accept"));
    }
    rules
}

/// Name service and time come from the same addresses in some clouds, and stay open to all.
fn metadata(firewall: &Firewall) -> Vec<String> {
    let user = firewall.metadata;
    let rule = |family: &str, addresses: &[&str]| {
        let addresses = addresses.join(", ");
        let id = user.id;
        format!("{family} daddr {{ {addresses} }} tcp dport != 53 meta skuid != {id} drop")
    };
    let mut rules = vec![format!("# metadata services, for {}", user.name), rule("ip", &METADATA4)];
    if firewall.ipv6 {
        rules.push(rule("ip6", &METADATA6));
    }
    rules
}

/// What listens on loopback trusts whoever connects; a service that was taken over must not be one of
/// them. A packet without a socket, such as a reset, has no user and passes.
fn local(firewall: &Firewall) -> Vec<String> {
    let rule = |port: &LocalPort| {
        let names: Vec<&str> = port.users.iter().map(|user| user.name).collect();
        let numbers: Vec<String> = port.users.iter().map(|user| user.id.to_string()).collect();
        [
            format!("# {}: {}, for {}", port.number, port.purpose, names.join(", ")),
            format!(
                "oifname \"lo\" tcp dport {} meta skuid != {{ {} }} drop",
                port.number,
                numbers.join(", ")
            ),
        ]
    };
    firewall.local.iter().flat_map(rule).collect()
}

fn flood_sets(firewall: &Firewall) -> String {
    let flood = &firewall.flood;
    let set = |name: &str, kind: &str| {
        format!(
            "    set {name} {{\n        type {kind}\n        size {}\n        flags dynamic,timeout\n        timeout {}s\n    }}\n",
            flood.sources,
            flood.forget_after.as_secs()
        )
    };
    let mut sets = set("flood4", "ipv4_addr");
    if firewall.ipv6 {
        sets.push('\n');
        sets.push_str(&set("flood6", "ipv6_addr"));
    }
    sets
}
