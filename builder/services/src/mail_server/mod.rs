//! The mail server as a service: what it runs as, where it listens, which secrets it gets, and
//! its configuration file, made from the same values.

mod filter;
mod identity;
mod inbound;
mod listeners;
mod outbound;
mod server;
mod settings;
mod spam;

use std::time::Duration;

use mailkiln_spec::Spec;

use crate::{
    Capability, ConfigFile, Confinement, Credential, HostFacts, Kind, Limits, NetworkAccess,
    Ordering, Restart, Sandbox, Service, Share, StateDirectory, Trigger, user,
};

/// Unit name; also the folder below `/run/credentials`.
pub(crate) const NAME: &str = "mail-server";
const CONFIG: &str = "/etc/mailkiln/mail-server.toml";
const SECRETS: &str = "/var/lib/mailkiln/secrets";

/// Sockets and files of the server. `listeners::MAX_CONNECTIONS` on each of nine listeners,
/// and the database, stay below it.
const OPEN_FILES: u32 = 32_768;

/// The service for `spec`, with the spam filter's rules appended to its configuration.
pub(crate) fn service(spec: &Spec, host: &HostFacts, spam_rules: &str) -> Service {
    Service {
        name: NAME,
        description: "Mail server",
        program: "/usr/bin/mailkiln-mail-server",
        arguments: vec!["--config".to_owned(), CONFIG.to_owned()],
        kind: Kind::NotifyReload,
        user: Some(user::MAIL_SERVER),
        // Certificates belong to this group.
        groups: vec![user::MAILKILN_ACME.name],
        state: vec![StateDirectory { name: NAME, mode: 0o700 }],
        runtime_directory: None,
        ports: listeners::ports(spec, host),
        credentials: credentials(spec),
        // The C library's default, eight arenas for each processor, keeps what threads have freed.
        environment: vec![("MALLOC_ARENA_MAX", "2".to_owned())],
        umask: 0o077,
        confinement: Confinement::Sandboxed(sandbox()),
        ordering: Ordering {
            // Until the filter answers, mail is deferred.
            after: vec!["mailkiln-prepare.service", "mailkiln-filter.service", "network.target"],
            requires: vec!["mailkiln-prepare.service"],
            wanted_by: vec!["multi-user.target"],
            ..Ordering::default()
        },
        triggers: Vec::new(),
        restart: Restart::OnFailure {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        },
        limits: Limits {
            memory_high: Some(Share(65)),
            memory_max: Some(Share(80)),
            outlives_its_parts: false,
            background: false,
            tasks: Some(512),
            files: Some(OPEN_FILES),
            // The first start makes the database; recovery after a power cut replays its log.
            start: Some(Duration::from_secs(180)),
            stop: Some(Duration::from_secs(30)),
        },
        config_files: vec![ConfigFile::public(CONFIG, configuration(spec, host, spam_rules))],
    }
}

/// Reads the whole database once a week, and fails when anything in it is damaged: what SQLite never
/// looks at may be damaged for years, and then so is every backup.
pub(crate) fn check() -> Service {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    Service {
        kind: Kind::Task,
        user: Some(user::MAIL_SERVER),
        state: vec![StateDirectory { name: NAME, mode: 0o700 }],
        confinement: Confinement::Sandboxed(Sandbox::default()),
        triggers: vec![Trigger::Every { first: HOUR, pause: 7 * 24 * HOUR, spread: HOUR }],
        restart: Restart::Never,
        limits: Limits {
            background: true,
            tasks: Some(16),
            files: Some(256),
            // Tens of gigabytes on an SD card.
            start: Some(12 * HOUR),
            ..Limits::default()
        },
        ..Service::oneshot(
            "mail-server-check",
            "Check the mail server's database",
            "/usr/bin/mailkiln-mail-server",
            vec!["check".to_owned(), server::database()],
        )
    }
}

/// It talks to the world, and keeps exactly one capability: to listen below port 1024. That one
/// counts in the host's user namespace only, so it can't have a namespace of its own.
fn sandbox() -> Sandbox {
    Sandbox {
        capabilities: vec![Capability::NetBindService],
        network: NetworkAccess::Internet,
        host_users: true,
        ..Sandbox::default()
    }
}

fn credentials(spec: &Spec) -> Vec<Credential> {
    let required = |name: String, file: String| Credential {
        name,
        source: format!("{SECRETS}/{file}"),
        fallback: None,
    };
    let mut all = vec![
        required("admin-hash".to_owned(), "admin-hash".to_owned()),
        required("oauth-key".to_owned(), "oauth-key".to_owned()),
    ];
    for domain in &spec.domains {
        for algorithm in identity::ALGORITHMS {
            let name = format!("dkim-{}-{}", algorithm.selector, domain.name);
            all.push(required(name.clone(), format!("{name}.pem")));
        }
    }
    if spec.relay.as_ref().is_some_and(|relay| relay.user.is_some()) {
        all.push(Credential {
            name: RELAY_PASSWORD.to_owned(),
            source: format!("{SECRETS}/{RELAY_PASSWORD}"),
            // Mail must come in before the administrator has stored the password. The relay
            // refuses this one, outgoing mail waits in the queue, and the log says why.
            fallback: Some("relay-password-is-not-set"),
        });
    }
    all
}

const RELAY_PASSWORD: &str = "relay-password";

/// What the configuration writes in place of a secret.
fn secret(name: &str) -> String {
    format!("%{{file:/run/credentials/{NAME}.service/{name}}}%")
}

const HEADING: &str = "\
Made by mailkiln from mail.toml; every change is lost with the next image.
Conditions and texts in single quotes are the server's expressions.";

fn configuration(spec: &Spec, host: &HostFacts, spam_rules: &str) -> String {
    let mut sections = server::sections(spec, host);
    sections.extend(listeners::sections(spec, host));
    sections.extend(inbound::sections(spec));
    sections.extend(identity::sections(spec));
    sections.extend(outbound::sections(spec));
    sections.extend(spam::sections(&spec.spam));
    sections.extend(filter::sections(spec, host));
    let mut text = settings::text(HEADING, &sections);
    let rules = spam_rules.trim();
    if !rules.is_empty() {
        text.push('\n');
        text.push_str(rules);
        text.push('\n');
    }
    text
}
