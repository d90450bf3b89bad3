//! Static addresses as networkd wants them: systemd.network(5).
//!
//! In: addresses, gateways, resolvers. Out: the text of a `.network` file that comes before the
//! image's own.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// The file's name. networkd takes the first file that fits, and the image's begins with `10-`.
pub const FILE_NAME: &str = "05-mailkiln-seed.network";

/// Static addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    interface: String,
    /// Hardware address of the card, where a cloud names it.
    #[serde(default)]
    mac: Option<String>,
    addresses: Vec<Prefixed>,
    gateways: Vec<IpAddr>,
    resolvers: Vec<IpAddr>,
}

/// An address with the prefix length of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefixed {
    ip: IpAddr,
    length: u8,
}

impl TryFrom<String> for Prefixed {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parsed = text.split_once('/').and_then(|(ip, length)| {
            let ip: IpAddr = ip.parse().ok()?;
            let length: u8 = length.parse().ok()?;
            (length <= if ip.is_ipv4() { 32 } else { 128 }).then_some(Self { ip, length })
        });
        parsed.ok_or("no address with a prefix length")
    }
}

impl From<Prefixed> for String {
    fn from(Prefixed { ip, length }: Prefixed) -> Self {
        format!("{ip}/{length}")
    }
}

impl Prefixed {
    /// An address with the length of its prefix, or with an IPv4 network mask in place of it.
    pub fn new(ip: &str, length: &str) -> Option<Self> {
        let length = match length.parse::<Ipv4Addr>() {
            Ok(mask) if u32::from(mask).leading_ones() + u32::from(mask).trailing_zeros() == 32 => {
                u32::from(mask).leading_ones().to_string()
            }
            Ok(_) => return None,
            Err(_) => length.to_owned(),
        };
        Self::try_from(format!("{ip}/{length}")).ok()
    }

    /// Whether `other` is in the same network.
    fn has(self, other: &IpAddr) -> bool {
        let (own, other, width) = match (self.ip, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(u32::from(own)), u128::from(u32::from(*other)), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (u128::from(own), u128::from(*other), 128),
            _ => return false,
        };
        // A shift by the whole width: every address is in `::/0`.
        (own ^ other).checked_shr(width - u32::from(self.length)).unwrap_or(0) == 0
    }
}

impl Network {
    /// Addresses of the card with the hardware address `mac`, or of whichever there is. `None` for what
    /// is not sound.
    pub fn of_card(
        mac: Option<&str>,
        addresses: Vec<Prefixed>,
        gateways: Vec<IpAddr>,
        resolvers: Vec<IpAddr>,
    ) -> Option<Self> {
        let mac = mac.map(str::to_ascii_lowercase);
        let interface = if mac.is_some() { "*" } else { "en* eth*" }.to_owned();
        let network = Self { interface, mac, addresses, gateways, resolvers };
        network.is_sound().then_some(network)
    }

    /// Whether it has an address, and names an interface as the kernel does.
    pub fn is_sound(&self) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"*?_-.:@ ".contains(&b);
        let mac = |text: &String| {
            text.len() == 17
                && text.split(':').count() == 6
                && text
                    .split(':')
                    .all(|it| it.len() == 2 && it.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        !self.addresses.is_empty()
            && self.mac.iter().all(mac)
            && !self.interface.trim().is_empty()
            && self.interface.len() <= 200
            && self.interface.bytes().all(plain)
    }

    /// The file's text.
    pub fn render(&self) -> String {
        self.render_as(
            "From the seed. What mail.toml says holds again once this file is removed below /var/lib/mailkiln-seed.",
        )
    }

    /// The same, with another first line of comment.
    pub fn render_as(&self, comment: &str) -> String {
        let ipv6 = self.addresses.iter().any(|address| address.ip.is_ipv6());
        let mac = self.mac.iter().map(|mac| format!("MACAddress={mac}\n")).collect::<String>();
        let mut text = format!(
            "# {comment}\n[Match]\n{mac}Name={}\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing={}\n",
            self.interface,
            if ipv6 { "ipv6" } else { "no" }
        );
        // Writing to a String cannot fail.
        for Prefixed { ip, length } in &self.addresses {
            let _ = writeln!(text, "Address={ip}/{length}");
        }
        for gateway in self.gateways.iter().filter(|gateway| !self.is_on_link_only(gateway)) {
            let _ = writeln!(text, "Gateway={gateway}");
        }
        for resolver in &self.resolvers {
            let _ = writeln!(text, "DNS={resolver}");
        }
        if !self.resolvers.is_empty() {
            text.push_str("Domains=~.\n");
        }
        // Where the machine has a /32, its gateway is in no network of its own.
        for gateway in self.gateways.iter().filter(|gateway| self.is_on_link_only(gateway)) {
            let _ = write!(text, "\n[Route]\nGateway={gateway}\nGatewayOnLink=yes\n");
        }
        text
    }

    /// Whether a gateway is reached on the link though no address shares a network with it.
    fn is_on_link_only(&self, gateway: &IpAddr) -> bool {
        let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        !link_local && !self.addresses.iter().any(|address| address.has(gateway))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_outside_of_every_network_is_on_the_link() {
        let network = |addresses: &str, gateway: &str| -> String {
            let text = format!(
                r#"{{"interface": "en*", "addresses": [{addresses}], "gateways": ["{gateway}"], "resolvers": []}}"#
            );
            serde_json::from_str::<Network>(&text).unwrap().render()
        };
        let on_link = |gateway: &str| format!("\n[Route]\nGateway={gateway}\nGatewayOnLink=yes\n");
        for (addresses, gateway) in [
            (r#""203.0.113.10/32""#, "172.31.1.1"),
            (r#""2001:db8::10/128""#, "2001:db8:1::1"),
            (r#""203.0.113.10/24", "2001:db8::10/128""#, "2001:db8:1::1"),
        ] {
            let text = network(addresses, gateway);
            assert!(text.ends_with(&on_link(gateway)), "{text}");
        }
        for (addresses, gateway) in [
            (r#""203.0.113.10/24""#, "203.0.113.1"),
            (r#""2001:db8::10/128""#, "fe80::1"),
            (r#""2001:db8::10/64""#, "2001:db8::1"),
            (r#""203.0.113.10/0""#, "8.8.8.8"),
        ] {
            let text = network(addresses, gateway);
            assert!(!text.contains("GatewayOnLink") && text.contains("Gateway="), "{text}");
        }
    }
}
