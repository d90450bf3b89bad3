//! Certificates from an authority: the client, and the reload of those who use the certificate.
//!
//! A timer starts the client, which ends within a second when nothing is due. So nothing waits in
//! memory, and no port is open and no capability held but for the seconds of a validation. Where the
//! client has installed a certificate, it writes one file; that file's change starts the reload.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailkiln_spec::{Acme, AcmeChallenge, AcmeDns, AcmeKey, DomainName, Spec};
use serde_json::{Value, json};

use crate::{
    Capability, ConfigFile, Confinement, Credential, Directory, Kind, Limits, NetworkAccess,
    Ordering, Port, Reach, Restart, Sandbox, Service, StateDirectory, Trigger, mail_server, user,
};

const CONFIG: &str = "/etc/mailkiln/acme.json";
const ROOTS: &str = "/etc/mailkiln/acme-roots.pem";
const SECRETS: &str = "/var/lib/mailkiln/secrets";
/// The administrator's own program for dns-01.
const HOOK: &str = "/var/lib/mailkiln/hooks/acme-dns";
/// Written by the client after the certificate has changed.
const INSTALLED: &str = "/var/lib/mailkiln-acme/installed";
/// What the client takes for "there is none".
const NO_SECRET: &str = "none";

/// Answers of http-01, for whoever serves port 80.
pub(crate) const CHALLENGES: Directory = Directory {
    path: "/var/lib/mailkiln-acme/challenges",
    mode: 0o755,
    owner: user::MAILKILN_ACME,
    whole: false,
};

/// The client and the reload.
pub(crate) fn services(spec: &Spec, acme: &Acme) -> [Service; 2] {
    [client(spec, acme), reload()]
}

fn client(spec: &Spec, acme: &Acme) -> Service {
    let mut config_files = vec![ConfigFile::public(CONFIG, configuration(spec, acme))];
    if !acme.roots.is_empty() {
        config_files.push(ConfigFile::public(ROOTS, roots(acme)));
    }
    Service {
        kind: Kind::Task,
        user: Some(user::MAILKILN_ACME),
        state: vec![StateDirectory { name: "mailkiln-acme", mode: 0o755 }],
        ports: port(&acme.challenge).into_iter().collect(),
        credentials: credentials(acme),
        // It chooses modes itself; what the group of the certificates may do must not be masked.
        umask: 0o007,
        confinement: Confinement::Sandboxed(sandbox(&acme.challenge)),
        ordering: Ordering {
            // An attempt without a way out would count as a failure, and put the next one off.
            after: vec!["mailkiln-prepare.service", "network-online.target", "time-set.target"],
            wants: vec!["network-online.target"],
            ..Ordering::default()
        },
        triggers: vec![Trigger::Every {
            first: Duration::from_secs(30),
            pause: Duration::from_secs(10 * 60),
            spread: Duration::from_secs(60),
        }],
        // The timer starts it again.
        restart: Restart::Never,
        limits: Limits {
            tasks: Some(64),
            files: Some(256),
            // A large RSA key on a small board, and an authority that takes its time.
            start: Some(Duration::from_secs(1800)),
            ..Limits::default()
        },
        config_files,
        ..Service::oneshot(
            "mailkiln-acme",
            "Get and renew the certificate",
            "/usr/bin/mailkiln-acme",
            vec!["run".to_owned()],
        )
    }
}

/// It talks to the authority, and listens below port 1024 where that is the proof.
fn sandbox(challenge: &AcmeChallenge) -> Sandbox {
    let listens = port(challenge).is_some();
    let hook = matches!(challenge, AcmeChallenge::Dns01 { provider: AcmeDns::Exec, .. });
    Sandbox {
        network: NetworkAccess::Internet,
        capabilities: if listens { vec![Capability::NetBindService] } else { Vec::new() },
        // The capability has to count for the host's network, and the agent's files would be
        // nobody's in a namespace of users.
        host_users: true,
        programs: if hook { vec![HOOK.to_owned()] } else { Vec::new() },
        ..Sandbox::default()
    }
}

