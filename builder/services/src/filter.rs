//! The filter, which looks into attachments: what `mail.toml` says to it.

use std::fmt::Write as _;

use mailkiln_spec::{ClamAv, Filter, FilterActions, OnFailure, Spec};

use crate::{ConfigFile, Confinement, HostFacts, Service, clamav, user};

const CONFIG: &str = "/etc/mailkiln/filter.toml";
/// Below `/var/lib`.
const STATE: &str = "mailkiln/filter";
/// Below `/run`.
const RUNTIME: &str = "mailkiln-filter";
/// Seconds that one message may take.
const SECONDS: u32 = 20;

/// The filter as `mail.toml` wants it.
pub(crate) fn service(
    mut service: Service,
    spec: &Spec,
    filter: &Filter,
    host: &HostFacts,
) -> Service {
    let (groups, peers) = match filter.clamav {
        None => (Vec::new(), Vec::new()),
        Some(ClamAv::Here) => (vec![user::CLAMAV.name], Vec::new()),
        Some(ClamAv::At(address)) => (Vec::new(), vec![address.ip()]),
    };
    service.groups.extend(groups);
    if let Confinement::Sandboxed(sandbox) = &mut service.confinement {
        sandbox.peers = peers;
    }
    for port in &mut service.ports {
        port.number = host.filter_port;
    }
    service.config_files = vec![ConfigFile::public(CONFIG, configuration(spec, filter, host))];
    service
}

/// The filter's own settings. Everything in it has passed the rules of `mail.toml`.
fn configuration(spec: &Spec, filter: &Filter, facts: &HostFacts) -> String {
    let (listen, release) = (facts.filter_port, facts.release_port);
    let on_failure = match filter.on_failure {
        OnFailure::Defer => "defer",
        OnFailure::Pass => "pass",
    };
    let host = quoted(spec.host.name.as_str());
    let largest = largest_message(spec);
    let mut text = format!(
        "# Made by mailkiln from mail.toml; every change is lost with the next image.\n\
         host = {host}\nlisten = \"127.0.0.1:{listen}\"\nrelease = \"127.0.0.1:{release}\"\n\
         state = \"/var/lib/{STATE}\"\nsocket = \"/run/{RUNTIME}/api\"\n\
         on-failure = \"{on_failure}\"\nlargest-message = {largest}\nseconds = {SECONDS}\n"
    );
    if let (true, Some(address)) = (filter.digest, administrator(spec)) {
        line(&mut text, format_args!("digest-to = {}", quoted(&address)));
    }
    match filter.clamav {
        None => {}
        Some(ClamAv::Here) => line(&mut text, format_args!("clamd = \"{}\"", clamav::SOCKET)),
        Some(ClamAv::At(address)) => line(&mut text, format_args!("clamd = \"{address}\"")),
    }
    let (days, bytes) = (filter.quarantine_days, filter.quarantine_size);
    line(&mut text, format_args!("\n[quarantine]\ndays = {days}\nbytes = {bytes}"));
    if let Some(rules) = &filter.rules {
        let (url, key) = (quoted(&rules.url), quoted(&rules.key));
        line(&mut text, format_args!("\n[rules]\nurl = {url}\nkey = {key}"));
    }
    line(&mut text, format_args!("\n[policy]"));
    actions(&mut text, &filter.actions);
    for domain in spec.domains.iter().filter(|domain| !domain.filter.is_empty()) {
        line(&mut text, format_args!("\n[domain.{}]", quoted(domain.name.as_str())));
        actions(&mut text, &domain.filter);
    }
    text
}

/// Bytes of the largest message that the filter takes: headers are counted by neither side in the
/// same way.
pub(crate) fn largest_message(spec: &Spec) -> u64 {
    spec.mail.max_message_size.saturating_add(1 << 20)
}

/// Who gets the digest: the postmaster, or where that one is elsewhere, the first domain's. It must
/// be a mailbox of this appliance, as the listener for released mail takes no other.
fn administrator(spec: &Spec) -> Option<String> {
    let postmaster = &spec.mail.postmaster;
    if spec.domains.iter().any(|domain| domain.name == *postmaster.domain()) {
        return Some(postmaster.to_string());
    }
    spec.domains.first().map(|domain| format!("postmaster@{}", domain.name))
}

fn actions(text: &mut String, actions: &FilterActions) {
    for (class, action) in actions {
        line(text, format_args!("{} = \"{}\"", class.as_str(), action.as_str()));
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{line}");
}
