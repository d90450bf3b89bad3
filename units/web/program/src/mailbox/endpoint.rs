//! A service of the configuration, as the clients want it.

use std::path::PathBuf;

use mailkiln_servers::{Endpoint, Trust};

use crate::configuration::{Security, Service};

/// Where distributions keep the authorities.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// The endpoint of `service`.
pub(crate) fn of(service: &Service) -> Endpoint {
    let authorities = || {
        let found = AUTHORITIES.iter().map(PathBuf::from).find(|path| path.exists());
        Trust::Roots(found.unwrap_or_else(|| PathBuf::from(AUTHORITIES[0])))
    };
    Endpoint {
        host: service.host.clone(),
        port: service.port,
        name: service.host.clone(),
        security: match service.security {
            Security::Tls => mailkiln_servers::Security::Implicit,
            Security::StartTls => mailkiln_servers::Security::StartTls,
        },
        trust: service.pin.clone().map_or_else(authorities, Trust::Pinned),
        proxy: service.proxy_header,
    }
}
