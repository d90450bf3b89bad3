//! The mail server: where it listens, which secrets it gets, and its configuration file, made from the same values.

mod filter;
mod identity;
mod inbound;
mod listeners;
mod outbound;
mod server;
mod settings;
mod spam;

pub(crate) use listeners::certificate;
use mailkiln_spec::Spec;

use crate::{ConfigFile, Credential, HostFacts, Service};

/// Unit name; also the folder below `/run/credentials`.
pub(crate) const NAME: &str = "mail-server";
const CONFIG: &str = "/etc/mailkiln/mail-server.toml";
const SECRETS: &str = "/var/lib/mailkiln/secrets";

/// The server for `spec`, with the spam filter's rules appended to its configuration.
pub(crate) fn service(
    mut service: Service,
    spec: &Spec,
    host: &HostFacts,
    spam_rules: &str,
) -> Service {
    service.ports = listeners::ports(spec, host);
    service.credentials.extend(credentials(spec));
    service.config_files = vec![ConfigFile::public(CONFIG, configuration(spec, host, spam_rules))];
    service
}

/// Those that depend on the domains and on the relay.
fn credentials(spec: &Spec) -> Vec<Credential> {
    let required =
        |name: String| Credential { source: format!("{SECRETS}/{name}.pem"), name, fallback: None };
    let mut all = Vec::new();
    for domain in &spec.domains {
        for algorithm in identity::ALGORITHMS {
            all.push(required(format!("dkim-{}-{}", algorithm.selector, domain.name)));
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
