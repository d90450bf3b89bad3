//! `mailkiln emit files`: the configuration files of the services on a NixOS host.

use std::net::IpAddr;

use mailkiln_nix::{Source, drop_ins, on_a_host};
use mailkiln_services::{BroughtCertificate, HostFacts, Resolver};
use mailkiln_spec::{DomainName, Spec};

use crate::arguments::{EmitFilesArguments, HostArguments};
use crate::failure::Failure;
use crate::printer::Printer;
use crate::spec_file::SpecFile;
use mailkiln_assemble::SPAM_RULES;

/// Writes them, at the places below the folder that they have below the root; drop-ins of units are below
/// `lib/systemd/system`.
pub(super) fn run(arguments: &EmitFilesArguments, printer: &Printer) -> Result<(), Failure> {
    let file = SpecFile::read_named(arguments.config.path())?;
    let facts = facts(&arguments.host)?;
    expect_name(&arguments.host, &file.spec)?;
    let appliance = on_a_host(&file.spec, &facts, SPAM_RULES);
    let files = appliance.services.iter().flat_map(|service| &service.config_files);
    let mut sources: Vec<Source> = files
        .map(|file| Source {
            path: file.path.trim_start_matches('/').to_owned(),
            text: file.contents.clone(),
        })
        .collect();
    sources.extend(drop_ins(&file.spec).map_err(|error| Failure::work(&error))?);
    super::refuse_existing(&arguments.output, &sources)?;
    printer.result(&super::write(&arguments.output, &sources)?)
}

fn facts(arguments: &HostArguments) -> Result<HostFacts, Failure> {
    let resolver = match arguments.resolver.as_str() {
        "resolved" => Resolver::Resolved,
        "host" => Resolver::System,
        addresses => {
            Resolver::Addresses(addresses.split(',').map(address).collect::<Result<_, _>>()?)
        }
    };
    let certificate = arguments.certificate.iter().zip(&arguments.certificate_key);
    let certificate = certificate
        .map(|(chain, key)| BroughtCertificate { chain: chain.clone(), key: key.clone() })
        .next();
    Ok(HostFacts {
        api_port: arguments.api_port,
        filter_port: arguments.filter_port,
        release_port: arguments.release_port,
        resolver,
        certificate,
    })
}

fn address(text: &str) -> Result<IpAddr, Failure> {
    text.trim().parse().map_err(|_| Failure::Input {
        message: format!("unknown resolver `{text}`"),
        causes: Vec::new(),
        hint: Some("write `resolved`, `host`, or addresses such as 127.0.0.1,::1".to_owned()),
    })
}

/// Names are compared as they are in the DNS: in ASCII and lower case. `*.` stands for one label.
fn expect_name(arguments: &HostArguments, spec: &Spec) -> Result<(), Failure> {
    let names = &arguments.certificate_name;
    let host = spec.host.name.as_str();
    let above = host.split_once('.').map_or("", |(_, above)| above);
    let covers = |name: &String| {
        let (wanted, rest) = match name.strip_prefix("*.") {
            Some(rest) => (above, rest),
            None => (host, name.as_str()),
        };
        rest.parse::<DomainName>().is_ok_and(|name| name.as_str() == wanted)
    };
    if names.is_empty() || names.iter().any(covers) {
        return Ok(());
    }
    Err(Failure::Input {
        message: format!("the certificate is not for {host}"),
        causes: vec![format!("it is for {}", names.join(", "))],
        hint: Some("add the host's name to it (security.acme: `extraDomainNames`)".to_owned()),
    })
}
