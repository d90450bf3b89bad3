//! How the appliance can be reached: its addresses and the ports it listens on.
//!
//! In: the kernel's interfaces and `/proc/net/tcp{,6}` (Documentation/networking/proc_net_tcp.rst).
//! Out: addresses and port numbers, sorted.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;

/// Addresses that others can use: no loopback, no link-local ones.
pub fn addresses() -> Vec<IpAddr> {
    // Without an answer of the kernel there is none to show.
    let interfaces = getifaddrs().into_iter().flatten();
    let found: BTreeSet<_> = interfaces
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
        })
        .filter(reachable)
        .collect();
    found.into_iter().collect()
}

fn reachable(address: &IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !address.is_loopback() && !address.is_unspecified() && !link_local
}

/// TCP ports on which something listens beyond loopback.
pub fn listening_ports() -> BTreeSet<u16> {
    let read =
        |file: &str| std::fs::read_to_string(Path::new("/proc/net").join(file)).unwrap_or_default();
    ["tcp", "tcp6"].iter().flat_map(|file| parse_listening(&read(file))).collect()
}

/// `  0: 0100007F:0019 00000000:0000 0A …`: local address and port in hexadecimal, state 0A.
pub(crate) fn parse_listening(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (address, port) = fields.nth(1)?.split_once(':')?;
        let listens = fields.nth(1)? == "0A";
        let local = is_loopback(address);
        u16::from_str_radix(port, 16).ok().filter(|_| listens && !local)
    };
    table.lines().skip(1).filter_map(port).collect()
}

/// The kernel prints addresses as 32-bit words in its own byte order: 127.x.y.z ends in `7F` on
/// little-endian machines, which is all we build for.
fn is_loopback(address: &str) -> bool {
    match address.len() {
        8 => address.ends_with("7F"),
        _ => address == "00000000000000000000000001000000",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_of_the_kernel() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   801
   1: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000   801
   2: 0F02000A:0016 0202000A:C350 01 00000000:00000000 00:00000000 00000000     0
   3: 3500007F:0035 00000000:0000 0A
";
        assert_eq!(Vec::from_iter(parse_listening(table)), [25]);
        let table = "\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:03E1 00000000000000000000000000000000:0000 0A 0
   1: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 0A 0
";
        assert_eq!(Vec::from_iter(parse_listening(table)), [993]);
    }

    #[test]
    fn a_listener_of_this_process_is_seen() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let local = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = listening_ports();
        assert!(ports.contains(&listener.local_addr().unwrap().port()));
        assert!(!ports.contains(&local.local_addr().unwrap().port()));
    }

    #[test]
    fn only_addresses_others_can_use() {
        for (address, expected) in [
            ("10.0.2.15", true),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("2001:db8::1", true),
            ("::1", false),
        ] {
            assert_eq!(reachable(&address.parse().unwrap()), expected, "{address}");
        }
        assert!(addresses().iter().all(reachable));
    }

    proptest! {
        #[test]
        fn never_panics(table in "\n.{0,100}") {
            let _ = parse_listening(&table);
        }
    }
}
