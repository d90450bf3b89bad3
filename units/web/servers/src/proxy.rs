//! The PROXY protocol, version 2: tells a server on loopback whose connection we carry, so that its
//! bans and logs see the reader's address and not ours.
//! Source: haproxy's `proxy-protocol.txt`, section 2.2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_AND_COMMAND: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header that goes before the first byte of a connection from `reader` to `server`.
pub(crate) fn header(reader: SocketAddr, server: SocketAddr) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.push(VERSION_AND_COMMAND);
    match (reader.ip().to_canonical(), server.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([TCP_OVER_IPV4, 0, 12]);
            header.extend(from.octets());
            header.extend(to.octets());
        }
        (from, to) => {
            header.extend([TCP_OVER_IPV6, 0, 36]);
            header.extend(sixteen(from).octets());
            header.extend(sixteen(to).octets());
        }
    }
    header.extend(reader.port().to_be_bytes());
    header.extend(server.port().to_be_bytes());
    header
}

fn sixteen(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => Ipv4Addr::to_ipv6_mapped(&four),
        IpAddr::V6(six) => six,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_the_specification() {
        let four = header("192.0.2.7:50000".parse().unwrap(), "127.0.0.1:1993".parse().unwrap());
        assert_eq!(&four[12..16], [0x21, 0x11, 0, 12]);
        assert_eq!(&four[16..24], [192, 0, 2, 7, 127, 0, 0, 1]);
        assert_eq!(&four[24..], [0xc3, 0x50, 0x07, 0xc9]);
        // A client of a socket for both families is written as IPv4.
        let mapped = header("[::ffff:192.0.2.7]:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        assert_eq!(mapped.len(), 28);
        let six = header("[2001:db8::1]:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        assert_eq!((six.len(), &six[13..16]), (52, &[0x21, 0, 36][..]));
    }
}
