//! How the machine reaches the world: systemd.network(5), resolved.conf(5), and its names.

use std::net::IpAddr;

use mailkiln_spec::Network;

use super::unit::{UnitText, literal};
use super::{Files, RenderError};
use crate::Appliance;

pub(super) fn files(files: &mut Files, appliance: &Appliance) -> Result<(), RenderError> {
    let network = &appliance.network;
    match network.vlan {
        None => files.text("/etc/systemd/network/10-mailkiln.network", link(network)?)?,
        Some(number) => {
            files.text("/etc/systemd/network/10-mailkiln.netdev", vlan(number)?)?;
            files.text("/etc/systemd/network/10-mailkiln.network", link(network)?)?;
            files.text("/etc/systemd/network/11-mailkiln-card.network", card(network)?)?;
        }
    }
    files.text("/etc/systemd/resolved.conf.d/10-mailkiln.conf", resolver(appliance)?)?;
    files.text(&format!("/etc/systemd/system/{ONLINE}.d/10-mailkiln.conf"), online()?)?;
    files.text("/etc/hostname", format!("{}\n", appliance.host))?;
    files.text("/etc/hosts", hosts(&appliance.host, appliance.network.ipv6))
}

/// What the VLAN's interface is called.
const VLAN: &str = "vlan-mail";

/// What `network-online.target` waits for.
const ONLINE: &str = "systemd-networkd-wait-online.service";

/// Online is who has one way out: a second socket without a cable must not hold anything up, and a
/// machine without any network has not failed.
fn online() -> Result<String, RenderError> {
    let mut text = UnitText::new(ONLINE);
    text.section("Service");
    text.set("ExecStart", "")?;
    text.set(
        "ExecStart",
        "/usr/lib/systemd/systemd-networkd-wait-online --any --operational-state=routable --timeout=120",
    )?;
    text.set("SuccessExitStatus", 1)?;
    Ok(text.finish())
}

/// The VLAN's own interface: systemd.netdev(5).
fn vlan(number: u16) -> Result<String, RenderError> {
    let mut text = UnitText::new("10-mailkiln.netdev");
    text.section("NetDev");
    text.set("Name", VLAN)?;
    text.set("Kind", "vlan")?;
    text.section("VLAN");
    text.set("Id", number)?;
    Ok(text.finish())
}

/// The card below a VLAN, which has no address itself.
fn card(network: &Network) -> Result<String, RenderError> {
    let mut text = UnitText::new("11-mailkiln-card.network");
    matched(&mut text, network)?;
    text.section("Network");
    text.set("VLAN", VLAN)?;
    text.set("DHCP", "no")?;
    text.flag("IPv6AcceptRA", false)?;
    text.set("LinkLocalAddressing", "no")?;
    Ok(text.finish())
}

/// Which card it is: all that is said has to fit.
fn matched(text: &mut UnitText, network: &Network) -> Result<(), RenderError> {
    text.section("Match");
    if let Some(mac) = &network.mac {
        text.set("MACAddress", mac)?;
        // A VLAN has the hardware address of its card.
        text.set("Kind", "!*")?;
    }
    if let Some(driver) = &network.driver {
        text.set("Driver", literal(driver))?;
    }
    text.set("Name", literal(&network.interface))
}

fn link(network: &Network) -> Result<String, RenderError> {
    let mut text = UnitText::new("10-mailkiln.network");
    match network.vlan {
        None => matched(&mut text, network)?,
        Some(_) => {
            text.section("Match");
            text.set("Name", VLAN)?;
        }
    }
    text.section("Network");
    text.set(
        "DHCP",
        match (network.dhcp4, network.dhcp6) {
            (true, true) => "yes",
            (true, false) => "ipv4",
            (false, true) => "ipv6",
            (false, false) => "no",
        },
    )?;
    text.flag("IPv6AcceptRA", network.dhcp6)?;
    text.set("LinkLocalAddressing", if network.ipv6 { "ipv6" } else { "no" })?;
    for address in &network.addresses {
        text.set("Address", address)?;
    }
    let (alone, near): (Vec<IpAddr>, Vec<IpAddr>) =
        network.gateways.iter().partition(|gateway| network.is_on_link_only(**gateway));
    for gateway in near {
        text.set("Gateway", gateway)?;
    }
    for gateway in alone {
        text.section("Route");
        text.set("Gateway", gateway)?;
        text.flag("GatewayOnLink", true)?;
    }
    leases(&mut text, network)?;
    Ok(text.finish())
}

/// What is asked of DHCP and router advertisements.
fn leases(text: &mut UnitText, network: &Network) -> Result<(), RenderError> {
    let ask_for_resolvers = network.resolvers.is_empty();
    if network.dhcp4 {
        text.section("DHCPv4");
        text.comment("The root is read-only, so the machine ID may change with every boot; the");
        text.comment("lease must not.");
        text.set("ClientIdentifier", "mac")?;
        text.flag("UseHostname", false)?;
        text.flag("UseDNS", ask_for_resolvers)?;
    }
    if network.dhcp6 {
        text.section("DHCPv6");
        text.set("DUIDType", "link-layer")?;
        text.flag("UseHostname", false)?;
        text.flag("UseDNS", ask_for_resolvers)?;
        text.section("IPv6AcceptRA");
        text.flag("UseDNS", ask_for_resolvers)?;
    }
    Ok(())
}

/// Names are asked of DNS alone: neither the neighbours (LLMNR, multicast DNS) nor a public
/// resolver that nobody chose may answer for a mail server.
fn resolver(appliance: &Appliance) -> Result<String, RenderError> {
    let resolvers: Vec<String> =
        appliance.network.resolvers.iter().map(ToString::to_string).collect();
    let mut text = UnitText::new("resolved.conf");
    text.section("Resolve");
    text.list("DNS", &resolvers)?;
    text.set("FallbackDNS", "")?;
    if !resolvers.is_empty() {
        text.comment("These answer for every domain, whatever a link may bring.");
        text.set("Domains", "~.")?;
    }
    text.flag("LLMNR", false)?;
    text.flag("MulticastDNS", false)?;
    Ok(text.finish())
}

/// hosts(5). The machine finds its own name without DNS, on an address that is never routed.
fn hosts(host: &str, ipv6: bool) -> String {
    let short = host.split('.').next().unwrap_or(host);
    let mut text = format!("127.0.0.1 localhost\n127.0.1.1 {host} {short}\n");
    if ipv6 {
        text.push_str("::1 localhost ip6-localhost ip6-loopback\n");
    }
    text
}
