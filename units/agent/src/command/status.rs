//! `status`: what the console shows, once and without passwords.
//!
//! In: the running appliance. Out: lines on standard output.

use super::{CommandError, print};
use crate::appliance::{Appliance, DomainName};
use crate::certificate::Facts;
use crate::dkim::Algorithm;
use crate::dns::Resolver;
use crate::layout::Layout;
use crate::records::{self, Findings};
use crate::secrets::{SecretName, Secrets};
use crate::{health, network, screen};

/// Runs the command.
///
/// # Errors
/// [`CommandError`] when there is no appliance to look at.
pub(super) fn run(layout: &Layout) -> Result<(), CommandError> {
    let appliance = Appliance::read(&layout.appliance())?;
    print(&screen::render(&look(layout, &appliance), "\n"))?;
    print(&screen::render(&screen::dns(&look_up(layout, &appliance)), "\n"))
}

/// The lines about the appliance itself. Sends a message; takes up to a minute.
pub(super) fn look(layout: &Layout, appliance: &Appliance) -> Vec<String> {
    let health = health::examine(layout, appliance);
    let (addresses, ports) = (network::addresses(), network::listening_ports());
    // Gone with the next boot; without it there is nothing to say.
    let refused = std::fs::read_to_string(layout.seed().refused).ok();
    let mut lines =
        screen::status(&appliance.host, &addresses, &ports, refused.as_deref(), &health);
    // First boot data that is not used has its reason in front of what follows from that.
    let notes = std::fs::read_to_string(layout.cloud().notes).unwrap_or_default();
    lines.splice(0..0, notes.lines().map(str::to_owned));
    lines
}

/// Which DNS records are missing.
pub(super) fn look_up(layout: &Layout, appliance: &Appliance) -> Findings {
    let secrets = Secrets::new(layout.secrets());
    let key = |algorithm: Algorithm, domain: &DomainName| {
        // A key that cannot be read has its own line in the journal, from `prepare`.
        let pem = secrets.read(&SecretName::dkim(algorithm.selector(), domain)).ok()??;
        algorithm.record(&pem).ok()
    };
    let chain = std::fs::read_to_string(layout.chain(appliance));
    let tlsa = chain.ok().as_deref().and_then(Facts::parse).filter(|facts| !facts.ours);
    let tlsa = tlsa.map(|facts| records::tlsa(&facts));
    let resolver = Resolver::from_configuration(&layout.resolver_configuration());
    records::examine(&records::wanted(appliance, tlsa.as_deref(), key), |name, kind| {
        resolver.ask(name, kind)
    })
}
