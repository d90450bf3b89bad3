//! Questions to the system's resolver.
//!
//! In: `/etc/resolv.conf` (systemd-resolved's stub on the appliance) and a question. Out: the data
//! of the answer's records as normalised text. UDP first, TCP for long answers (RFC 1035, 7766).

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};

use crate::deadline::Deadline;
use crate::password;

/// For one question. resolved itself gives up on a server after 5 seconds.
const PATIENCE: Duration = Duration::from_secs(6);
/// Where systemd-resolved listens: systemd-resolved.service(8).
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
const PORT: u16 = 53;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Mail exchanger; the data is the host alone, without the preference.
    Mx,
    /// Text; the strings of one record are joined.
    Txt,
    /// What key a server has (RFC 6698); the data as zone files write it.
    Tlsa,
}

/// Number of the type, which the library does not know by name (RFC 6698 section 7.1).
const TLSA: u16 = 52;

impl Kind {
    /// As zone files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Tlsa => "TLSA",
        }
    }

    fn to_type(self) -> TYPE {
        match self {
            Self::A => TYPE::A,
            Self::Aaaa => TYPE::AAAA,
            Self::Mx => TYPE::MX,
            Self::Txt => TYPE::TXT,
            Self::Tlsa => TYPE::Unknown(TLSA),
        }
    }
}

/// Why a question has no answer. A name that does not exist is an answer: no records.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The resolver cannot be reached or is silent.
    #[error("the resolver {resolver} does not answer: {source}")]
    Silent {
        /// Its address.
        resolver: SocketAddr,
        /// What went wrong.
        source: io::Error,
    },
    /// It answered that it cannot tell.
    #[error("the resolver {resolver} has no answer for {name}: {code}")]
    Failed {
        /// Its address.
        resolver: SocketAddr,
        /// The name asked for.
        name: String,
        /// Response code.
        code: String,
    },
    /// The answer makes no sense.
    #[error("the resolver {resolver} answers nonsense")]
    Nonsense {
        /// Its address.
        resolver: SocketAddr,
    },
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolver {
    address: SocketAddr,
}

impl Resolver {
    /// The first name server of a `resolv.conf`, or systemd-resolved's stub.
    pub fn from_configuration(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Self { address: SocketAddr::new(first_name_server(&text).unwrap_or(STUB), PORT) }
    }

    /// The name server at `address`.
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Data of the records of `kind` at `name`; empty when there are none.
    ///
    /// # Errors
    /// [`DnsError`] when nobody knows.
    pub fn ask(&self, name: &str, kind: Kind) -> Result<Vec<String>, DnsError> {
        let nonsense = || DnsError::Nonsense { resolver: self.address };
        let silent = |source| DnsError::Silent { resolver: self.address, source };
        let id = password::random_bytes().map(u16::from_ne_bytes).map_err(|_| nonsense())?;
        let query = encode(id, name, kind).ok_or_else(nonsense)?;
        let deadline = Deadline::after(PATIENCE);
        let mut answer = self.over_udp(&query, id, deadline).map_err(silent)?;
        if Packet::parse(&answer).is_ok_and(|p| p.has_flags(PacketFlag::TRUNCATION)) {
            answer = self.over_tcp(&query, deadline).map_err(silent)?;
        }
        match decode(&answer, id, kind) {
            Some(Ok(records)) => Ok(records),
            Some(Err(code)) => {
                Err(DnsError::Failed { resolver: self.address, name: name.to_owned(), code })
            }
            None => Err(nonsense()),
        }
    }

    fn over_udp(&self, query: &[u8], id: u16, deadline: Deadline) -> io::Result<Vec<u8>> {
        let any: IpAddr = match self.address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        // The kernel then drops what comes from anybody else.
        socket.connect(self.address)?;
        socket.send(query)?;
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            socket.set_read_timeout(Some(deadline.remaining()?))?;
            let length = socket.recv(&mut buffer)?;
            // A late answer to an earlier question is not ours.
            if buffer[..length].starts_with(&id.to_be_bytes()) {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }

    fn over_tcp(&self, query: &[u8], deadline: Deadline) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.address, deadline.remaining()?)?;
        stream.set_read_timeout(Some(deadline.remaining()?))?;
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

fn first_name_server(text: &str) -> Option<IpAddr> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    })
}

fn encode(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).ok()?;
    let kind = QTYPE::TYPE(kind.to_type());
    packet.questions.push(Question::new(name, kind, CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

/// `None` for nonsense, an inner error for a response code that is no answer.
fn decode(answer: &[u8], id: u16, kind: Kind) -> Option<Result<Vec<String>, String>> {
    let packet = Packet::parse(answer).ok()?;
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => {}
        code => return Some(Err(format!("{code:?}"))),
    }
    // Records of other kinds (CNAME) lead to the answer and are not the answer.
    let of_kind = |data: &RData<'_>| match (kind, data) {
        (Kind::A, RData::A(a)) => Some(Ipv4Addr::from(a.address).to_string()),
        (Kind::Aaaa, RData::AAAA(a)) => Some(Ipv6Addr::from(a.address).to_string()),
        (Kind::Mx, RData::MX(mx)) => Some(mx.exchange.to_string().to_ascii_lowercase()),
        (Kind::Txt, RData::TXT(txt)) => String::try_from(txt.clone()).ok(),
        (Kind::Tlsa, RData::NULL(TLSA, data)) => tlsa(data.get_data()),
        _ => None,
    };
    Some(Ok(packet.answers.iter().filter_map(|record| of_kind(&record.rdata)).collect()))
}

