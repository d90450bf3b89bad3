//! Who asks: the address at the other end, or, where a proxy of ours stands before us, what it says.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;

/// One client, known for the length of a connection. Every request carries it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its address; IPv4 is never written as IPv6.
    pub(crate) address: IpAddr,
    /// Whether it speaks TLS, to us or to the proxy before us.
    pub(crate) secure: bool,
}

impl Client {
    /// What the proxy before us says. Only the last address counts: it is the one that the proxy itself
    /// has seen, all others may be the client's invention.
    pub(crate) fn behind_proxy(headers: &HeaderMap) -> Self {
        let last = |name: &str| {
            let values = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            Some(values.rsplit(',').next()?.trim().to_owned())
        };
        let address = last("x-forwarded-for").and_then(|text| text.parse::<IpAddr>().ok());
        Self {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)).to_canonical(),
            secure: last("x-forwarded-proto").is_some_and(|scheme| scheme == "https"),
        }
    }

    /// What one customer of a provider has: an IPv4 address, or an IPv6 /64.
    pub(crate) fn network(&self) -> u128 {
        match self.address.to_canonical() {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address) >> 64 << 64,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let unknown = Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), secure: false };
        Ok(parts.extensions.get().copied().unwrap_or(unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_proxy_itself_has_seen_counts() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "192.0.2.66, 198.51.100.7".parse().unwrap());
        headers.append("x-forwarded-for", "::ffff:203.0.113.9".parse().unwrap());
        headers.append("x-forwarded-proto", "https".parse().unwrap());
        let client = Client::behind_proxy(&headers);
        assert_eq!(client, Client { address: "203.0.113.9".parse().unwrap(), secure: true });
        assert!(!Client::behind_proxy(&HeaderMap::new()).secure);
    }

    #[test]
    fn a_network_is_an_address_or_a_64() {
        let network =
            |text: &str| Client { address: text.parse().unwrap(), secure: true }.network();
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));
    }
}
