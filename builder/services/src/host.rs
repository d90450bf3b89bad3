//! What a NixOS host may decide otherwise than an image: ports on loopback, the resolver, who looks
//! after the certificate.

use std::net::IpAddr;

/// Decisions of the host. The default is what an image has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// TCP port of the mail server's API, on loopback.
    pub api_port: u16,
    /// TCP port on which the filter is asked, on loopback.
    pub filter_port: u16,
    /// TCP port on which the mail server takes what the filter releases, on loopback.
    pub release_port: u16,
    /// Whom the mail server asks about names.
    pub resolver: Resolver,
    /// The certificate, where others look after it.
    pub certificate: Option<BroughtCertificate>,
}

/// Whom the mail server asks about names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolver {
    /// systemd-resolved's proxy, which hands DNSSEC records through.
    Resolved,
    /// Whom `/etc/resolv.conf` names.
    System,
    /// These, by UDP, and by TCP what does not fit.
    Addresses(Vec<IpAddr>),
}

/// A certificate that others look after, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtCertificate {
    /// Absolute path of the certificate with its intermediates.
    pub chain: String,
    /// Absolute path of its private key.
    pub key: String,
}

impl Default for HostFacts {
    fn default() -> Self {
        let number = |name| mailkiln_unit::port(name).map_or(0, |port| port.number);
        Self {
            api_port: number("http"),
            filter_port: number("filter"),
            release_port: number("release"),
            resolver: Resolver::Resolved,
            certificate: None,
        }
    }
}
