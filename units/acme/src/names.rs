//! Which names point here.
//!
//! A name that does not would cost the whole certificate, since an order is valid as a whole or not at
//! all. The machine's own addresses prove nothing: behind a router they are not those of the DNS. So a
//! name points here when all its addresses are the host's too, or when asking each of them over HTTP,
//! as the authority will, reaches this very program. The host itself is taken at its word: without
//! it there is no certificate to save, and a router may not let us reach ourselves by our public address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hickory_net::client::{Client, ClientHandle as _};
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::udp::UdpClientStream;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name as DnsName, RData, RecordType};
use tokio::time::timeout;

use crate::challenge::http_01;
use crate::layout::Layout;
use crate::settings::{Challenge, Name, Settings};

const TIME: Duration = Duration::from_secs(10);
const PORT: u16 = 53;
/// systemd-resolved answers for its own host name itself, with the addresses of the interfaces; on the
/// second address it passes questions on: systemd-resolved.service(8).
const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54));

/// Addresses of a name, or why they are not known.
type Addresses = Result<BTreeSet<IpAddr>, String>;

/// The names, sorted out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    /// These can be ordered; sorted.
    pub here: Vec<String>,
    /// These cannot, and why.
    pub elsewhere: BTreeMap<String, String>,
    /// Addresses of the host; empty where the DNS does not matter.
    pub host: Vec<String>,
}

/// Examines the names of one certificate.
pub async fn examine(settings: &Settings, names: &[Name], layout: &Layout) -> Examined {
    let Challenge::Http01 { listen, served } = settings.challenge else {
        return examine_without_probe(settings, names, layout).await;
    };
    // A word that nobody else can know.
    let (token, answer) = (random(), random());
    let answers = BTreeMap::from([(token.clone(), answer.clone())]);
    let Ok(responder) =
        http_01::Responder::start((!served).then_some(listen), layout, answers).await
    else {
        return examine_without_probe(settings, names, layout).await;
    };
    let asked = async |name: &Name, ip| {
        http_01::asked(SocketAddr::new(ip, listen.port()), name.as_str(), &token, &answer).await
    };
    let found = sort_out(settings, names, layout, Some(asked)).await;
    responder.stop().await;
    found
}

async fn examine_without_probe(settings: &Settings, names: &[Name], layout: &Layout) -> Examined {
    if matches!(settings.challenge, Challenge::Dns01 { .. }) {
        // Control over the DNS is all that is asked for.
        let mut here: Vec<String> = names.iter().map(ToString::to_string).collect();
        here.sort_unstable();
        return Examined { here, ..Examined::default() };
    }
    sort_out(settings, names, layout, None::<fn(&Name, IpAddr) -> std::future::Ready<bool>>).await
}

async fn sort_out(
    settings: &Settings,
    names: &[Name],
    layout: &Layout,
    probe: Option<impl AsyncFn(&Name, IpAddr) -> bool>,
) -> Examined {
    let resolver = resolver(&layout.resolver_configuration());
    let mut found = Examined::default();
    let host = match addresses(resolver, &settings.host).await {
        Ok(host) => host,
        // What is wrong with the host's domain costs no other one anything.
        Err(_) if !names.contains(&settings.host) => BTreeSet::new(),
        Err(reason) => {
            found.elsewhere.insert(settings.host.to_string(), reason);
            return found;
        }
    };
    found.host = host.iter().map(ToString::to_string).collect();
    for name in names {
        let verdict = if *name == settings.host {
            Ok(())
        } else {
            let addresses = addresses(resolver, name).await;
            judge(&settings.host, &host, name, addresses, probe.as_ref()).await
        };
        match verdict {
            Ok(()) => found.here.push(name.to_string()),
            Err(reason) => {
                found.elsewhere.insert(name.to_string(), reason);
            }
        }
    }
    found.here.sort_unstable();
    found
}

