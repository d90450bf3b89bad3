//! Which machines may be asked for an image: those of the public Internet, on the web's own ports. Everything else is somebody's
//! inside, perhaps ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// An image that may be asked for, as far as its address can tell. Names still have to be resolved, and each of their addresses
/// has to be [`is_public`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

/// Reads an address; `None` if it may not be asked.
pub(super) fn target(url: &str) -> Option<Target> {
    let url = Url::parse(url).ok()?;
    let is_tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return None;
    }
    // The URL standard reads `0x7f.1` and `2130706433` as the addresses that they are.
    let host = match url.host()? {
        Host::Ipv4(address) if is_public(address.into()) => address.to_string(),
        Host::Ipv6(address) if is_public(address.into()) => address.to_string(),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let inner =
                ["localhost", "local", "internal", "lan", "home.arpa", "onion", "test", "invalid"];
            let is_inner =
                inner.iter().any(|end| name == *end || name.ends_with(&format!(".{end}")));
            if is_inner || !name.contains('.') {
                return None;
            }
            name
        }
        Host::Ipv4(_) | Host::Ipv6(_) => return None,
    };
    Some(Target { host, port: if is_tls { 443 } else { 80 }, is_tls, url })
}

/// Whether an address belongs to the public Internet (the registries of special-purpose addresses of the IANA, RFC 6890).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_4(address),
        IpAddr::V6(address) => is_public_6(address),
    }
}

fn is_public_4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 31, 196)
            | (192, 52, 193)
            | (192, 88, 99)
            | (192, 168, _)
            | (192, 175, 48)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, ..)
    )
}

fn is_public_6(address: Ipv6Addr) -> bool {
    // Only what is given out; inside it, no tunnels, no documentation, no address that holds another.
    let segments = address.segments();
    let [first, second, ..] = segments;
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = segments {
        // NAT64: what it stands for counts (RFC 6052).
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return is_public_4(Ipv4Addr::new(a, b, c, d));
    }
    let is_given_out = (0x2000..=0x3fff).contains(&first);
    let is_special = match (first, second) {
        // Protocols, Teredo, benchmarks, ORCHID: 2001::/23; documentation: 2001:db8::/32.
        (0x2001, 0..=0x1ff | 0xdb8) => true,
        // 6to4.
        (0x2002, _) => true,
        // 3fff::/20: documentation (RFC 9637).
        (0x3fff, 0..=0xfff) => true,
        _ => false,
    };
    is_given_out && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inside_is_never_asked() {
        let inside = [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0/",
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://172.31.255.255/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://100.127.255.255/",
            "http://198.18.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://192.0.2.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::127.0.0.1]/",
            "http://[fe80::1]/",
            "http://[fc00::1]/",
            "http://[fd12::1]/",
            "http://[ff02::1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:7f00:1::]/",
            "http://[2001:db8::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[64:ff9b::10.0.0.1]/",
            "http://[64:ff9b:1::1]/",
            "http://[fec0::1]/",
            "http://[3fff::1]/",
            "http://localhost/",
            "http://localhost./",
            "http://a.localhost/",
            "http://router/",
            "http://nas.local/",
            "http://x.internal/",
            "http://LOCALHOST/",
            "http://①②⑦.0.0.1/",
            "http://127。0。0。1/",
            "https://e.example:8443/",
            "https://e.example:22/",
            "http://a@e.example/",
            "http://a:b@e.example/",
            "ftp://e.example/",
            "file:///etc/passwd",
            "gopher://e.example/",
            "data:image/png;base64,AA==",
            "//e.example/",
            "/etc",
            "",
            "http://",
            "http:///",
        ];
        for url in inside {
            assert_eq!(target(url), None, "{url}");
        }
    }

    #[test]
    fn the_public_internet_is() {
        for (url, host, port) in [
            ("https://e.example/a.png?b=c#d", "e.example", 443),
            ("http://E.EXAMPLE./", "e.example", 80),
            ("http://8.8.8.8/", "8.8.8.8", 80),
            ("https://e.example:443/", "e.example", 443),
            ("https://[2606:4700::1111]/", "2606:4700::1111", 443),
            ("https://bücher.example/", "xn--bcher-kva.example", 443),
            ("http://172.15.0.1/", "172.15.0.1", 80),
            ("http://100.128.0.1/", "100.128.0.1", 80),
            ("http://[64:ff9b::808:808]/", "64:ff9b::808:808", 80),
        ] {
            let found = target(url).unwrap_or_else(|| panic!("{url}"));
            assert_eq!((found.host.as_str(), found.port), (host, port), "{url}");
        }
    }

    /// No address that the standard library calls special is public for us.
    #[test]
    fn the_standard_library_agrees() {
        for a in 0..=255_u8 {
            for b in 0..=255_u8 {
                let address = Ipv4Addr::new(a, b, 1, 1);
                let special = address.is_loopback()
                    || address.is_private()
                    || address.is_link_local()
                    || address.is_multicast()
                    || address.is_unspecified()
                    || address.is_broadcast();
                assert!(!special || !is_public(address.into()), "{address}");
                let mapped = address.to_ipv6_mapped();
                assert!(!is_public(mapped.into()), "{mapped}: never by that way");
            }
        }
        for first in 0..=0xffff_u16 {
            let address = Ipv6Addr::new(first, 1, 0, 0, 0, 0, 0, 1);
            let special = address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_multicast();
            assert!(!special || !is_public(address.into()), "{address}");
        }
    }
}
