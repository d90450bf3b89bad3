//! What `mail.toml` and the target say to the agent: its configuration, the consoles, the page.

use mailkiln_spec::{AcmeChallenge, Spec};
use mailkiln_unit::Access;

use crate::{ConfigFile, Confinement, Device, Service, TargetFacts, appliance_json};

/// The unit that shows the status on the consoles.
pub(crate) const CONSOLE: &str = "mailkiln-console";
/// The page where people change their password.
pub(crate) const PAGE: &str = "mailkiln-page";

/// `mailkiln-prepare`, with the file that all of the agent's services read.
pub(crate) fn prepare(service: Service, spec: &Spec, target: &TargetFacts) -> Service {
    let appliance = appliance_json::text(spec, target);
    Service {
        config_files: vec![ConfigFile::public("/etc/mailkiln/appliance.json", appliance)],
        ..service
    }
}

/// `mailkiln-console`, which may write to the consoles and not read them.
pub(crate) fn console(mut service: Service, target: &TargetFacts) -> Service {
    if let Confinement::Sandboxed(sandbox) = &mut service.confinement {
        let device = |path: &String| Device { path: path.clone(), access: Access::Write };
        sandbox.devices = target.consoles.iter().map(device).collect();
    }
    service
}

/// Where the page listens, if there is one: the web unit has such a page too, and proofs by TLS need the port for
/// themselves.
pub(crate) fn page_address(spec: &Spec, target: &TargetFacts) -> Option<String> {
    let proofs = spec.acme.as_ref().is_some_and(|acme| acme.challenge == AcmeChallenge::TlsAlpn01);
    let everywhere = if spec.network.ipv6 { "[::]" } else { "0.0.0.0" };
    let port = mailkiln_unit::port("page").map(|port| port.number)?;
    (target.password_page && !proofs && spec.web.is_none()).then(|| format!("{everywhere}:{port}"))
}
