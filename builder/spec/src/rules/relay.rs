//! `[relay]`.

use std::net::IpAddr;

use super::{needed, port};
use crate::document::Located;
use crate::domain_name::DomainName;
use crate::file::{RelayTable, Text, TlsValue};
use crate::model::{Relay, RelayTls};
use crate::problem::{Flaw, Problems, Reported};

/// Longest login in bytes; far beyond any address.
const LONGEST_USER: usize = 320;

pub(super) fn judge(
    table: Option<Located<RelayTable>>,
    ipv6: bool,
    problems: &mut Problems,
) -> Result<Option<Relay>, Reported> {
    let Some(Located { value: table, span }) = table else { return Ok(None) };
    let tls = match table.tls.as_ref().map(|tls| tls.value) {
        None | Some(TlsValue::Starttls) => RelayTls::Starttls,
        Some(TlsValue::Implicit) => RelayTls::Implicit,
        Some(TlsValue::Off) => RelayTls::Off,
    };
    let port = match &table.port {
        Some(number) => port(number, problems),
        None if tls == RelayTls::Implicit => Ok(465),
        None => Ok(587),
    };
    let user = table.user.map(|user| problems.check(&user.span, login(user.value))).transpose();
    let host = needed(table.host.as_ref(), &span, "relay.host", problems)
        .and_then(|text| host(text, ipv6, problems));
    let host = host.and_then(|host| match (&table.tls, private(&host)) {
        (Some(off), false) if tls == RelayTls::Off => {
            Err(problems.add(open_to_the_world(&host).at(&off.span)))
        }
        _ => Ok(host),
    });
    Ok(Some(Relay { host: host?, port: port?, tls, user: user? }))
}

/// A name in A-labels or an address.
fn host(text: &Text, ipv6: bool, problems: &mut Problems) -> Result<String, Reported> {
    match text.value.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() || ip.is_multicast() => {
            let message = format!("{ip} can't be a relay");
            let help = "write the relay's name or address";
            Err(problems
                .add(Flaw::new(message, "no machine has this address", help).at(&text.span)))
        }
        Ok(ip) if ip.is_ipv6() && !ipv6 => {
            let message = format!("{ip} is IPv6, which is off");
            let help = "write its name or IPv4 address, or `ipv6 = true` in [network]";
            Err(problems.add(Flaw::new(message, "`network.ipv6` is false", help).at(&text.span)))
        }
        Ok(ip) => Ok(ip.to_string()),
        Err(_) => {
            let name: Result<DomainName, Flaw> = text.value.parse();
            problems.check(&text.span, name).map(|name| name.to_string())
        }
    }
}

/// Whether the host is given by an address that no stranger can be at. A name is no proof.
pub(super) fn private(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local()
        }
        Err(_) => false,
    }
}

fn open_to_the_world(host: &str) -> Flaw {
    Flaw::new(
        format!("mail to the relay {host} would travel unprotected"),
        "`off` is for private IP addresses only",
        "write `tls = \"starttls\"`, or the relay's private address in `host`",
    )
}

fn login(user: String) -> Result<String, Flaw> {
    if user.trim().is_empty() || user.len() > LONGEST_USER {
        return Err(Flaw::new(
            "`relay.user` is not a login",
            format!("it must have 1 to {LONGEST_USER} characters"),
            "write the login, or leave the key out for a relay that asks for none",
        ));
    }
    Ok(user)
}
