//! Static addresses as networkd wants them: systemd.network(5).
//!
//! In: addresses, gateways, resolvers. Out: the text of a `.network` file that comes before the
//! image's own.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde::Deserialize;

/// The file's name. networkd takes the first file that fits, and the image's begins with `10-`.
pub const FILE_NAME: &str = "05-mailkiln-seed.network";

/// Static addresses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    interface: String,
    addresses: Vec<Prefixed>,
    gateways: Vec<IpAddr>,
    resolvers: Vec<IpAddr>,
}

/// An address with the prefix length of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Prefixed {
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

impl Network {
    /// Whether it has an address, and names an interface as the kernel does.
    pub(super) fn is_sound(&self) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"*?_-.:@ ".contains(&b);
        !self.addresses.is_empty()
            && !self.interface.trim().is_empty()
            && self.interface.len() <= 200
            && self.interface.bytes().all(plain)
    }

    /// The file's text.
    pub fn render(&self) -> String {
        let ipv6 = self.addresses.iter().any(|address| address.ip.is_ipv6());
        let mut text = format!(
            "# From the seed. What mail.toml says holds again once this file is removed below /var/lib/mailkiln-seed.\n\
             [Match]\nName={}\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing={}\n",
            self.interface,
            if ipv6 { "ipv6" } else { "no" }
        );
        // Writing to a String cannot fail.
        for Prefixed { ip, length } in &self.addresses {
            let _ = writeln!(text, "Address={ip}/{length}");
        }
        for gateway in &self.gateways {
            let _ = writeln!(text, "Gateway={gateway}");
        }
        for resolver in &self.resolvers {
            let _ = writeln!(text, "DNS={resolver}");
        }
        if !self.resolvers.is_empty() {
            text.push_str("Domains=~.\n");
        }
        text
    }
}
