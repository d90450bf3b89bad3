//! Networks without DHCP, as clouds and hypervisors write them.
//!
//! In: OpenStack's `network_data.json`, DigitalOcean's interfaces, cloud-init's `network-config` in its
//! versions 1 and 2 (netplan). Out: [`Network`]s of the cards that have static addresses; one with DHCP
//! is left to the image. What is not understood is left out: a guess would cut the machine off.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::answers::{text, texts};
use crate::seed::network::{Network, Prefixed};

/// Cards, and networks of each, that are looked at.
const MOST: usize = 16;

/// What is known of one card so far.
#[derive(Debug, Default)]
struct Card {
    addresses: Vec<Prefixed>,
    gateways: Vec<IpAddr>,
    resolvers: Vec<IpAddr>,
}

impl Card {
    fn gateway(&mut self, text: Option<&str>) {
        let Some(gateway) = text.and_then(|text| text.parse::<IpAddr>().ok()) else { return };
        let family = |known: &IpAddr| known.is_ipv4() == gateway.is_ipv4();
        if !gateway.is_unspecified() && !self.gateways.iter().any(family) {
            self.gateways.push(gateway);
        }
    }

    fn resolver(&mut self, text: &str) {
        self.resolvers.extend(text.parse::<IpAddr>().ok().filter(|_| self.resolvers.len() < 3));
    }

    fn network(self, mac: Option<&str>) -> Option<Network> {
        Network::of_card(mac, self.addresses, self.gateways, self.resolvers)
    }
}

/// Entries of a list below a path.
fn list<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten().take(MOST)
}

fn is_default(network: &str) -> bool {
    matches!(network, "default" | "0.0.0.0" | "0.0.0.0/0" | "::" | "::/0")
}

/// OpenStack: <https://docs.openstack.org/nova/latest/user/metadata.html>, `network_data.json`.
pub fn openstack(document: &Value) -> Vec<Network> {
    let macs: BTreeMap<&str, &str> = list(document, "/links")
        .filter_map(|link| Some((text(link, "/id")?, text(link, "/ethernet_mac_address")?)))
        .collect();
    let mut cards: BTreeMap<&str, Card> = BTreeMap::new();
    for network in list(document, "/networks") {
        // `ipv4_dhcp`, `ipv6_slaac` and the like need nothing of us.
        if !matches!(text(network, "/type"), Some("ipv4" | "ipv6")) {
            continue;
        }
        let Some(mac) = text(network, "/link").and_then(|link| macs.get(link)) else { continue };
        let card = cards.entry(mac).or_default();
        let (ip, mask) = (text(network, "/ip_address"), text(network, "/netmask"));
        let address = match (ip, mask) {
            (Some(ip), _) if ip.contains('/') => Prefixed::try_from(ip.to_owned()).ok(),
            (Some(ip), Some(mask)) => Prefixed::new(ip, &v6_mask(mask)),
            _ => None,
        };
        card.addresses.extend(address);
        card.gateway(text(network, "/gateway"));
        for route in list(network, "/routes") {
            let all = |mask: &str| matches!(mask, "0.0.0.0" | "::" | "0");
            if text(route, "/network").is_some_and(is_default)
                && text(route, "/netmask").is_none_or(all)
            {
                card.gateway(text(route, "/gateway"));
            }
        }
        for service in list(network, "/services").chain(list(document, "/services")) {
            if text(service, "/type") == Some("dns") {
                card.resolver(text(service, "/address").unwrap_or_default());
            }
        }
    }
    cards.into_iter().filter_map(|(mac, card)| card.network(Some(mac))).collect()
}

/// An IPv6 mask as a length; all else as it is.
fn v6_mask(mask: &str) -> String {
    match mask.parse::<std::net::Ipv6Addr>() {
        Ok(mask) => u128::from(mask).leading_ones().to_string(),
        Err(_) => mask.to_owned(),
    }
}

/// DigitalOcean: <https://docs.digitalocean.com/reference/api/metadata/>, `interfaces.public[0]`.
pub fn digitalocean(document: &Value) -> Vec<Network> {
    let mut networks = Vec::new();
    for interface in
        list(document, "/interfaces/public").chain(list(document, "/interfaces/private"))
    {
        let mut card = Card::default();
        if let (Some(ip), Some(mask)) =
            (text(interface, "/ipv4/ip_address"), text(interface, "/ipv4/netmask"))
        {
            card.addresses.extend(Prefixed::new(ip, mask));
            if text(interface, "/type") != Some("private") {
                card.gateway(text(interface, "/ipv4/gateway"));
            }
        }
        let length = interface.pointer("/ipv6/cidr").and_then(Value::as_u64);
        if let (Some(ip), Some(length)) = (text(interface, "/ipv6/ip_address"), length) {
            card.addresses.extend(Prefixed::new(ip, &length.to_string()));
            card.gateway(text(interface, "/ipv6/gateway"));
        }
        texts(document, "/dns/nameservers").for_each(|resolver| card.resolver(resolver));
        networks.extend(text(interface, "/mac").and_then(|mac| card.network(Some(mac))));
    }
    networks
}

/// cloud-init's formats 1 (Proxmox writes it) and 2 (netplan):
/// <https://cloudinit.readthedocs.io/en/latest/reference/network-config.html>
pub fn cloud_init(document: &Value) -> Vec<Network> {
    // The file may be the content of the key `network`, or have it.
    let document = document.get("network").unwrap_or(document);
    match document.get("version").and_then(Value::as_u64) {
        Some(1) => version_1(document),
        Some(2) => version_2(document),
        _ => Vec::new(),
    }
}