/// Where the authority looks for the proof.
fn port(challenge: &AcmeChallenge) -> Option<Port> {
    let port = |number, purpose| Some(Port { number, purpose, reach: Reach::Public });
    match challenge {
        AcmeChallenge::Http01 => port(80, "proofs for the certificate"),
        AcmeChallenge::TlsAlpn01 => port(443, "proofs for the certificate"),
        AcmeChallenge::Dns01 { .. } => None,
    }
}

fn credentials(acme: &Acme) -> Vec<Credential> {
    let optional = |name: &str, file: &str| Credential {
        name: name.to_owned(),
        source: format!("{SECRETS}/{file}"),
        // Without it the client says what is missing, or makes what it needs.
        fallback: Some(NO_SECRET),
    };
    let mut all = vec![optional("acme-account-key", "acme-account-key.pem")];
    if acme.eab_key_id.is_some() {
        all.push(optional("acme-eab-key", "acme-eab-key"));
    }
    if matches!(acme.challenge, AcmeChallenge::Dns01 { .. }) {
        all.push(optional("acme-dns-key", "acme-dns-key"));
    }
    all
}

/// Makes the users of the certificate read it again. As root, since systemd takes orders from nobody
/// else here, but without any capability, network or input: its whole command line is below.
fn reload() -> Service {
    let unit = format!("{}.service", mail_server::NAME);
    Service {
        kind: Kind::Task,
        ordering: Ordering { after: vec!["mail-server.service"], ..Ordering::default() },
        triggers: vec![Trigger::Changed(INSTALLED.to_owned())],
        confinement: Confinement::Sandboxed(Sandbox::default()),
        restart: Restart::Never,
        limits: Limits { tasks: Some(16), files: Some(256), ..Limits::default() },
        ..Service::oneshot(
            "mailkiln-certificate",
            "Have the mail server read its new certificate",
            "/usr/bin/systemctl",
            vec!["--no-ask-password".to_owned(), "try-reload-or-restart".to_owned(), unit],
        )
    }
}

/// The file's text: keys sorted, a newline at the end. The fields are a contract:
/// `docs/internals/contracts.md`.
fn configuration(spec: &Spec, acme: &Acme) -> String {
    let names: Vec<String> = spec.certificate_names().iter().map(ToString::to_string).collect();
    let key = match acme.key {
        AcmeKey::EcdsaP256 => "ecdsa-p256",
        AcmeKey::Rsa2048 => "rsa-2048",
        AcmeKey::Rsa4096 => "rsa-4096",
    };
    let settings = json!({
        "host": spec.host.name.as_str(),
        "names": names,
        "directory": acme.directory,
        "contact": [format!("mailto:{}", acme.contact)],
        "key": key,
        "profile": acme.profile,
        "eab_key_id": acme.eab_key_id,
        "roots": (!acme.roots.is_empty()).then_some(ROOTS),
        "challenge": challenge(&acme.challenge, spec.network.ipv6),
        "keep_key": acme.keep_key,
    });
    format!("{settings:#}\n")
}

fn challenge(challenge: &AcmeChallenge, ipv6: bool) -> Value {
    let everywhere = if ipv6 { "[::]" } else { "0.0.0.0" };
    match challenge {
        AcmeChallenge::Http01 => json!({"kind": "http-01", "listen": format!("{everywhere}:80")}),
        AcmeChallenge::TlsAlpn01 => {
            json!({"kind": "tls-alpn-01", "listen": format!("{everywhere}:443")})
        }
        AcmeChallenge::Dns01 { provider, wait } => {
            json!({"kind": "dns-01", "wait": wait, "provider": dns_provider(provider)})
        }
    }
}

fn dns_provider(provider: &AcmeDns) -> Value {
    let names = |zones: &[DomainName]| zones.iter().map(ToString::to_string).collect::<Vec<_>>();
    match provider {
        AcmeDns::Exec => json!({"kind": "exec", "program": HOOK}),
        AcmeDns::Company { company, zones } => {
            json!({"kind": "company", "company": company.as_str(), "zones": names(zones)})
        }
        AcmeDns::Rfc2136 { server, key_name, zones } => json!({
            "kind": "rfc2136",
            "server": server.to_string(),
            "key_name": key_name,
            "zones": names(zones),
        }),
    }
}

/// PEM (RFC 7468).
fn roots(acme: &Acme) -> String {
    let mut text = String::new();
    for root in &acme.roots {
        let body = STANDARD.encode(root);
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in body.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}
