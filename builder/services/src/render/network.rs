//! How the machine reaches the world: systemd.network(5), resolved.conf(5), and its names.

use super::unit::{UnitText, literal};
use super::{Files, RenderError};
use crate::Appliance;

pub(super) fn files(files: &mut Files, appliance: &Appliance) -> Result<(), RenderError> {
    files.text("/etc/systemd/network/10-mailkiln.network", link(appliance)?)?;
    files.text("/etc/systemd/resolved.conf.d/10-mailkiln.conf", resolver(appliance)?)?;
    files.text(&format!("/etc/systemd/system/{ONLINE}.d/10-mailkiln.conf"), online()?)?;
    files.text("/etc/hostname", format!("{}\n", appliance.host))?;
    files.text("/etc/hosts", hosts(&appliance.host, appliance.network.ipv6))
}

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

fn link(appliance: &Appliance) -> Result<String, RenderError> {
    let network = &appliance.network;
    let dynamic = network.addresses.is_empty();
    let mut text = UnitText::new("10-mailkiln.network");
    text.section("Match");
    text.set("Name", literal(&network.interface))?;
    text.section("Network");
    text.set(
        "DHCP",
        match (dynamic, network.ipv6) {
            (true, true) => "yes",
            (true, false) => "ipv4",
            (false, _) => "no",
        },
    )?;
    text.flag("IPv6AcceptRA", dynamic && network.ipv6)?;
    text.set("LinkLocalAddressing", if network.ipv6 { "ipv6" } else { "no" })?;
    for address in &network.addresses {
        text.set("Address", address)?;
    }
    for gateway in &network.gateways {
        text.set("Gateway", gateway)?;
    }
    if dynamic {
        let ask_for_resolvers = network.resolvers.is_empty();
        text.section("DHCPv4");
        text.comment("The root is read-only, so the machine ID may change with every boot; the");
        text.comment("lease must not.");
        text.set("ClientIdentifier", "mac")?;
        text.flag("UseHostname", false)?;
        text.flag("UseDNS", ask_for_resolvers)?;
        if network.ipv6 {
            text.section("DHCPv6");
            text.set("DUIDType", "link-layer")?;
            text.flag("UseHostname", false)?;
            text.flag("UseDNS", ask_for_resolvers)?;
            text.section("IPv6AcceptRA");
            text.flag("UseDNS", ask_for_resolvers)?;
        }
    }
    Ok(text.finish())
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
