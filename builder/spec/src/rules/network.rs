//! `[network]`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{each, table_or_empty};
use crate::document::Located;
use crate::file::{DhcpValue, NetworkTable, Text};
use crate::model::Network;
use crate::problem::{Flaw, Problems, Reported, shown};

/// Interfaces that are used when nobody chose one.
pub const DEFAULT_INTERFACE: &str = "en* eth*";
/// Longest interface name the kernel takes, in bytes (`IFNAMSIZ` less its NUL).
const LONGEST_INTERFACE: usize = 15;

pub(super) fn judge(
    table: Option<Located<NetworkTable>>,
    problems: &mut Problems,
) -> Result<Network, Reported> {
    let (table, _) = table_or_empty(table);
    // A refused `ipv6` was reported; judging the rest as if it were on adds no false problem.
    let ipv6 = table.ipv6.as_ref().is_none_or(|ipv6| ipv6.value);
    let interface = match &table.interface {
        Some(text) => problems.check(&text.span, interface(&text.value)),
        None => Ok(DEFAULT_INTERFACE.to_owned()),
    };
    let mac = table.mac.map(|text| problems.check(&text.span, mac(&text.value))).transpose();
    let driver =
        table.driver.map(|text| problems.check(&text.span, driver(&text.value))).transpose();
    let vlan =
        table.vlan.map(|number| problems.check(&number.span, vlan(number.value))).transpose();
    let mut seen = Vec::new();
    let addresses = each(table.addresses, |text| {
        let address = problems.check(&text.span, address(&text.value))?;
        allowed_family(address.addr(), ipv6, &text, problems)?;
        once(address.addr(), &mut seen, &text, problems)?;
        Ok(address)
    });
    let mut families = Vec::new();
    let gateways = each(table.gateways, |text| {
        let gateway = problems.check(&text.span, gateway(&text.value))?;
        allowed_family(gateway, ipv6, &text, problems)?;
        if families.contains(&gateway.is_ipv4()) {
            return Err(problems.add(second_gateway(gateway).at(&text.span)));
        }
        families.push(gateway.is_ipv4());
        // Without sound addresses nothing can be said about reaching the gateway.
        let addresses = addresses.as_deref().map_err(|reported| *reported)?;
        problems.check(&text.span, reachable(gateway, addresses))
    });
    let dhcp = dhcp(table.dhcp, addresses.as_deref().unwrap_or_default(), ipv6, problems);
    let mut seen = Vec::new();
    let resolvers = each(table.resolvers, |text| {
        let resolver = problems.check(&text.span, resolver(&text.value))?;
        allowed_family(resolver, ipv6, &text, problems)?;
        once(resolver, &mut seen, &text, problems)?;
        let addresses = addresses.as_deref().map_err(|reported| *reported)?;
        problems.check(&text.span, not_own(resolver, "resolver", addresses))?;
        Ok(resolver)
    });
    let (dhcp4, dhcp6) = dhcp?;
    Ok(Network {
        interface: interface?,
        mac: mac?,
        driver: driver?,
        vlan: vlan?,
        dhcp4,
        dhcp6,
        addresses: addresses?,
        gateways: gateways?,
        resolvers: resolvers?,
        ipv6,
    })
}

