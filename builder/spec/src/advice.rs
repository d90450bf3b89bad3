//! What a right `mail.toml` may still surprise its author with.
//!
//! In: a checked spec. Out: sentences for people, none of them an error.

use std::net::IpAddr;

use crate::filter::{ClamAv, OnFailure};
use crate::model::Spec;

/// Resolvers that serve the public, which DNS block lists therefore refuse.
const PUBLIC_RESOLVERS: [&str; 10] = [
    "1.1.1.1",
    "1.0.0.1",
    "8.8.8.8",
    "8.8.4.4",
    "9.9.9.9",
    "149.112.112.112",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2001:4860:4860::8844",
    "2620:fe::fe",
];

/// What is worth a thought before an image is built from `spec`.
pub fn advice(spec: &Spec) -> Vec<String> {
    let mut advice = Vec::new();
    if spec.accounts.is_empty() {
        advice.push(
            "There is no [[account]]: no one receives mail, postmaster@ included, until you create one \
             on the appliance."
                .to_owned(),
        );
    }
    if spec.web.is_some_and(|web| web.behind_proxy) {
        advice.push(
            "`web.behind_proxy`: only a NixOS host has a web server of its own. An image would have no web \
             unit on ports 80 and 443, so that none is built from this file."
                .to_owned(),
        );
    }
    let network = &spec.network;
    let any_card = network.interface.contains(['*', '?', ' ']) && network.mac.is_none();
    if !network.addresses.is_empty() && any_card && network.driver.is_none() {
        advice.push(format!(
            "Static addresses on `{}`: a machine with two cards has them on both. With more than one, set \
             `network.interface` to the card's name, or `network.mac`.",
            network.interface
        ));
    }
    if spec.network.addresses.is_empty() {
        advice.push(format!(
            "The address comes by DHCP: see that it stays the same, since the DNS must name it as \
             {}.",
            spec.host.name
        ));
    }
    if spec.network.resolvers.is_empty() && !spec.network.addresses.is_empty() {
        advice.push(
            "Static addresses without `network.resolvers`: no resolver is configured, and without \
             one no mail goes out."
                .to_owned(),
        );
    }
    if let Some(resolver) = spec.network.resolvers.iter().find(|ip| is_public(ip))
        && !spec.spam.dnsbl.is_empty()
    {
        advice.push(format!(
            "DNS block lists refuse those who ask through the public resolver {resolver}: set \
             `network.resolvers` to one of your own."
        ));
    }
    if let Some(relay) = &spec.relay
        && relay.user.is_some()
    {
        advice.push(format!(
            "The password for {} is stored on the appliance: mailkiln-agent secret set \
             relay-password.",
            relay.host
        ));
    }
    advice.extend(clamav(spec));
    advice
}

/// What `filter.clamav` costs.
fn clamav(spec: &Spec) -> Option<String> {
    let filter = spec.filter.as_ref().filter(|filter| filter.clamav == Some(ClamAv::Here))?;
    let meanwhile = match filter.on_failure {
        OnFailure::Defer => "mail waits with its senders, and the appliance is not ready",
        OnFailure::Pass => "mail passes with a mark",
    };
    Some(format!(
        "`filter.clamav` needs a machine with 3 GiB of memory or more. Its signatures are fetched on \
         the appliance: until they are there, and while they are read after a start, {meanwhile}."
    ))
}

fn is_public(resolver: &IpAddr) -> bool {
    PUBLIC_RESOLVERS.contains(&resolver.to_string().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn advice_fits_the_case() {
        let base = "[host]\nname = 'mail.example.org'\n[[domain]]\nname = 'example.org'\n";
        let account = "[[account]]\naddress = 'alice@example.org'\n";
        let fixed = "[network]\naddresses = ['192.0.2.10/24']\n";
        let with = |extra: &str| advice(&parse(&format!("{base}{extra}")).unwrap()).join("\n");
        assert!(with("").contains("no [[account]]"));
        assert!(with(account).contains("by DHCP"));
        assert!(with(&format!("{account}{fixed}")).contains("no resolver is configured"));
        let resolved = format!("{account}{fixed}resolvers = ['192.0.2.53']\n");
        assert!(with(&resolved).contains("a machine with two cards"));
        let quiet = format!("{resolved}interface = 'eth0'\n");
        assert_eq!(with(&quiet), "");
        let listed = format!("{account}{fixed}resolvers = ['9.9.9.9']\n[spam]\ndnsbl = ['a.test']");
        assert!(with(&listed).contains("9.9.9.9"));
        let relay = format!("{quiet}[relay]\nhost = 'smtp.example.net'\nuser = 'u'");
        assert!(with(&relay).contains("relay-password"));
        let clamav = format!("{quiet}[filter]\nclamav = true\n");
        assert!(with(&clamav).contains("not ready"));
        assert!(with(&format!("{clamav}on_failure = 'pass'\n")).contains("with a mark"));
    }
}
