//! What `mail.toml` and the target change in the services that units declare.
//!
//! A unit without settings has no line here: its `unit.toml` says everything.

use mailkiln_spec::Spec;

use crate::{Service, TargetFacts, acme, agent, filter, mail_server, web};

/// The service as it is on the appliance that `spec` describes; nothing where `spec` does without it.
pub(crate) fn applied(
    service: Service,
    spec: &Spec,
    target: &TargetFacts,
    spam_rules: &str,
) -> Option<Service> {
    let host = &target.host;
    match service.name {
        "mailkiln-prepare" => Some(agent::prepare(service, spec, target)),
        "mailkiln-console" => Some(agent::console(service, target)),
        "mailkiln-page" => agent::page_address(spec, target).map(|_| service),
        "mailkiln-filter" => {
            spec.filter.as_ref().map(|filter| filter::service(service, spec, filter, host))
        }
        "mailkiln-filter-rules" => {
            spec.filter.as_ref().and_then(|filter| filter.rules.as_ref()).map(|_| service)
        }
        "mail-server" => Some(mail_server::service(service, spec, host, spam_rules)),
        "mailkiln-web" => spec.web.map(|web| web::service(service, spec, web, host)),
        "mailkiln-acme" => spec.acme.as_ref().map(|acme| acme::client(service, spec, acme)),
        "mailkiln-certificate" => spec.acme.as_ref().map(|_| service),
        _ => Some(service),
    }
}