/// A network that does not stand in a `mail.toml`, by the same rules: static addresses, IPv4 or IPv6.
///
/// # Errors
///
/// The first value that can't be used.
pub fn static_network(
    interface_text: &str,
    address_texts: &[String],
    gateway_texts: &[String],
    resolver_texts: &[String],
) -> Result<Network, Flaw> {
    let addresses =
        address_texts.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
    if addresses.is_empty() {
        return Err(Flaw::new(
            "`network.addresses` is empty",
            "without one the machine asks DHCP",
            "write `addresses = [\"192.0.2.10/24\"]`, or take the table [network] out",
        ));
    }
    let mut gateways: Vec<IpAddr> = Vec::new();
    for text in gateway_texts {
        let found = reachable(gateway(text)?, &addresses)?;
        if gateways.iter().any(|other| other.is_ipv4() == found.is_ipv4()) {
            return Err(second_gateway(found));
        }
        gateways.push(found);
    }
    let resolvers = resolver_texts
        .iter()
        .map(|text| not_own(resolver(text)?, "resolver", &addresses))
        .collect::<Result<_, _>>()?;
    let ipv6 = addresses.iter().any(|address| address.addr().is_ipv6());
    Ok(Network {
        interface: interface(interface_text)?,
        mac: None,
        driver: None,
        vlan: None,
        dhcp4: false,
        dhcp6: false,
        addresses,
        gateways,
        resolvers,
        ipv6,
    })
}

/// Names and patterns for systemd.network's `Name=`, separated by spaces.
fn interface(text: &str) -> Result<String, Flaw> {
    let names: Vec<&str> = text.split_whitespace().collect();
    let fits = |name: &&str| {
        name.len() <= LONGEST_INTERFACE
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "*?_-.:@".contains(c))
    };
    if names.is_empty() || !names.iter().all(fits) {
        return Err(Flaw::new(
            format!("`{}` is not an interface name", shown(text)),
            "each name has at most 15 letters, digits, `-`, `_`, `.`, `*` or `?`",
            "write a name such as `ens3` or patterns such as `en* eth*`",
        ));
    }
    Ok(names.join(" "))
}

/// A hardware address as systemd.network's `MACAddress=` takes it.
fn mac(text: &str) -> Result<String, Flaw> {
    let pairs: Vec<&str> = text.split([':', '-']).collect();
    let hex = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    let help = "write six pairs of hexadecimal digits: `52:54:00:12:34:56`";
    let flaw = |label: &str| {
        Flaw::new(format!("`{}` is not the hardware address of a card", shown(text)), label, help)
    };
    if pairs.len() != 6 || !pairs.iter().all(hex) {
        return Err(flaw("it is not six pairs of digits"));
    }
    let first = u8::from_str_radix(pairs[0], 16).unwrap_or_default();
    if first & 1 == 1 {
        return Err(flaw("it is an address of a group"));
    }
    Ok(pairs.join(":").to_ascii_lowercase())
}

/// A driver as systemd.network's `Driver=` takes it.
fn driver(text: &str) -> Result<String, Flaw> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-*?".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(Flaw::new(
        format!("`{}` is not the name of a driver", shown(text)),
        "it has letters, digits, `_` and `-` only",
        "write it as `ethtool -i` does: `igb`, `virtio_net`",
    ))
}

/// A VLAN (IEEE 802.1Q §9.6).
fn vlan(number: i64) -> Result<u16, Flaw> {
    u16::try_from(number).ok().filter(|number| (1..=4094).contains(number)).ok_or_else(|| {
        Flaw::new(format!("{number} is not a VLAN"), "out of range", "a VLAN is between 1 and 4094")
    })
}

/// For which families addresses are asked for: IPv4, IPv6.
fn dhcp(
    value: Option<Located<DhcpValue>>,
    addresses: &[IpNet],
    ipv6: bool,
    problems: &mut Problems,
) -> Result<(bool, bool), Reported> {
    let Some(Located { value, span }) = value else {
        let all = addresses.is_empty();
        return Ok((all, all && ipv6));
    };
    let (four, six) = match value {
        DhcpValue::Both => (true, ipv6),
        DhcpValue::Ipv4 => (true, false),
        DhcpValue::Ipv6 => (false, true),
        DhcpValue::None => (false, false),
    };
    if six && !ipv6 {
        let flaw = Flaw::new(
            "IPv6 is asked for, and off",
            "`network.ipv6` is false",
            "write `dhcp = \"ipv4\"`, or `ipv6 = true`",
        );
        return Err(problems.add(flaw.at(&span)));
    }
    if !four && !six && addresses.is_empty() {
        let flaw = Flaw::new(
            "the machine would have no address",
            "there is none in `network.addresses`",
            "add `network.addresses`, or take `dhcp` out",
        );
        return Err(problems.add(flaw.at(&span)));
    }
    let both = addresses.iter().find(|address| match address {
        IpNet::V4(_) => four,
        IpNet::V6(_) => six,
    });
    match both {
        None => Ok((four, six)),
        Some(address) => {
            let flaw = Flaw::new(
                format!("an address is asked for, and {address} is written down"),
                "both of one family",
                "take the address out, or choose the other family in `dhcp`",
            );
            Err(problems.add(flaw.at(&span)))
        }
    }
}