async fn judge(
    host: &Name,
    here: &BTreeSet<IpAddr>,
    name: &Name,
    addresses: Addresses,
    probe: Option<impl AsyncFn(&Name, IpAddr) -> bool>,
) -> Result<(), String> {
    for address in addresses?.difference(here) {
        let reaches_us = match &probe {
            Some(probe) => probe(name, *address).await,
            // Where nothing can be compared either, the authority has to find out.
            None => here.is_empty(),
        };
        if !reaches_us {
            return Err(format!("it points to {address}, which is not {host}"));
        }
    }
    Ok(())
}

/// All addresses of a name.
async fn addresses(resolver: SocketAddr, name: &Name) -> Addresses {
    let mut all = BTreeSet::new();
    for kind in [RecordType::A, RecordType::AAAA] {
        match timeout(TIME, ask(resolver, name, kind)).await {
            Ok(found) => all.extend(found?),
            Err(_) => return Err(format!("the resolver {resolver} does not answer")),
        }
    }
    if all.is_empty() {
        return Err("it has no address in the DNS".to_owned());
    }
    Ok(all)
}

async fn ask(resolver: SocketAddr, name: &Name, kind: RecordType) -> Result<Vec<IpAddr>, String> {
    let failed = |error: String| format!("the resolver {resolver} does not answer: {error}");
    let stream = UdpClientStream::builder(resolver, TokioRuntimeProvider::new()).build();
    let (mut client, background) = Client::<TokioRuntimeProvider>::from_sender(stream);
    let background = tokio::spawn(background);
    let name = DnsName::from_ascii(format!("{name}.")).map_err(|error| error.to_string())?;
    let answer = client.query(name, DNSClass::IN, kind).await;
    background.abort();
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(failed(code.to_string())),
    }
    // Aliases lead to the addresses, and stand among them.
    let addresses = answer.answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    });
    Ok(addresses.collect())
}

/// The system's resolver (resolv.conf(5)).
fn resolver(path: &Path) -> SocketAddr {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let named = text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    });
    let address = match named {
        None | Some(STUB) => PROXY,
        Some(address) => address,
    };
    SocketAddr::new(address, PORT)
}

/// 128 bits in hex.
fn random() -> String {
    let mut bytes = [0_u8; 16];
    // Without random numbers no TLS connection comes about either; zeros are merely guessable.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::try_from(text.to_owned()).unwrap()
    }

    fn set(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn names_with_the_hosts_addresses_or_an_answer_of_ours() {
        let runtime = crate::run::runtime().unwrap();
        let here = set(&["192.0.2.1", "2001:db8::1"]);
        let (host, other) = (name("mail.a.org"), name("mta-sts.a.org"));
        let judged = |addresses: Addresses, answers: bool| {
            let probe = async |_: &Name, _| answers;
            runtime.block_on(judge(&host, &here, &other, addresses, Some(probe)))
        };
        assert_eq!(judged(Ok(set(&["192.0.2.1"])), false), Ok(()));
        assert_eq!(judged(Ok(set(&["192.0.2.9"])), true), Ok(()));
        let elsewhere = judged(Ok(set(&["192.0.2.1", "192.0.2.9"])), false).unwrap_err();
        assert_eq!(elsewhere, "it points to 192.0.2.9, which is not mail.a.org");
        assert_eq!(judged(Err("no".to_owned()), true), Err("no".to_owned()));
        // The host's own name has no address, and there is nothing to ask with.
        let blind = |here: &BTreeSet<IpAddr>, addresses: Addresses| {
            let probe = None::<fn(&Name, IpAddr) -> std::future::Ready<bool>>;
            runtime.block_on(judge(&host, here, &other, addresses, probe))
        };
        assert_eq!(blind(&set(&[]), Ok(set(&["192.0.2.1"]))), Ok(()));
        assert!(blind(&here, Ok(set(&["192.0.2.9"]))).is_err());
        assert!(blind(&set(&[]), Err("no".to_owned())).is_err());
    }

    #[test]
    fn the_resolver_that_does_not_answer_for_us() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        for (text, expected) in [
            ("nameserver 127.0.0.53\n", "127.0.0.54:53"),
            ("# x\nnameserver 192.0.2.53\nnameserver 1.1.1.1\n", "192.0.2.53:53"),
            ("", "127.0.0.54:53"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(super::resolver(&path).to_string(), expected);
        }
    }
}