/// `3 1 1 HEX` from the three numbers and the digest (RFC 6698 section 2.1).
fn tlsa(data: &[u8]) -> Option<String> {
    let (numbers, digest) = data.split_at_checked(3)?;
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{} {digest}", numbers.join(" ")))
}

/// Reads foreign bytes as the answer to each kind of question, and as a `resolv.conf`.
pub(crate) fn fuzz(bytes: &[u8]) {
    let id = bytes.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    for kind in [Kind::A, Kind::Aaaa, Kind::Mx, Kind::Txt, Kind::Tlsa] {
        let _ = decode(bytes, id, kind);
    }
    let _ = first_name_server(&String::from_utf8_lossy(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{CNAME, MX, TXT};

    fn answer(id: u16, records: Vec<RData<'static>>) -> Vec<u8> {
        let mut packet = Packet::new_reply(id);
        for data in records {
            let name = Name::new_unchecked("example.org");
            packet.answers.push(ResourceRecord::new(name, CLASS::IN, 60, data));
        }
        packet.build_bytes_vec().unwrap()
    }

    #[test]
    fn resolver_of_the_system() {
        for (text, expected) in [
            ("# x\nnameserver 127.0.0.53\noptions edns0\n", Some("127.0.0.53")),
            ("search a\nnameserver ::1\nnameserver 1.1.1.1", Some("::1")),
            ("nameservers 1.1.1.1\nnameserver x\n", None),
        ] {
            assert_eq!(first_name_server(text).map(|ip| ip.to_string()).as_deref(), expected);
        }
    }

    #[test]
    fn data_is_normalised() {
        let long = TXT::new().with_string("v=DKIM1; ").unwrap().with_string("p=x").unwrap();
        let mx = MX { preference: 10, exchange: Name::new_unchecked("MAIL.example.org") };
        let cname = RData::CNAME(CNAME(Name::new_unchecked("a.example.org")));
        let bytes = answer(7, vec![cname, RData::TXT(long), RData::MX(mx)]);
        assert_eq!(decode(&bytes, 7, Kind::Txt).unwrap().unwrap(), ["v=DKIM1; p=x"]);
        assert_eq!(decode(&bytes, 7, Kind::Mx).unwrap().unwrap(), ["mail.example.org"]);
        assert_eq!(decode(&bytes, 7, Kind::A).unwrap().unwrap(), Vec::<String>::new());
        assert!(decode(&bytes, 8, Kind::A).is_none());
        assert!(decode(&encode(7, "example.org", Kind::A).unwrap(), 7, Kind::A).is_none());
    }

    /// One name server that answers one question over UDP, and, when told to, truncates it there
    /// and answers over TCP.
    fn serve(truncate: bool, code: RCODE) -> SocketAddr {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        let tcp = std::net::TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            let (length, peer) = udp.recv_from(&mut buffer).unwrap();
            let id = Packet::parse(&buffer[..length]).unwrap().id();
            let mut reply = Packet::new_reply(id);
            *reply.rcode_mut() = code;
            if truncate {
                reply.set_flags(PacketFlag::TRUNCATION);
            }
            udp.send_to(&answer(id.wrapping_add(1), Vec::new()), peer).unwrap();
            udp.send_to(&reply.build_bytes_vec().unwrap(), peer).unwrap();
            if truncate {
                let (mut stream, _) = tcp.accept().unwrap();
                let mut question = [0; 2];
                stream.read_exact(&mut question).unwrap();
                let text = TXT::new().with_string("over tcp").unwrap();
                let bytes = answer(id, vec![RData::TXT(text)]);
                let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
                stream.write_all(&[&length, &bytes[..]].concat()).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_tlsa_record_is_read() {
        let bytes = [3, 1, 1, 0xab, 0x01];
        let record = RData::NULL(TLSA, simple_dns::rdata::NULL::new(&bytes).unwrap());
        let bytes = answer(7, vec![record.into_owned()]);
        assert_eq!(decode(&bytes, 7, Kind::Tlsa).unwrap().unwrap(), ["3 1 1 ab01"]);
        assert_eq!(tlsa(&[3, 1]), None);
    }

    #[test]
    fn asks_a_server() {
        let ask = |address| Resolver::at(address).ask("example.org", Kind::Txt);
        assert_eq!(ask(serve(false, RCODE::NameError)).unwrap(), Vec::<String>::new());
        assert_eq!(ask(serve(true, RCODE::NoError)).unwrap(), ["over tcp"]);
        let error = ask(serve(false, RCODE::ServerFailure)).unwrap_err().to_string();
        assert!(error.contains("no answer for example.org: ServerFailure"), "{error}");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = decode(&bytes, 0, Kind::Txt);
        }
    }
}