fn version_1(document: &Value) -> Vec<Network> {
    let of_all: Vec<&str> = list(document, "/config")
        .filter(|it| text(it, "/type") == Some("nameserver"))
        .flat_map(|it| texts(it, "/address").chain(text(it, "/address")))
        .collect();
    let mut networks = Vec::new();
    for device in list(document, "/config").filter(|it| text(it, "/type") == Some("physical")) {
        let mut card = Card::default();
        for subnet in list(device, "/subnets") {
            if !matches!(text(subnet, "/type"), Some("static" | "static6")) {
                continue;
            }
            let address = text(subnet, "/address").unwrap_or_default();
            card.addresses.extend(match (address.split_once('/'), text(subnet, "/netmask")) {
                (Some((ip, length)), _) => Prefixed::new(ip, length),
                (None, Some(mask)) => Prefixed::new(address, &v6_mask(mask)),
                (None, None) => None,
            });
            card.gateway(text(subnet, "/gateway"));
            texts(subnet, "/dns_nameservers").for_each(|it| card.resolver(it));
        }
        of_all.iter().for_each(|it| card.resolver(it));
        networks.extend(card.network(text(device, "/mac_address")));
    }
    networks
}

fn version_2(document: &Value) -> Vec<Network> {
    let devices = document.get("ethernets").and_then(Value::as_object).into_iter().flatten();
    let mut networks = Vec::new();
    for (_, device) in devices.take(MOST) {
        let mut card = Card::default();
        for address in texts(device, "/addresses") {
            card.addresses.extend(Prefixed::try_from(address.to_owned()).ok());
        }
        card.gateway(text(device, "/gateway4"));
        card.gateway(text(device, "/gateway6"));
        for route in list(device, "/routes") {
            if text(route, "/to").is_some_and(is_default) {
                card.gateway(text(route, "/via"));
            }
        }
        texts(device, "/nameservers/addresses").for_each(|it| card.resolver(it));
        networks.extend(card.network(text(device, "/match/macaddress")));
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::yaml;
    use serde_json::json;

    fn rendered(networks: &[Network]) -> String {
        networks.iter().map(|it| it.render_as("x")).collect()
    }

    #[test]
    fn openstack_says_static_addresses_by_card() {
        let document = json!({
            "links": [{"id": "tap1", "ethernet_mac_address": "FA:16:3e:00:00:01"}, {"id": "tap2", "ethernet_mac_address": "fa:16:3e:00:00:02"}],
            "networks": [
                {"id": "n0", "link": "tap1", "type": "ipv4", "ip_address": "192.0.2.10", "netmask": "255.255.255.0",
                 "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"},
                            {"network": "10.0.0.0", "netmask": "255.0.0.0", "gateway": "192.0.2.9"}]},
                {"id": "n1", "link": "tap1", "type": "ipv6", "ip_address": "2001:db8::10", "netmask": "ffff:ffff:ffff:ffff::",
                 "routes": [{"network": "::", "netmask": "::", "gateway": "fe80::1"}]},
                {"id": "n2", "link": "tap2", "type": "ipv4_dhcp"},
            ],
            "services": [{"type": "dns", "address": "192.0.2.53"}],
        });
        let text = rendered(&openstack(&document));
        for line in [
            "MACAddress=fa:16:3e:00:00:01",
            "Address=192.0.2.10/24",
            "Address=2001:db8::10/64",
            "Gateway=192.0.2.1",
            "Gateway=fe80::1",
            "DNS=192.0.2.53",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
        }
        assert!(!text.contains("192.0.2.9") && !text.contains(":02"), "{text}");
    }

    #[test]
    fn cloud_inits_formats_are_read() {
        let proxmox = "version: 1\nconfig:\n    - type: physical\n      name: eth0\n      mac_address: 'BC:24:11:00:00:01'\n      subnets:\n      - type: static\n        address: '192.168.1.10'\n        netmask: '255.255.255.0'\n        gateway: '192.168.1.1'\n    - type: nameserver\n      address:\n      - '192.168.1.53'\n      search:\n      - 'lan'\n";
        let netplan = "network:\n  version: 2\n  ethernets:\n    id0:\n      match: {macaddress: \"bc:24:11:00:00:01\"}\n      addresses: [192.168.1.10/24]\n      routes:\n        - {to: default, via: 192.168.1.1}\n      nameservers:\n        addresses: [192.168.1.53]\n";
        let one = rendered(&cloud_init(&yaml::parse(proxmox).unwrap()));
        let two = rendered(&cloud_init(&yaml::parse(netplan).unwrap()));
        assert_eq!(one, two);
        assert!(one.contains("Gateway=192.168.1.1") && one.contains("DNS=192.168.1.53"), "{one}");
        let dhcp = "version: 2\nethernets:\n  all:\n    match: {name: 'en*'}\n    dhcp4: true\n";
        assert_eq!(cloud_init(&yaml::parse(dhcp).unwrap()), []);
    }

    #[test]
    fn what_is_no_address_never_reaches_a_file() {
        for mac in ["aa:bb:cc:dd:ee:ff\n[Link]", "aa", ""] {
            let document = json!({"version": 2, "ethernets": {"x": {"match": {"macaddress": mac}, "addresses": ["192.0.2.1/24"]}}});
            assert_eq!(cloud_init(&document), [], "{mac}");
        }
        let document = json!({"version": 2, "ethernets": {"x": {"addresses": ["192.0.2.1/24\n[Link]", "192.0.2.1/99"]}}});
        assert_eq!(cloud_init(&document), []);
    }
}
