//! The filter: what looks into attachments, and what fetches its rules.

use std::fmt::Write as _;
use std::time::Duration;

use mailkiln_spec::{ClamAv, Filter, FilterActions, OnFailure, Spec};

use crate::{
    ConfigFile, Confinement, HostFacts, Kind, Limits, NetworkAccess, Ordering, Port, Reach,
    Restart, Sandbox, Service, Share, StateDirectory, Trigger, clamav, user,
};

const PROGRAM: &str = "/usr/bin/mailkiln-filter";
const CONFIG: &str = "/etc/mailkiln/filter.toml";
/// Below `/var/lib`, so inside the directory that belongs to the agent.
const STATE: &str = "mailkiln/filter";
const RUNTIME: &str = "mailkiln-filter";
/// Seconds that one message may take.
const SECONDS: u32 = 20;

/// The services of a filter, if `mail.toml` wants one.
pub(crate) fn services(spec: &Spec, host: &HostFacts) -> Vec<Service> {
    let Some(filter) = &spec.filter else { return Vec::new() };
    let mut services = vec![filter_service(spec, filter, host)];
    if filter.rules.is_some() {
        services.push(rules_service());
    }
    services
}

fn filter_service(spec: &Spec, filter: &Filter, host: &HostFacts) -> Service {
    let (groups, peers) = match filter.clamav {
        None => (Vec::new(), Vec::new()),
        Some(ClamAv::Here) => (vec![user::CLAMAV.name], Vec::new()),
        Some(ClamAv::At(address)) => (Vec::new(), vec![address.ip()]),
    };
    Service {
        kind: Kind::Notify,
        groups,
        runtime_directory: Some(RUNTIME),
        ports: vec![Port {
            number: host.filter_port,
            purpose: "mail filter",
            reach: Reach::Loopback,
        }],
        confinement: Confinement::Sandboxed(Sandbox {
            network: NetworkAccess::Loopback,
            peers,
            confines_itself: true,
            ..Sandbox::default()
        }),
        ordering: Ordering {
            // Its state lies in a directory of the agent's, which must be made first.
            after: vec!["mailkiln-prepare.service"],
            before: vec!["mail-server.service"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        restart: Restart::OnFailure {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        },
        limits: Limits {
            // Workers limit themselves; this is for all of them together. The mail server's share
            // comes on top: neither is used up but under attack.
            memory_high: Some(Share(40)),
            memory_max: Some(Share(50)),
            outlives_its_parts: true,
            start: Some(Duration::from_secs(180)),
            ..limits()
        },
        config_files: vec![ConfigFile::public(CONFIG, configuration(spec, filter, host))],
        ..program("mailkiln-filter", "Look into attachments", &["serve"])
    }
}

/// Fetches rules once a day. Apart from the filter, which never talks to the world.
fn rules_service() -> Service {
    Service {
        confinement: Confinement::Sandboxed(Sandbox {
            network: NetworkAccess::Internet,
            ..Sandbox::default()
        }),
        ordering: Ordering {
            after: vec!["mailkiln-filter.service", "network-online.target"],
            wants: vec!["network-online.target"],
            ..Ordering::default()
        },
        kind: Kind::Task,
        triggers: vec![Trigger::Every {
            first: Duration::from_secs(300),
            pause: Duration::from_secs(86_400),
            spread: Duration::from_secs(3600),
        }],
        // The timer comes back.
        restart: Restart::Never,
        limits: Limits { start: Some(Duration::from_secs(600)), ..limits() },
        ..program("mailkiln-filter-rules", "Fetch malware rules", &["rules", "update"])
    }
}

fn program(name: &'static str, description: &'static str, arguments: &[&str]) -> Service {
    let arguments = arguments.iter().map(|&it| it.to_owned()).collect();
    Service {
        user: Some(user::MAIL_FILTER),
        state: vec![StateDirectory { name: STATE, mode: 0o750 }],
        ..Service::oneshot(name, description, PROGRAM, arguments)
    }
}

fn limits() -> Limits {
    Limits { tasks: Some(256), files: Some(4096), ..Limits::default() }
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