/// Refuses this machine itself as a gateway or a resolver.
fn not_own(ip: IpAddr, what: &str, addresses: &[IpNet]) -> Result<IpAddr, Flaw> {
    if addresses.iter().all(|address| address.addr() != ip) {
        return Ok(ip);
    }
    Err(Flaw::new(
        format!("the {what} {ip} is this machine itself"),
        "it is in `network.addresses` too",
        format!("write the address of your provider's {what}"),
    ))
}

/// A host's address with the prefix length of its network.
fn address(text: &str) -> Result<IpNet, Flaw> {
    let flaw = |label: &str, help: &str| {
        let message = format!("`{}` can't be the address of a host", shown(text));
        Flaw::new(message, label, help)
    };
    let Ok(address) = text.parse::<IpNet>() else {
        let (label, help) = match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => ("the prefix length is missing", format!("write `{text}/24`")),
            Ok(IpAddr::V6(_)) => ("the prefix length is missing", format!("write `{text}/64`")),
            Err(_) => (
                "it is not an address with a prefix length",
                "write it like `192.0.2.10/24` or `2001:db8::10/64`".to_owned(),
            ),
        };
        return Err(flaw(label, &help));
    };
    let ip = address.addr();
    if let Some(reason) = unusable(ip) {
        return Err(flaw(reason, "write the address that your provider gave to this machine"));
    }
    // In the two longest prefixes every address is a host's (RFC 3021, RFC 6164).
    let roomy = address.max_prefix_len() - address.prefix_len() > 1;
    if roomy && ip == address.network() {
        return Err(flaw(
            "it is the address of the network itself",
            "write this machine's own address in it",
        ));
    }
    if roomy && ip.is_ipv4() && ip == address.broadcast() {
        return Err(flaw(
            "it is the broadcast address of its network",
            "write this machine's own address in it",
        ));
    }
    Ok(address)
}

/// The address of a router.
fn gateway(text: &str) -> Result<IpAddr, Flaw> {
    plain_address(text, "gateway", "`192.0.2.1` or `fe80::1`")
}

/// The address of a DNS server.
fn resolver(text: &str) -> Result<IpAddr, Flaw> {
    plain_address(text, "resolver", "`192.0.2.53`")
}

fn plain_address(text: &str, what: &str, example: &str) -> Result<IpAddr, Flaw> {
    let help = format!("write an address like {example}");
    let flaw =
        |label: &str| Flaw::new(format!("`{}` can't be a {what}", shown(text)), label, &help);
    let ip: IpAddr = text.parse().map_err(|_| flaw("it is not an IP address"))?;
    unusable(ip).map_or(Ok(ip), |reason| Err(flaw(reason)))
}

/// Why an address can't be that of a machine on the network.
fn unusable(ip: IpAddr) -> Option<&'static str> {
    match ip {
        _ if ip.is_unspecified() => Some("it means \"any address\""),
        _ if ip.is_loopback() => Some("it is this machine's loopback"),
        _ if ip.is_multicast() => Some("it is a multicast address"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("it is the broadcast address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("it is IPv4 in IPv6's notation"),
        _ => None,
    }
}

/// Whether a gateway can be reached from one of the addresses without another router.
fn reachable(gateway: IpAddr, addresses: &[IpNet]) -> Result<IpAddr, Flaw> {
    let message = format!("the gateway {gateway} can't be reached");
    if addresses.is_empty() {
        return Err(Flaw::new(
            message,
            "there are no static addresses",
            "add `network.addresses`, or leave the gateway out: DHCP names it",
        ));
    }
    not_own(gateway, "gateway", addresses)?;
    let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    // A machine that is alone in its network has its gateway on the link.
    let alone = |address: &&IpNet| {
        address.prefix_len() == address.max_prefix_len()
            && address.addr().is_ipv4() == gateway.is_ipv4()
    };
    let family = |address: &&IpNet| address.addr().is_ipv4() == gateway.is_ipv4();
    let fits = |address: &IpNet| address.contains(&gateway);
    if addresses.iter().any(fits)
        || addresses.iter().any(|it| alone(&it))
        || (link_local && addresses.iter().any(|it| family(&it)))
    {
        return Ok(gateway);
    }
    let networks: Vec<String> = addresses.iter().map(|it| it.trunc().to_string()).collect();
    Err(Flaw::new(
        message,
        format!("it is not in {}", networks.join(" or ")),
        "check the gateway and the prefix lengths in `network.addresses`; where the provider's gateway is in \
         another network, write the address with /32 or /128",
    ))
}

fn second_gateway(gateway: IpAddr) -> Flaw {
    let family = if gateway.is_ipv4() { "IPv4" } else { "IPv6" };
    Flaw::new(
        format!("{gateway} is a second gateway for {family}"),
        "there can be one for each family",
        "keep the one that leads to the internet",
    )
}

/// Refuses IPv6 where IPv6 is off.
fn allowed_family(
    ip: IpAddr,
    ipv6: bool,
    text: &Text,
    problems: &mut Problems,
) -> Result<(), Reported> {
    if ipv6 || ip.is_ipv4() {
        return Ok(());
    }
    let flaw = Flaw::new(
        format!("{ip} is IPv6, which is off"),
        "`network.ipv6` is false",
        "take the address out, or write `ipv6 = true`",
    );
    Err(problems.add(flaw.at(&text.span)))
}

/// Refuses an address that was there before.
fn once(
    ip: IpAddr,
    seen: &mut Vec<IpAddr>,
    text: &Text,
    problems: &mut Problems,
) -> Result<(), Reported> {
    if seen.contains(&ip) {
        let flaw = Flaw::new(format!("{ip} is there twice"), "for the second time", "take it out");
        return Err(problems.add(flaw.at(&text.span)));
    }
    seen.push(ip);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_its_own_obeys_the_same_rules() {
        let judge = |addresses: &[&str], gateways: &[&str], resolvers: &[&str]| {
            let texts =
                |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            static_network("en*", &texts(addresses), &texts(gateways), &texts(resolvers))
        };
        let network =
            judge(&["192.0.2.10/24", "2001:db8::10/64"], &["192.0.2.1", "fe80::1"], &["9.9.9.9"])
                .unwrap();
        assert!(network.ipv6 && network.gateways.len() == 2);
        assert!(!judge(&["192.0.2.10/24"], &[], &[]).unwrap().ipv6);
        for (addresses, gateways, resolvers, reason) in [
            (&[][..], &[][..], &[][..], "is empty"),
            (&["192.0.2.10"], &[], &[], "prefix length"),
            (&["192.0.2.10/24"], &["198.51.100.1"], &[], "can't be reached"),
            (&["192.0.2.10/24"], &["192.0.2.1", "192.0.2.2"], &[], "second gateway"),
            (&["192.0.2.10/24"], &[], &["x"], "resolver"),
        ] {
            let flaw = judge(addresses, gateways, resolvers).unwrap_err();
            assert!(flaw.to_string().contains(reason), "{flaw}");
        }
    }
}
